//! One case as Cedar sees it: who, which volume, and what was measured.

use super::{Policies, Words};
use crate::facts::Right;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value,
};
use cofferdam_model::{App, Measurement, Privilege, Problem, Result, TenantName, VolumeName};
use jiff::Timestamp;
use std::fmt::Display;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Principal<'a> {
    /// An app that the measurement proves, with its grant on the volume where it has one.
    App(&'a App, Option<Right>),
    /// No app that we know.
    Nobody,
}

/// What is asked, beside the action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) volume: &'a VolumeName,
    pub(crate) measurement: &'a Measurement,
    /// Where the container sees the volume.
    pub(crate) destination: &'a str,
    /// Read-only is enough.
    pub(crate) read_only: bool,
    /// It is the image's own healthcheck, or the rule's.
    pub(crate) healthcheck: bool,
    pub(crate) now: Timestamp,
}

impl<'a> Asked<'a> {
    fn launched(&self) -> Launched<'a> {
        Launched {
            measurement: self.measurement,
            destination: self.destination,
            read_only: self.read_only,
            healthcheck: self.healthcheck,
            now: self.now,
        }
    }
}

/// What was measured and asked, whatever it is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launched<'a> {
    pub(crate) measurement: &'a Measurement,
    pub(crate) destination: &'a str,
    pub(crate) read_only: bool,
    pub(crate) healthcheck: bool,
    pub(crate) now: Timestamp,
}

/// A question, ready for any action.
#[derive(Debug)]
pub(crate) struct Case {
    pub(super) principal: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) context: Context,
    pub(super) entities: Entities,
}

impl Policies {
    /// Puts a question together, and checks it against the schema.
    ///
    /// # Errors
    /// `Internal` when it does not fit the schema.
    pub(crate) fn case(
        &self,
        principal: Principal<'_>,
        asked: &Asked<'_>,
        measured: &Measured,
    ) -> Result<Case> {
        let words = &self.words;
        let resource = uid(&words.volume, asked.volume);
        let (who, person, tag) = match principal {
            Principal::App(app, right) => {
                let who = uid(&words.app, &app.name);
                let attributes = [text("name", &app.name)];
                let person = entity(words, who.clone(), attributes, Some(app.name.tenant()), None)?;
                (who, person, right.map(|right| tag(app, right)).transpose()?)
            }
            Principal::Nobody => {
                let who = words.nobody.clone();
                (who.clone(), entity(words, who, [], None, None)?, None)
            }
        };
        let attributes = [text("name", asked.volume)];
        let volume = entity(
            words,
            resource.clone(),
            attributes,
            Some(asked.volume.tenant()),
            tag,
        )?;
        let entities = Entities::from_entities([person, volume], Some(&self.schema)).map_err(unfit)?;
        Ok(Case {
            principal: who,
            resource,
            context: measured.0.clone(),
            entities,
        })
    }
}

/// Everything that was measured and asked, as `Launch` in the schema: made once, shared by all cases about one
/// container.
#[derive(Debug)]
pub(crate) struct Measured(Context);

impl Measured {
    /// Puts it together.
    ///
    /// # Errors
    /// `Internal` when it does not fit the schema.
    pub(crate) fn new(asked: &Asked<'_>) -> Result<Self> {
        context(&asked.launched()).map(Measured)
    }
}

pub(super) fn context(asked: &Launched<'_>) -> Result<Context> {
    let measurement = asked.measurement;
    let namespaces = &measurement.namespaces;
    let namespace = |key: &str, namespace: cofferdam_model::Namespace| {
        (key.to_owned(), Value::new_string(namespace.word().to_owned()))
    };
    let number = |key: &str, value: i64| (key.to_owned(), Value::new_long(value));
    let flag = |key: &str, value: bool| (key.to_owned(), Value::new_bool(value));
    let privileges = measurement
        .privileges
        .iter()
        .map(|privilege| Value::new_string(privilege.to_string()));
    Context::from_pairs([
        number("now", asked.now.as_second()),
        text("image", &measurement.image.config),
        number("uid", measurement.user.owner.uid.into()),
        number("gid", measurement.user.owner.gid.into()),
        text("destination", &asked.destination),
        flag("readOnly", asked.read_only),
        flag(
            "privileged",
            measurement.privileges.iter().any(Privilege::reaches_out),
        ),
        ("privileges".to_owned(), Value::new_set(privileges)),
        namespace("pidNamespace", namespaces.pid),
        namespace("mountNamespace", namespaces.mount),
        namespace("userNamespace", namespaces.user),
        namespace("ipcNamespace", namespaces.ipc),
        namespace("networkNamespace", namespaces.network),
        namespace("utsNamespace", namespaces.uts),
        namespace("cgroupNamespace", namespaces.cgroup),
        flag("healthcheck", asked.healthcheck),
    ])
    .map_err(unfit)
}

/// The grant, under its app's name.
pub(super) fn tag(app: &App, right: Right) -> Result<(String, Value)> {
    let mut fields = vec![
        ("write".to_owned(), Value::new_bool(right.write)),
        ("exec".to_owned(), Value::new_bool(right.exec)),
    ];
    if let Some(until) = right.until {
        fields.push(("until".to_owned(), Value::new_long(until.as_second())));
    }
    Ok((app.name.to_string(), Value::new_record(fields).map_err(unfit)?))
}

pub(super) fn entity<const N: usize>(
    words: &Words,
    uid: EntityUid,
    attributes: [(String, Value); N],
    tenant: Option<&TenantName>,
    tag: Option<(String, Value)>,
) -> Result<Entity> {
    let parents = tenant.map(|tenant| self::uid(&words.tenant, tenant));
    Entity::new_with_tags(uid, attributes, parents, tag).map_err(unfit)
}

pub(super) fn uid(kind: &EntityTypeName, name: &dyn Display) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name.to_string()))
}

pub(super) fn text(key: &str, value: &dyn Display) -> (String, Value) {
    (key.to_owned(), Value::new_string(value.to_string()))
}

/// Our own data does not fit our own schema.
pub(super) fn unfit(error: impl Display) -> Problem {
    Problem::internal(format!("the question does not fit the policy schema: {error}"))
}
