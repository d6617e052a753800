//! config.json as the real runtime reads it: the bundle's own, but for the sources of what was opened, what that is restricted to,
//! and the ticket.

use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{Problem, Result, TICKET_ANNOTATION, TICKET_VARIABLE};
use serde_json::Value;
use std::path::Path;

/// A mount that config.json does not have.
pub(crate) fn unknown(index: usize) -> Problem {
    Problem::internal(format!(
        "cofferdamd opened mount {index}, which config.json does not have"
    ))
}

/// Points one mount of config.json at what is placed for it. Every other field stays as it is.
///
/// # Errors
/// `internal` where there is no such mount.
pub(crate) fn redirect(config: &mut Value, index: usize, place: &Path) -> Result<()> {
    let mount = config
        .get_mut("mounts")
        .and_then(|mounts| mounts.get_mut(index))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| unknown(index))?;
    let source = place.join(index.to_string());
    mount.insert(
        "source".to_owned(),
        Value::from(source.to_string_lossy().into_owned()),
    );
    Ok(())
}

/// Adds to a volume's options what it is restricted to.
pub(crate) fn restrict(config: &mut Value, opened: &OpenedMount) {
    let mount = config
        .get_mut("mounts")
        .and_then(|mounts| mounts.get_mut(opened.mount))
        .and_then(Value::as_object_mut);
    let Some(mount) = mount else { return };
    let asked = mount
        .get("options")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    mount.insert("options".to_owned(), restricted(asked, opened.read_only));
}

/// A ticket is for the daemon, not for what runs in the container.
pub(crate) fn take_ticket(config: &mut Value) {
    let is_ticket = |entry: &Value| {
        let name = entry
            .as_str()
            .and_then(|entry| entry.split_once('='))
            .map(|(name, _)| name);
        name == Some(TICKET_VARIABLE)
    };
    if let Some(env) = config.pointer_mut("/process/env").and_then(Value::as_array_mut) {
        env.retain(|entry| !is_ticket(entry));
    }
    if let Some(annotations) = config.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(TICKET_ANNOTATION);
    }
}

/// The options with what the opened mount is restricted to. A runtime that remounts with other options would
/// take the restrictions away, so they have to be among them.
fn restricted(asked: &[Value], read_only: bool) -> Value {
    let loosens = |option: &str| {
        matches!(option, "suid" | "dev" | "rsuid" | "rdev") || (read_only && matches!(option, "rw" | "rrw"))
    };
    let kept = asked
        .iter()
        .filter(|option| !option.as_str().is_some_and(loosens))
        .cloned();
    let added = ["nosuid", "nodev"].into_iter().chain(read_only.then_some("ro"));
    kept.chain(added.map(Value::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_opened_mount_changes() {
        let mut config = json!({"ociVersion": "1.0.2", "x-unknown": [1, 18_446_744_073_709_551_615_u64], "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/p/a.b", "options": ["rbind", "rw", "suid"], "x-more": null}]});
        let opened = OpenedMount {
            mount: 1,
            read_only: true,
        };
        redirect(&mut config, 1, Path::new("/run/cofferdam/attach")).unwrap();
        restrict(&mut config, &opened);
        let expected = json!({"ociVersion": "1.0.2", "x-unknown": [1, 18_446_744_073_709_551_615_u64], "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/run/cofferdam/attach/1",
             "options": ["rbind", "nosuid", "nodev", "ro"], "x-more": null}]});
        assert_eq!(config.to_string(), expected.to_string());
    }

    #[test]
    fn a_mount_that_is_not_there_is_refused() {
        let mut config = json!({"mounts": []});
        assert!(redirect(&mut config, 0, Path::new("/x")).is_err());
    }

    #[test]
    fn a_ticket_is_taken_away_and_nothing_else() {
        let mut config = json!({"process": {"args": ["a"], "env": ["A=b", "COFFERDAM_TICKET=x=y", "COFFERDAM_TICKETS=z", 7]},
            "annotations": {"a": "b", "dev.cofferdam.ticket": "x"}});
        take_ticket(&mut config);
        let expected = json!({"process": {"args": ["a"], "env": ["A=b", "COFFERDAM_TICKETS=z", 7]}, "annotations": {"a": "b"}});
        assert_eq!(config, expected);
        let mut odd = json!({"process": 7, "annotations": [1]});
        take_ticket(&mut odd);
        assert_eq!(odd, json!({"process": 7, "annotations": [1]}));
    }

    #[test]
    fn writable_stays_writable() {
        assert_eq!(
            restricted(&[json!("bind"), json!("rw")], false),
            json!(["bind", "rw", "nosuid", "nodev"])
        );
    }
}
