//! A process that is to be added to a running container (`exec --process FILE`), as the OCI runtime specification describes it.
//!
//! The real runtime, written in Go, reads the same bytes again; what the two would read differently is refused.

use crate::{Owner, Problem, Result, json};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The longest description, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// Every key that is read below, in whichever object. One that differs by its case alone is refused.
const KEYS: [&str; 9] = [
    "args",
    "env",
    "cwd",
    "user",
    "uid",
    "gid",
    "additionalGids",
    "terminal",
    "capabilities",
];

/// A process (OCI runtime-spec, config, "Process"), as far as it is judged.
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
    /// Reads its JSON.
    ///
    /// # Errors
    /// `invalid` where it is longer than 16 MiB, no JSON, no process, or could be read as another one.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "the added process";
        if bytes.len() > LENGTH_MAX {
            return Err(Problem::invalid(format!(
                "{WHAT} is described in more than 16 MiB"
            )));
        }
        let raw: RawProcess = json::read_strictly(WHAT, bytes, &KEYS)?;
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
            capabilities: raw
                .capabilities
                .into_iter()
                .flat_map(BTreeMap::into_values)
                .flatten()
                .flatten()
                .map(|name| bare(&name))
                .collect(),
        })
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
}

#[derive(Deserialize)]
struct RawUser {
    uid: u32,
    gid: u32,
    #[serde(default, rename = "additionalGids")]
    additional_gids: Option<Vec<u32>>,
}

fn bare(capability: &str) -> String {
    let upper = capability.to_ascii_uppercase();
    upper.trim_start_matches("CAP_").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// A healthcheck, as an engine describes it.
    const PROCESS: &str = r#"{
        "terminal": false,
        "user": {"uid": 999, "gid": 998, "additionalGids": [997]},
        "args": ["/bin/sh", "-c", "pg_isready"],
        "env": ["PATH=/usr/bin"],
        "cwd": "/",
        "capabilities": {"bounding": ["CAP_CHOWN", "cap_kill"], "effective": null, "Odd": ["SYS_ADMIN"]},
        "noNewPrivileges": false
    }"#;

    #[test]
    fn a_process_is_read() {
        let process = ExecProcess::parse(PROCESS.as_bytes()).unwrap();
        assert_eq!(process.args, ["/bin/sh", "-c", "pg_isready"]);
        assert_eq!((process.owner.uid, process.owner.gid), (999, 998));
        assert_eq!(process.groups, [997]);
        assert!(!process.terminal);
        let held: Vec<_> = process.capabilities.iter().map(String::as_str).collect();
        assert_eq!(
            held,
            ["CHOWN", "KILL", "SYS_ADMIN"],
            "of every set, whatever it is called"
        );
    }

    #[test]
    fn what_go_would_read_differently_is_refused() {
        let second_keys = [
            r#""ARGS": ["sh"]"#,
            r#""Args": ["sh"]"#,
            "\"arg\u{17f}\": [\"sh\"]",
            r#""args": ["sh"]"#,
            r#""User": {"uid": 0, "gid": 0}"#,
            r#""Terminal": true"#,
            r#""Capabilities": {"bounding": ["CAP_SYS_ADMIN"]}"#,
        ];
        for second in second_keys {
            let json = PROCESS.replacen('{', &format!("{{{second},"), 1);
            let problem = ExecProcess::parse(json.as_bytes()).expect_err(second);
            assert_eq!(problem.kind, ErrorKind::Invalid);
        }
        for (old, new) in [
            ("\"gid\": 998", "\"gid\": 998, \"UID\": 0"),
            ("\"gid\": 998", "\"gid\": 998, \"gid\": 0"),
            (
                "\"bounding\":",
                "\"Bounding\": [\"CAP_SYS_ADMIN\"], \"bounding\":",
            ),
        ] {
            assert!(
                ExecProcess::parse(PROCESS.replacen(old, new, 1).as_bytes()).is_err(),
                "{new}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let huge = format!(r#"{{"args":["{}"]}}"#, "x".repeat(LENGTH_MAX));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for json in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"args":[1],"cwd":"/","user":{"uid":0,"gid":0}}"#,
            &huge,
            &deep,
            r#"{"args":["a"],"cwd":"/","user":{"uid":-1,"gid":0}}"#,
            r#"{"args":["a"],"cwd":"/"}"#,
        ] {
            let problem = ExecProcess::parse(json.as_bytes()).unwrap_err();
            assert_eq!(problem.kind, ErrorKind::Invalid);
        }
    }
}
