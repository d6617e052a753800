//! Processes that are added to a running container: is it a healthcheck, the image's own or the one that the rule names?
//!
//! A healthcheck is known by what it runs, where and as whom, never by what the engine calls it. The process
//! arrives as JSON that the real runtime, written in Go, will read again; what the two would read differently
//! (keys in another case, keys twice) is refused.

use crate::rule::{self, Mismatch};
use cofferdam_model::{App, LaunchRule, Measurement, Owner, Privilege, Problem, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The longest process description that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// A process as the bundle's `process` describes it (OCI runtime-spec, config, "Process").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecProcess {
    /// Its argv.
    pub args: Vec<String>,
    /// Its environment, `NAME=value`.
    pub env: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// Its uid and gid.
    pub owner: Owner,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// It gets a terminal.
    pub terminal: bool,
    /// Every capability that any of its sets holds, without `CAP_`.
    pub capabilities: BTreeSet<String>,
}

impl ExecProcess {
    /// Reads the JSON of an OCI process.
    ///
    /// # Errors
    /// `Invalid` when it is longer than 1 MiB, no JSON, no process, or names a key in a form that another
    /// reader could take for a second one.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LONGEST {
            return Err(wrong("it is longer than 1 MiB"));
        }
        let raw: RawProcess = serde_json::from_slice(bytes).map_err(|error| wrong(&error.to_string()))?;
        no_doubles(
            &raw.rest,
            &["args", "env", "cwd", "user", "terminal", "capabilities"],
        )?;
        no_doubles(&raw.user.rest, &["uid", "gid", "additionalGids"])?;
        Ok(ExecProcess {
            args: raw.args,
            env: raw.env.unwrap_or_default(),
            cwd: raw.cwd,
            owner: Owner {
                uid: raw.user.uid,
                gid: raw.user.gid,
            },
            groups: raw.user.additional_gids.unwrap_or_default(),
            terminal: raw.terminal,
            capabilities: raw.capabilities.map_or_else(BTreeSet::new, |sets| {
                sets.into_values()
                    .flatten()
                    .flatten()
                    .map(|name| bare(&name))
                    .collect()
            }),
        })
    }
}

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

#[derive(Deserialize)]
struct RawProcess {
    args: Vec<String>,
    #[serde(default)]
    env: Option<Vec<String>>,
    cwd: String,
    user: RawUser,
    #[serde(default)]
    terminal: bool,
    /// Sets by name; whatever the sets are called, none may hold more.
    #[serde(default)]
    capabilities: Option<BTreeMap<String, Option<Vec<String>>>>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct RawUser {
    uid: u32,
    gid: u32,
    #[serde(default, rename = "additionalGids")]
    additional_gids: Option<Vec<u32>>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde::de::IgnoredAny>,
}

/// Refuses keys that Go's decoder would take for one of the known ones: it ignores case, with Unicode's rules.
fn no_doubles(rest: &BTreeMap<String, serde::de::IgnoredAny>, known: &[&str]) -> Result<()> {
    let double = |key: &str| !key.is_ascii() || known.iter().any(|known| known.eq_ignore_ascii_case(key));
    match rest.keys().find(|key| double(key)) {
        Some(key) => Err(wrong(&format!("{} is not a key of it", crate::shown::text(key)))),
        None => Ok(()),
    }
}

fn bare(capability: &str) -> String {
    let upper = capability.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

fn wrong(what: &str) -> Problem {
    Problem::invalid(format!(
        "the added process is not described as OCI wants it: {what}"
    ))
}

#[cfg(test)]
mod tests;
