//! Cedar's side: the shipped policies, the operator's, and asking them.
//!
//! The policies are few and the grants are data (entity tags), so the time of a decision does not grow with
//! the number of grants. A case carries only the asking app's own grant.
//!
//! INVARIANT: a policy that fails to evaluate denies. Cedar itself would skip it, also when it is a `forbid`.

mod bind;
mod case;
mod load;

pub(crate) use case::{Asked, Case, Launched, Measured, Principal};

use cedar_policy::{
    Authorizer, Decision, EntityTypeName, EntityUid, PolicyId, PolicySet, Request, Response, Schema,
};
use cofferdam_model::{Problem, Result};

/// What is asked of Cedar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Write,
    Exec,
    Bind,
}

/// Cedar's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The reasons of the policies that decided, sorted. Empty when nothing permits and nothing forbids.
    pub(crate) reasons: Vec<String>,
    /// Their ids, likewise.
    pub(crate) policies: Vec<String>,
}

/// Every policy, checked.
#[derive(Debug)]
pub(crate) struct Policies {
    authorizer: Authorizer,
    schema: Schema,
    /// The shipped ones and the operator's.
    all: PolicySet,
    /// The guard rails alone.
    rails: PolicySet,
    words: Words,
}

/// Names that every case needs, parsed once.
#[derive(Debug)]
struct Words {
    tenant: EntityTypeName,
    app: EntityTypeName,
    nobody: EntityUid,
    volume: EntityTypeName,
    read: EntityUid,
    write: EntityUid,
    exec: EntityUid,
    bind: EntityUid,
    host_path: EntityTypeName,
}

impl Policies {
    /// Asks every policy.
    ///
    /// # Errors
    /// `Internal` when the case does not fit the schema.
    pub(crate) fn ask(&self, case: &Case, action: Action) -> Result<Answer> {
        let response = self.respond(case, action, &self.all)?;
        Ok(self.answer(&response, &self.all))
    }

    /// The guard rails that the case runs into, with their reasons; none when it passes.
    ///
    /// # Errors
    /// `Internal` when the case does not fit the schema.
    pub(crate) fn rails(&self, case: &Case, action: Action) -> Result<Answer> {
        let response = self.respond(case, action, &self.rails)?;
        Ok(self.answer(&response, &self.rails))
    }

    fn respond(&self, case: &Case, action: Action, policies: &PolicySet) -> Result<Response> {
        let action = match action {
            Action::Read => &self.words.read,
            Action::Write => &self.words.write,
            Action::Exec => &self.words.exec,
            Action::Bind => &self.words.bind,
        };
        let request = Request::new(
            case.principal.clone(),
            action.clone(),
            case.resource.clone(),
            case.context.clone(),
            Some(&self.schema),
        )
        .map_err(|error| {
            Problem::internal(format!("the question does not fit the policy schema: {error}"))
        })?;
        Ok(self.authorizer.is_authorized(&request, policies, &case.entities))
    }

    fn answer(&self, response: &Response, policies: &PolicySet) -> Answer {
        let failed: Vec<String> = response
            .diagnostics()
            .errors()
            .map(|error| format!("a policy could not be evaluated, which denies: {error}"))
            .collect();
        let mut reasons: Vec<String> = match failed.is_empty() {
            true => {
                let deciding = response.diagnostics().reason();
                deciding.map(|id| reason(policies, id)).collect()
            }
            false => failed.clone(),
        };
        reasons.sort();
        reasons.dedup();
        let deciding = response.diagnostics().reason();
        let mut policies: Vec<String> = deciding.map(PolicyId::to_string).collect();
        policies.sort();
        Answer {
            allowed: response.decision() == Decision::Allow && failed.is_empty(),
            reasons,
            policies,
        }
    }
}

/// A policy's own `@reason`, or else its name.
fn reason(policies: &PolicySet, id: &PolicyId) -> String {
    let own = policies.annotation(id, "reason").filter(|text| !text.is_empty());
    match own {
        Some(text) => text.to_owned(),
        None => format!("policy {id} says so"),
    }
}
