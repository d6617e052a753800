//! Loading: the schema, the shipped policies and the operator's, checked before the first decision.
//!
//! A policy that Cedar's validator only warns about (one that can never apply, one with hidden characters) is
//! refused too: a rail that never holds is worse than none.

use super::{Policies, Words};
use cedar_policy::{
    Authorizer, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use cofferdam_model::{Problem, Result};
use miette::Diagnostic;

/// What the shipped policies are called in messages.
const GENERIC: (&str, &str) = ("generic.cedar", include_str!("../generic.cedar"));
const GUARDS: (&str, &str) = ("guards.cedar", include_str!("../guards.cedar"));
const SCHEMA: &str = include_str!("../schema.cedarschema");

impl Policies {
    /// Reads the shipped policies and the operator's: file names and texts.
    ///
    /// # Errors
    /// `Invalid`, naming the file and the line, when a policy does not parse or does not fit the schema.
    pub(crate) fn load(operator: &[(String, String)]) -> Result<Self> {
        let schema: Schema = SCHEMA
            .parse()
            .map_err(|error| broken("the policy schema", &error))?;
        let validator = Validator::new(schema.clone());
        let rails = policies(&validator, GUARDS.0, GUARDS.1)?;
        let mut all = rails.clone();
        join(&mut all, GENERIC.0, &policies(&validator, GENERIC.0, GENERIC.1)?)?;
        for (name, text) in operator {
            // A name of its own, so that an operator's guards.cedar is told apart from ours.
            let name = format!("policy file {name}");
            join(&mut all, &name, &policies(&validator, &name, text)?)?;
        }
        Ok(Policies {
            authorizer: Authorizer::new(),
            schema,
            all,
            rails,
            words: words()?,
        })
    }
}

/// The policies of one file, valid, each with an id that names file and policy.
fn policies(validator: &Validator, name: &str, text: &str) -> Result<PolicySet> {
    let set: PolicySet = text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| refused(name, text, &error.to_string(), &error))?;
    if set.num_of_templates() > 0 {
        return Err(Problem::invalid(format!(
            "{name}: it holds a template, which nothing would fill in"
        ))
        .remedy("write the principal and the resource out instead of ?principal and ?resource"));
    }
    let result = validator.validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(refused(name, text, &error.to_string(), error));
    }
    if let Some(warning) = result.validation_warnings().next() {
        return Err(refused(name, text, &warning.to_string(), warning));
    }
    let mut named = PolicySet::new();
    for policy in set.policies() {
        let own = policy
            .annotation("id")
            .filter(|id| !id.is_empty())
            .map_or_else(|| policy.id().to_string(), str::to_owned);
        let policy = policy.new_id(PolicyId::new(format!("{name}/{own}")));
        named
            .add(policy)
            .map_err(|_| Problem::invalid(format!("{name}: two policies have the id {own:?}")))?;
    }
    Ok(named)
}

/// Adds one file's policies.
fn join(all: &mut PolicySet, name: &str, more: &PolicySet) -> Result<()> {
    for policy in more.policies() {
        all.add(policy.clone())
            .map_err(|_| Problem::invalid(format!("{name}: it is there twice")))?;
    }
    Ok(())
}

/// A problem that names the file and, where Cedar knows it, the line.
fn refused(name: &str, text: &str, message: &str, error: &dyn Diagnostic) -> Problem {
    let offset = error
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset());
    let line = offset
        .and_then(|offset| text.get(..offset))
        .map(|before| before.matches('\n').count() + 1);
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}, line {line}"));
    Problem::invalid(format!("{place}: {}", message.trim()))
        .remedy("correct the policy; what it may speak of is in schema.cedarschema")
}

/// The names that every case needs.
fn words() -> Result<Words> {
    Ok(Words {
        tenant: kind("Tenant")?,
        app: kind("App")?,
        nobody: EntityUid::from_type_name_and_id(kind("Nobody")?, EntityId::new("nobody")),
        volume: kind("Volume")?,
        read: action("read")?,
        write: action("write")?,
        exec: action("exec")?,
        bind: action("bind")?,
        host_path: kind("HostPath")?,
    })
}

fn kind(name: &str) -> Result<EntityTypeName> {
    let name = format!("Cofferdam::{name}");
    name.parse().map_err(|error| broken(&name, &error))
}

fn action(name: &str) -> Result<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(
        kind("Action")?,
        EntityId::new(name),
    ))
}

/// Something shipped does not parse.
fn broken(what: &str, error: &dyn std::error::Error) -> Problem {
    Problem::internal(format!("{what} does not parse: {error}"))
}
