//! One case about a host path as Cedar sees it.

use super::case::{Case, context, entity, tag, text, uid, unfit};
use super::{Launched, Policies};
use crate::facts::Right;
use cedar_policy::Entities;
use cofferdam_model::{App, HostPath, Result};

impl Policies {
    /// Puts the question together whether an app may bind a host path, and checks it against the schema.
    ///
    /// # Errors
    /// `Internal` when it does not fit the schema.
    pub(crate) fn bind_case(
        &self,
        app: &App,
        right: Right,
        path: &HostPath,
        launched: &Launched<'_>,
    ) -> Result<Case> {
        let words = &self.words;
        let (principal, resource) = (uid(&words.app, &app.name), uid(&words.host_path, path));
        let person = entity(
            words,
            principal.clone(),
            [text("name", &app.name)],
            Some(app.name.tenant()),
            None,
        )?;
        let bound = entity(
            words,
            resource.clone(),
            [text("path", path)],
            None,
            Some(tag(app, right)?),
        )?;
        let entities = Entities::from_entities([person, bound], Some(&self.schema)).map_err(unfit)?;
        Ok(Case {
            principal,
            resource,
            context: context(launched)?,
            entities,
        })
    }
}
