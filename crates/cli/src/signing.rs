//! Signing where a tenant's key is: the daemon says what is to be signed, and never sees the key.

use crate::{confirm, context::Context, report::Report, visible};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::{Deed, DeedGrant, Draft, Expected, SignedDeed, WrappedFor, pem};
use cofferdam_model::{
    Problem, Result,
    api::{DeedAct, DeedAnswer, NewDeed, NewVolume, SIZE_DEFAULT, VolumeDetail},
};
use cofferdam_vault::SigningKey;
use std::{fs::File, path::Path};

/// A tenant's private key, out of a PEM file.
///
/// # Errors
/// `invalid` or `missing` where there is none.
pub(crate) fn key(file: &Path) -> Result<SigningKey> {
    let opened = File::open(file).map_err(|error| {
        Problem::missing(format!("cannot open the key {}: {error}", file.display()))
            .remedy("make one with: openssl genpkey -algorithm ed25519 -out FILE")
    })?;
    pem::read_private(opened).map_err(|problem| problem.context(file.display()))
}

/// What was signed; none where nothing had to be.
#[derive(Debug)]
pub(crate) struct Signed(Option<Deed>);

/// Has the daemon do what the tenant signs here.
///
/// # Errors
/// `conflict` where the daemon asks for a signature under something else; `denied` where a person does not want it; as the
/// daemon answers.
pub(crate) fn act(context: &Context, file: &Path, yes: bool, act: DeedAct) -> Result<Signed> {
    let key = key(file)?;
    let ask = |deed| {
        let new = NewDeed {
            act: act.clone(),
            deed,
        };
        context.daemon.post::<DeedAnswer>("/v1/deeds", &new)
    };
    let DeedAnswer::Sign { draft, current } = ask(None)? else {
        return Ok(Signed(None));
    };
    let draft = Draft::parse(&decoded(&draft)?)?;
    let current = current.as_deref().map(decoded).transpose()?;
    is_what_was_asked(&draft, current.as_deref(), &act, &key)?;
    if !yes {
        agreed(draft.deed(), &act)?;
    }
    let signed = draft.sign(&key)?;
    match ask(Some(STANDARD.encode(signed.bytes())))? {
        DeedAnswer::Done => Ok(Signed(Some(draft.deed().clone()))),
        DeedAnswer::Sign { .. } => Err(Problem::conflict(
            "the daemon wants something else signed than before",
        )
        .remedy("somebody changed the volume meanwhile: do it again")),
    }
}

/// The same, of a volume that is there: nobody is asked. Answers with the volume as it is afterwards.
///
/// # Errors
/// As [`act`].
pub(crate) fn changed(
    context: &Context,
    file: &Path,
    act: DeedAct,
) -> Result<(VolumeDetail, Option<Signed>)> {
    let place = format!("/v1/volumes/{}", act.volume());
    let signed = self::act(context, file, true, act)?;
    Ok((context.daemon.get(&place)?, Some(signed)))
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(text)
        .map_err(|_| Problem::invalid("what the daemon wants signed is no base64"))
}

/// A daemon, or a registry below it, that lies must not get a signature under what nobody asked for. What follows a deed that
/// the tenant has signed himself is worked out here again, and must be the same, byte by byte; but for the rule of an app that is
/// granted something, which the daemon alone knows, and which is shown before anything is signed.
fn is_what_was_asked(draft: &Draft, current: Option<&[u8]>, act: &DeedAct, key: &SigningKey) -> Result<()> {
    let deed = draft.deed();
    if deed.tenant_key() != key.verifying() {
        // Its own words for it are better.
        return draft.sign(key).map(drop);
    }
    let fits = match (act, current) {
        (DeedAct::Create(new), None) => is_first_of(deed, new),
        (DeedAct::Grant(grant), Some(current)) => {
            let current = own(deed, current, key)?;
            let rule = deed.grants().iter().find(|held| held.app == grant.app);
            let rule = rule.map(|held| held.rule.clone());
            match rule {
                Some(rule) => follows(
                    draft,
                    current.with_grant(DeedGrant {
                        app: grant.app.clone(),
                        rule,
                        write: grant.write,
                        exec: grant.exec,
                        until: grant.until,
                    })?,
                )?,
                None => false,
            }
        }
        (DeedAct::Revoke { app, .. }, Some(current)) => {
            follows(draft, own(deed, current, key)?.without_grant(app)?)?
        }
        (DeedAct::Grow { size, .. }, Some(current)) => {
            follows(draft, own(deed, current, key)?.with_size(*size)?)?
        }
        (DeedAct::Share { recipient, .. }, Some(current)) => {
            let current = own(deed, current, key)?;
            let mut now = current.recipients().to_vec();
            // Its text is the daemon's, which writes an age recipient in small letters.
            let added = deed.recipients().last();
            now.extend(added.filter(|added| is_same_recipient(added, recipient)).cloned());
            follows(draft, rewrapped(&current, deed, now)?)?
        }
        (DeedAct::Unshare { recipient, .. }, Some(current)) => {
            let current = own(deed, current, key)?;
            let mut left = current.recipients().to_vec();
            left.retain(|held| !is_same_recipient(held, recipient));
            follows(draft, rewrapped(&current, deed, left)?)?
        }
        (DeedAct::Rotate { .. }, Some(current)) => {
            let current = own(deed, current, key)?;
            let next = match current.wrapped_before() {
                None => current.with_rotation_to_key_of(deed)?,
                Some(_) => current.without_key_before()?,
            };
            follows(draft, next)?
        }
        _ => false,
    };
    if fits && deed.name() == act.volume() {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "the daemon wants a deed of {} signed that is not what was asked for; nothing was signed",
        deed.name()
    ))
    .remedy("look who can change that host, before you sign anything for it"))
}

