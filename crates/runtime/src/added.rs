//! Processes that are added to a container that holds no volume: they must not be able to reach more than the container could, or
//! `exec --privileged` would be the way past what containers are judged for when they start.

use crate::{arguments::Invocation, verbs};
use cofferdam_linux::file;
use cofferdam_model::{ContainerId, ExecProcess, Privilege, Problem, Result, Settings};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The longest state of a runtime, in bytes.
const STATE_MAX: usize = 64 << 20;

/// Refuses a process with a capability that reaches out, and that its container was not started with.
///
/// # Errors
/// `denied`, naming them; also where nobody can tell what the container was started with.
pub(crate) fn refuse_more_than_it_has(settings: &Settings, invocation: &Invocation) -> Result<()> {
    let asked = match invocation.exec_process()? {
        Some(path) => ExecProcess::parse(&verbs::read_process(&path)?)?.capabilities,
        None => bare(invocation.exec_capabilities()?.iter().map(String::as_str)),
    };
    let reaching: Vec<String> = asked
        .into_iter()
        .filter(|name| Privilege::Capability(name.clone()).reaches_out())
        .collect();
    if reaching.is_empty() {
        return Ok(());
    }
    let root = verbs::runtime_root(settings, invocation);
    let held = invocation
        .possible_containers()
        .find_map(|container| started_with(&root, &container))
        .unwrap_or_default();
    let more: Vec<&str> = reaching
        .iter()
        .filter(|name| !held.contains(*name))
        .map(String::as_str)
        .collect();
    match more.as_slice() {
        [] => Ok(()),
        more => Err(Problem::denied(format!(
            "the added process would hold {}, which reaches out of the container, and which that was not started with",
            more.join(", ")
        ))
        .remedy("add it without --privileged")),
    }
}

/// The capabilities of a container, by the runtime's own state (runc's `state.json`; crun's `status` names the bundle).
fn started_with(root: &Path, container: &ContainerId) -> Option<BTreeSet<String>> {
    let directory = root.join(container.as_str());
    if let Ok(state) = read(&directory.join("state.json")) {
        return Some(capabilities(&state, "/config/capabilities"));
    }
    let status = read(&directory.join("status")).ok()?;
    let bundle = status.get("bundle").and_then(Value::as_str)?;
    let config = read(&Path::new(bundle).join("config.json")).ok()?;
    Some(capabilities(&config, "/process/capabilities"))
}

fn read(path: &Path) -> io::Result<Value> {
    let bytes = file::read_limited(file::open_trusted(path)?, STATE_MAX)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// All names in all sets.
fn capabilities(document: &Value, pointer: &str) -> BTreeSet<String> {
    let sets = document.pointer(pointer).and_then(Value::as_object);
    let lists = sets.into_iter().flat_map(|sets| sets.values());
    bare(
        lists
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str),
    )
}

fn bare<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let upper = names.map(str::to_ascii_uppercase);
    upper
        .map(|name| name.trim_start_matches("CAP_").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn refused(container_has: &str, words: &str, process: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::create_dir(dir.path().join("a1")).unwrap();
        let state = format!(r#"{{"config":{{"capabilities":{{"Bounding":[{container_has}]}}}}}}"#);
        std::fs::write(dir.path().join("a1/state.json"), state).unwrap();
        std::fs::write(dir.path().join("p"), process).unwrap();
        let line = format!(
            "--root {} exec {} a1",
            path(""),
            words.replace("FILE", &path("p"))
        );
        let given: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let invocation = Invocation::parse(&given).unwrap();
        refuse_more_than_it_has(&Settings::default(), &invocation).is_err()
    }

    #[test]
    fn an_added_process_reaches_no_further_than_its_container() {
        let with = |capabilities: &str| {
            format!(r#"{{"args":["sh"],"cwd":"/","user":{{"uid":0,"gid":0}},{capabilities}}}"#)
        };
        let all = &with(r#""capabilities":{"effective":["CAP_SYS_ADMIN","CAP_KILL"]}"#);
        let few = &with(r#""capabilities":{"effective":["CAP_KILL"]}"#);
        for hidden in [
            r#""Capabilities":{"effective":["CAP_SYS_ADMIN"]}"#,
            r#""capabilities":{},"capabilities":{"effective":["CAP_SYS_ADMIN"]}"#,
        ] {
            assert!(
                refused(r#""CAP_KILL""#, "--process FILE", &with(hidden)),
                "{hidden}"
            );
        }
        assert!(refused(r#""CAP_KILL""#, "--process FILE", all));
        assert!(!refused(r#""CAP_SYS_ADMIN""#, "--process FILE", all));
        assert!(!refused(r#""CAP_KILL""#, "--process FILE", few));
        assert!(refused(r#""CAP_KILL""#, "--cap CAP_SYS_ADMIN", ""));
        assert!(!refused(r#""CAP_KILL""#, "--tty", ""));
        assert!(refused("", "--process FILE", all));
    }
}
