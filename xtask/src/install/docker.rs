//! The entry in Docker's settings.

use e2e::{Outcome, failure::During};
use serde_json::{Map, Value, json};
use std::{fs, io::ErrorKind, path::Path};

/// What a person adds by hand.
pub(crate) fn lines(runtime: &str) -> String {
    format!(
        "  \"runtimes\": {{ \"cofferdam\": {{ \"path\": \"{runtime}\" }} }},\n  \"default-runtime\": \"cofferdam\""
    )
}

/// Adds the runtime and leaves everything else as it is. The default runtime stays the operator's choice.
pub(crate) fn merge(file: &Path, runtime: &str) -> Outcome {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
        text => text.during(file.display())?,
    };
    let merged = merged(&text, runtime).during(file.display())?;
    let directory = file.parent().during("a directory")?;
    fs::create_dir_all(directory)?;
    let fresh = file.with_extension("json.new");
    fs::write(&fresh, merged)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, file).during(file.display())
}

fn merged(text: &str, runtime: &str) -> Outcome<String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut settings: Map<String, Value> = serde_json::from_str(text)?;
    let runtimes = settings.entry("runtimes").or_insert_with(|| json!({}));
    let runtimes = runtimes.as_object_mut().during("\"runtimes\" is not an object")?;
    runtimes.insert("cofferdam".to_owned(), json!({ "path": runtime }));
    Ok(serde_json::to_string_pretty(&settings)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays() {
        let text = r#"{"log-driver": "local", "runtimes": {"other": {"path": "/x"}}}"#;
        let after: Value = serde_json::from_str(&merged(text, "/r").unwrap()).unwrap();
        assert_eq!(
            after,
            json!({"log-driver": "local", "runtimes": {"other": {"path": "/x"}, "cofferdam": {"path": "/r"}}})
        );
    }

    #[test]
    fn an_empty_file_is_no_settings_and_nonsense_is_refused() {
        assert!(merged("", "/r").unwrap().contains("\"/r\""));
        for text in ["[]", "{\"runtimes\": 7}", "{"] {
            assert!(
                merged(text, "/r").is_err(),
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
