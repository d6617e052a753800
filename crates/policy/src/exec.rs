//! Processes that are added to a running container: is it a healthcheck, the image's own or the one that the rule names?
//!
//! A healthcheck is known by what it runs, where and as whom, never by what the engine calls it.

use crate::rule::{self, Mismatch};
use cofferdam_model::{App, ExecProcess, LaunchRule, Measurement, Privilege, Problem, Result};
use std::collections::BTreeSet;

/// Whether the process is the container's own healthcheck: the image's argv, or what every one of the rules names, with the
/// container's own environment, directory, user and groups, no terminal, and no capability beyond the container's.
///
/// `rules` are those of the apps by which the container holds its volumes.
pub fn is_healthcheck(measurement: &Measurement, rules: &[&LaunchRule], process: &ExecProcess) -> bool {
    let sorted = |list: &[u32]| list.iter().copied().collect::<BTreeSet<u32>>();
    let names = |list: &[String]| list.iter().cloned().collect::<BTreeSet<String>>();
    let theirs = &measurement.user;
    let is = |argv: &Option<Vec<String>>| argv.as_ref() == Some(&process.args);
    let is_named = !rules.is_empty() && rules.iter().all(|rule| is(&rule.healthcheck));
    !process.args.is_empty()
        && (is(&measurement.healthcheck) || is_named)
        && names(&process.env) == names(&measurement.env)
        && process.cwd == measurement.cwd
        && process.owner == theirs.owner
        && sorted(&process.groups) == sorted(&theirs.groups)
        && !process.terminal
        && process.capabilities.is_subset(&measurement.capabilities)
}

/// Refuses a process with a capability that reaches out of the container (`docker exec --privileged`): no
/// grant can allow that beside a volume.
///
/// # Errors
/// `Denied`, naming the capabilities.
pub fn refuse_reaching(process: &ExecProcess) -> Result<()> {
    let reaching: Vec<String> = process
        .capabilities
        .iter()
        .map(|name| Privilege::Capability(name.clone()))
        .filter(Privilege::reaches_out)
        .map(|privilege| privilege.to_string())
        .collect();
    if reaching.is_empty() {
        return Ok(());
    }
    Err(Problem::denied(format!(
        "the added process would hold {}, which reaches out of the container",
        reaching.join(", ")
    ))
    .remedy("add it without --privileged"))
}

/// Refuses a healthcheck in a container whose root filesystem has been changed where the app's rule does not allow that.
///
/// # Errors
/// `Denied`, naming the places.
pub fn refuse_other_code(app: &App, measurement: &Measurement) -> Result<()> {
    match rule::root(&app.rule, measurement) {
        None => Ok(()),
        Some(difference) => Err(Problem::denied(format!(
            "the healthcheck would run beside other code than the image's: {}",
            Mismatch {
                app: app.name.clone(),
                difference
            }
        ))
        .remedy("make the container anew")),
    }
}

#[cfg(test)]
mod tests;