/// The deed that the tenant has signed before.
fn own(next: &Deed, current: &[u8], key: &SigningKey) -> Result<SignedDeed> {
    let expected = Expected {
        volume: next.volume(),
        tenant_key: Some(key.verifying()),
        seen: None,
    };
    cofferdam_deed::open(current, &expected)
}

fn is_same_recipient(one: &str, other: &str) -> bool {
    match other.to_ascii_lowercase() {
        age if age.starts_with("age1") => one == age,
        _ => one == other,
    }
}

/// The deed before with the key in the wrapping of the next, which only the daemon can make.
fn rewrapped(current: &SignedDeed, next: &Deed, recipients: Vec<String>) -> Result<Deed> {
    current.with_wrapped(WrappedFor {
        recipients,
        wrapped: next.wrapped().to_owned(),
    })
}

fn follows(draft: &Draft, next: Deed) -> Result<bool> {
    Ok(Draft::of(next)?.bytes() == draft.bytes())
}

fn is_first_of(deed: &Deed, new: &NewVolume) -> bool {
    deed.version() == 1
        && deed.previous().is_none()
        && deed.grants().is_empty()
        && deed.owner().is_none()
        && deed.access() == new.access
        && deed.size() == new.size.unwrap_or(SIZE_DEFAULT)
}

/// Shows what only the daemon knows, and asks whether it is meant.
fn agreed(deed: &Deed, act: &DeedAct) -> Result<()> {
    let told = match act {
        DeedAct::Create(_) => format!("whoever opens its key: {}", deed.recipients().join(", ")),
        DeedAct::Grant(grant) => {
            let rule = deed.grants().iter().find(|held| held.app == grant.app);
            let rule = rule.and_then(|held| serde_json::to_string_pretty(&held.rule).ok());
            format!(
                "{} is whatever satisfies this rule:\n{}",
                grant.app,
                rule.unwrap_or_default()
            )
        }
        // What is left was signed before, or is in the command.
        DeedAct::Revoke { .. }
        | DeedAct::Grow { .. }
        | DeedAct::Share { .. }
        | DeedAct::Unshare { .. }
        | DeedAct::Rotate { .. } => return Ok(()),
    };
    told.lines()
        .for_each(|line| eprintln!("{}", visible::visible(line)));
    confirm::agree(
        &format!("Sign version {} of the deed of {}?", deed.version(), deed.name()),
        "there is no terminal to show on what is signed",
        "see the rule with cofferdam app show, and add --yes",
        "nothing was signed",
    )
}

/// With a note of all that the deed now says, since the daemon alone knew what it said before; as it is where nothing is signed here.
pub(crate) fn told(report: Report, signed: Option<&Signed>) -> Report {
    let deed = match signed {
        None => return report,
        Some(Signed(None)) => return report.note("nothing had to be signed"),
        Some(Signed(Some(deed))) => deed,
    };
    let report = report.note(format_args!(
        "signed version {} of the deed of {}",
        deed.version(),
        deed.name()
    ));
    let report = deed.grants().iter().fold(report, |report, grant| {
        let may = match (grant.write, grant.exec) {
            (true, true) => "read, write and exec",
            (true, false) => "read and write",
            (false, true) => "read and exec",
            (false, false) => "read",
        };
        let image = grant.rule.image.short();
        let until = grant
            .until
            .map_or(String::new(), |until| format!(" until {until:.0}"));
        report.note(format_args!(
            "  {} (image {image}) may {may} it{until}",
            grant.app
        ))
    });
    deed.recipients().iter().fold(report, |report, recipient| {
        report.note(format_args!("  its key is wrapped for {recipient}"))
    })
}
