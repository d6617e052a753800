//! The entry in Docker's settings.

use e2e::{Failure, Outcome, failure::During};
use serde_json::{Map, Value, json};
use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

/// What a person adds by hand.
pub(crate) fn lines(runtime: &str) -> String {
    format!(
        "  \"runtimes\": {{ \"cofferdam\": {{ \"path\": \"{runtime}\" }} }},\n  \"default-runtime\": \"cofferdam\""
    )
}

/// Adds the runtime and leaves everything else as it is. The default runtime stays the operator's choice.
///
/// With `asking`, Docker also asks Cofferdam about whatever its clients ask. Then the default runtime must be ours, for clients may
/// leave it out; where another one is the operator's choice, that is an error.
pub(crate) fn merge(file: &Path, runtime: &str, asking: bool) -> Outcome {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
        text => text.during(file.display())?,
    };
    let merged = merged(&text, runtime, asking).during(file.display())?;
    // It may be a link, and may be for root's eyes alone: a proxy's password lies in such files.
    let link = fs::read_link(file).ok();
    let file = &link.map_or_else(|| file.to_owned(), |target| file.with_file_name(target));
    let directory = file.parent().during("a directory")?;
    fs::create_dir_all(directory)?;
    let fresh = file.with_extension("json.new");
    fs::write(&fresh, merged)?;
    if let Ok(before) = fs::metadata(file) {
        fs::set_permissions(&fresh, before.permissions())?;
        std::os::unix::fs::chown(&fresh, Some(before.uid()), Some(before.gid()))?;
    }
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, file).during(file.display())
}

fn merged(text: &str, runtime: &str, asking: bool) -> Outcome<String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut settings: Map<String, Value> = serde_json::from_str(text)?;
    let runtimes = settings.entry("runtimes").or_insert_with(|| json!({}));
    let runtimes = runtimes.as_object_mut().during("\"runtimes\" is not an object")?;
    runtimes.insert("cofferdam".to_owned(), json!({ "path": runtime }));
    if asking {
        ask(&mut settings)?;
    }
    Ok(serde_json::to_string_pretty(&settings)? + "\n")
}

fn ask(settings: &mut Map<String, Value>) -> Outcome {
    let default = settings
        .entry("default-runtime")
        .or_insert_with(|| json!("cofferdam"));
    if default != "cofferdam" {
        return Err(Failure::new(format!(
            "\"default-runtime\" is {default}, by which containers would start that name none; make it \"cofferdam\""
        )));
    }
    let plugins = settings
        .entry("authorization-plugins")
        .or_insert_with(|| json!([]));
    let plugins = plugins
        .as_array_mut()
        .during("\"authorization-plugins\" is not a list")?;
    if !plugins.iter().any(|plugin| plugin == "cofferdam") {
        plugins.push(json!("cofferdam"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_stays_whose_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("real.json"), place.path().join("daemon.json"));
        fs::write(&real, "{}").unwrap();
        fs::set_permissions(&real, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        merge(&link, "/r", false).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&real).unwrap().contains("/r"));
    }

    #[test]
    fn what_was_there_stays() {
        let text = r#"{"log-driver": "local", "runtimes": {"other": {"path": "/x"}}}"#;
        let after: Value = serde_json::from_str(&merged(text, "/r", false).unwrap()).unwrap();
        assert_eq!(
            after,
            json!({"log-driver": "local", "runtimes": {"other": {"path": "/x"}, "cofferdam": {"path": "/r"}}})
        );
    }

    #[test]
    fn docker_asks_beside_whom_it_asked_already() {
        let after =
            |text: &str| -> Value { serde_json::from_str(&merged(text, "/r", true).unwrap()).unwrap() };
        let runtimes = json!({"cofferdam": {"path": "/r"}});
        let expected = json!({"runtimes": runtimes, "default-runtime": "cofferdam", "authorization-plugins": ["cofferdam"]});
        assert_eq!(after("{}"), expected);
        assert_eq!(after(&expected.to_string()), expected);
        let other = after(r#"{"authorization-plugins": ["opa"]}"#);
        assert_eq!(other["authorization-plugins"], json!(["opa", "cofferdam"]));
        for text in [
            r#"{"default-runtime": "runc"}"#,
            r#"{"authorization-plugins": "opa"}"#,
        ] {
            assert!(merged(text, "/r", true).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_file_is_no_settings_and_nonsense_is_refused() {
        assert!(merged("", "/r", false).unwrap().contains("\"/r\""));
        for text in ["[]", "{\"runtimes\": 7}", "{"] {
            assert!(
                merged(text, "/r", false).is_err(),
                "{text} was taken for Docker's settings"
            );
        }
    }

    #[test]
    fn the_lines_for_a_person_are_json() {
        let whole = format!("{{\n{}\n}}", lines("/r"));
        assert!(serde_json::from_str::<Value>(&whole).is_ok(), "{whole}");
    }
}
