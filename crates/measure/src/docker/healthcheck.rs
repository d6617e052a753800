//! A healthcheck, as images and containers of Docker's have it, and what Docker makes of it.

use serde::Deserialize;

/// What Docker runs beside the first process now and then. A container has its image's where it was given none.
#[derive(Default, Deserialize)]
pub(super) struct Checked {
    #[serde(rename = "Shell", default)]
    shell: Option<Vec<String>>,
    #[serde(rename = "Healthcheck", default)]
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
struct Healthcheck {
    #[serde(rename = "Test", default)]
    test: Option<Vec<String>>,
}

impl Checked {
    /// The argv that Docker execs; none where it execs nothing.
    pub(super) fn argv(&self) -> Option<Vec<String>> {
        let test = self.healthcheck.as_ref()?.test.as_deref()?;
        match test {
            [kind, argv @ ..] if kind == "CMD" && !argv.is_empty() => Some(argv.to_vec()),
            [kind, text] if kind == "CMD-SHELL" => {
                let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = self
                    .shell
                    .clone()
                    .filter(|shell| !shell.is_empty())
                    .unwrap_or_else(default);
                Some(shell.into_iter().chain([text.clone()]).collect())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Vec<String>> {
        serde_json::from_str::<Checked>(text).unwrap().argv()
    }

    #[test]
    fn healthchecks_become_what_docker_execs() {
        assert_eq!(
            of(r#"{"Healthcheck":{"Test":["CMD","pg_isready"]}}"#).unwrap(),
            ["pg_isready"]
        );
        assert_eq!(
            of(r#"{"Healthcheck":{"Test":["CMD-SHELL","x || exit 1"]}}"#).unwrap(),
            ["/bin/sh", "-c", "x || exit 1"]
        );
        assert_eq!(
            of(r#"{"Shell":["/bin/bash","-ec"],"Healthcheck":{"Test":["CMD-SHELL","x"]}}"#).unwrap(),
            ["/bin/bash", "-ec", "x"]
        );
        for none in [
            r"{}",
            r#"{"Healthcheck":{}}"#,
            r#"{"Healthcheck":{"Test":[]}}"#,
            r#"{"Healthcheck":{"Test":["NONE"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD"]}}"#,
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
