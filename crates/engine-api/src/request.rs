//! Which road a request takes, and what it wishes for there.
//!
//! Roads that are not named here change nothing on the host but what Docker keeps of containers, images and networks; what they
//! start passes a runtime, or is a build's step, which has nothing of the host's.

use crate::json::{self, Value};
use crate::target::Target;
use crate::{container, local};
use cofferdam_model::{Problem, Result};

/// The most wishes in one request.
const WISHES_MAX: usize = 512;

/// A request, as an engine tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URI, as it was sent.
    pub uri: &'a str,
    /// Its body, as far as it was passed on: an engine leaves out what is long, comes in chunks, or does not say that it is JSON.
    pub body: &'a [u8],
}

/// Something that matters in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To have a container started by this runtime.
    Runtime(String),
    /// To have a path of the host's bound.
    HostPath {
        /// The path, from `/`.
        source: String,
        /// Where it would be, for people.
        destination: String,
    },
    /// To have Docker mount a filesystem.
    Filesystem {
        /// Its type, as in mount(8).
        kind: String,
        /// From what.
        device: String,
    },
    /// To have the volume of this name in a container; without a name, a fresh one.
    Volume(String),
    /// To make a volume of this name, of this driver.
    NewVolume {
        /// Its name; Docker makes one up where it is empty.
        name: String,
        /// The driver's.
        driver: String,
    },
    /// To remove the volume of this name.
    NoVolume(String),
    /// To start a process with every capability, in this container.
    PrivilegedProcess(String),
    /// To copy into or out of this container, for which Docker mounts by itself what the container would have.
    Copy(String),
    /// To install, change or start a plugin of Docker's, which runs on the host with whatever rights it asks for.
    Plugin,
    /// To make this host part of a swarm, whose managers start containers without asking Docker's API of this host.
    Swarm,
    /// To have the memory of a container, written, read or removed in a directory of the host's.
    Checkpoint(String),
}

impl Wish {
    /// What a mount by Docker's own volume driver wishes for, by what Docker keeps of a volume's options.
    ///
    /// # Errors
    /// `invalid` where it cannot be understood.
    pub fn of_local_volume(kind: &str, device: &str, options: &str) -> Result<Option<Wish>> {
        match kind.is_empty() && device.is_empty() {
            true => Ok(None),
            false => local::mount(kind, device, options).map(Some),
        }
    }
}

impl Request<'_> {
    /// Everything in it that matters.
    ///
    /// # Errors
    /// `invalid` where it takes a road that matters and cannot be understood.
    pub fn wishes(&self) -> Result<Vec<Wish>> {
        let target = Target::parse(self.uri)?;
        if target.old && !matches!(self.method, "GET" | "HEAD" | "OPTIONS") {
            return Err(
                Problem::invalid("it is written for an API from before 1.24 (Docker 1.12)")
                    .remedy("use a newer client"),
            );
        }
        let parts: Vec<&str> = target.parts.iter().map(String::as_str).collect();
        let wishes = match (self.method, parts.as_slice()) {
            ("POST", ["containers", "create"]) => container::create(&self.body()?)?,
            ("POST", ["containers", name @ .., "exec"]) if !name.is_empty() => {
                let privileged = self.body()?.flag("Privileged")?;
                privileged
                    .then(|| Wish::PrivilegedProcess(name.join("/")))
                    .into_iter()
                    .collect()
            }
            ("POST", ["containers", name @ .., "start"]) if !name.is_empty() => {
                checkpoint(target.asked("checkpoint-dir"), target.asked("checkpoint"))
            }
            ("POST", ["containers", name @ .., "checkpoints"]) if !name.is_empty() => {
                let body = self.body()?;
                checkpoint(body.text("CheckpointDir")?, body.text("CheckpointID")?)
            }
            ("GET", ["containers", .., "checkpoints"]) => checkpoint(target.asked("dir"), ""),
            ("DELETE", ["containers", _, "checkpoints", name]) => checkpoint(target.asked("dir"), name),
            ("GET" | "HEAD" | "PUT", ["containers", name @ .., "archive"]) if !name.is_empty() => {
                vec![Wish::Copy(name.join("/"))]
            }
            ("POST", ["volumes", "create"]) => new_volume(&self.body()?)?,
            ("DELETE", ["volumes", name @ ..]) => vec![Wish::NoVolume(name.join("/"))],
            ("POST", ["plugins", "pull" | "create"]) => vec![Wish::Plugin],
            ("POST", ["plugins", .., "enable" | "upgrade" | "set"]) => vec![Wish::Plugin],
            ("POST", ["swarm", "init" | "join"]) => vec![Wish::Swarm],
            ("POST", ["services", "create"] | ["services", _, "update"]) => {
                container::service(&self.body()?)?
            }
            _ => Vec::new(),
        };
        if wishes.len() > WISHES_MAX {
            return Err(Problem::invalid(format!(
                "it asks for more than {WISHES_MAX} things at once"
            )));
        }
        Ok(wishes)
    }

    /// The body of a request that means nothing without one.
    fn body(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Err(Problem::invalid("its body did not arrive")
                .remedy("send it whole, as application/json, with its length, and shorter than 1 MiB"));
        }
        json::first(self.body)
    }
}

/// The directory that a checkpoint would be in, where it is not the container's own. The name is a part of a path too, and Docker
/// does not look at it closely.
fn checkpoint(directory: &str, name: &str) -> Vec<Wish> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let leads_elsewhere = name.starts_with('.') || !name.bytes().all(is_name);
    match (directory, leads_elsewhere) {
        ("", false) => Vec::new(),
        ("", true) => vec![Wish::Checkpoint(name.to_owned())],
        (directory, _) => vec![Wish::Checkpoint(directory.to_owned())],
    }
}

fn new_volume(body: &Value) -> Result<Vec<Wish>> {
    let driver = body.text("Driver")?.to_owned();
    let options = body.field("DriverOpts")?;
    let mounted = match local::is_local(&driver) {
        true => local::wish(options)?,
        false => None,
    };
    let name = body.text("Name")?.to_owned();
    Ok(mounted
        .into_iter()
        .chain([Wish::NewVolume { name, driver }])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(method: &str, uri: &str, body: &str) -> Result<Vec<Wish>> {
        Request {
            method,
            uri,
            body: body.as_bytes(),
        }
        .wishes()
    }

    #[test]
    fn requests_that_carry_no_danger_wish_for_nothing() {
        for (method, uri) in [
            ("GET", "/_ping"),
            ("GET", "/v1.41/containers/json"),
            ("GET", "/containers/create"),
            ("POST", "/v1.41/containers/x/start"),
            ("POST", "/v1.41/containers/x/update"),
            ("POST", "/v1.41/containers/x/attach?stream=1"),
            ("POST", "/exec/x/start"),
            ("POST", "/build?dockerfile=x"),
            ("POST", "/session"),
            ("POST", "/grpc"),
            ("POST", "/images/create?fromImage=x"),
            ("POST", "/plugins/x/disable"),
            ("POST", "/containers/x/checkpoint"),
            ("GET", "/v1.20/images/a/b/json"),
            ("OPTIONS", "/v1.20/x"),
        ] {
            assert_eq!(wishes(method, uri, ""), Ok(Vec::new()), "{method} {uri}");
        }
    }

    #[test]
    fn each_road_has_its_wish() {
        let text = str::to_owned;
        for (method, uri, body, expected) in [
            (
                "POST",
                "/containers/create",
                r#"{"HostConfig": {"Runtime": "r"}}"#,
                Wish::Runtime(text("r")),
            ),
            (
                "POST",
                "/containers/a/b/exec",
                r#"{"privileged": true}"#,
                Wish::PrivilegedProcess(text("a/b")),
            ),
            (
                "POST",
                "/containers/a/start?checkpoint-dir=/x",
                "",
                Wish::Checkpoint(text("/x")),
            ),
            (
                "POST",
                "/containers/a/checkpoints",
                r#"{"CheckpointDir": "/x"}"#,
                Wish::Checkpoint(text("/x")),
            ),
            (
                "GET",
                "/containers/a/checkpoints?dir=/x",
                "",
                Wish::Checkpoint(text("/x")),
            ),
            (
                "DELETE",
                "/containers/a/checkpoints/c?dir=/x",
                "",
                Wish::Checkpoint(text("/x")),
            ),
            ("GET", "/containers/a/archive?path=/x", "", Wish::Copy(text("a"))),
            (
                "HEAD",
                "/v1.20/containers/a/archive?path=/x",
                "",
                Wish::Copy(text("a")),
            ),
            ("PUT", "/containers/a/archive?path=/x", "", Wish::Copy(text("a"))),
            ("DELETE", "/volumes/a.b?force=1", "", Wish::NoVolume(text("a.b"))),
            ("POST", "/plugins/pull?remote=x", "", Wish::Plugin),
            ("POST", "/plugins/create?name=x", "", Wish::Plugin),
            ("POST", "/plugins/a/b/enable", "", Wish::Plugin),
            ("POST", "/plugins/x/upgrade", "", Wish::Plugin),
            ("POST", "/plugins/x/set", "[]", Wish::Plugin),
            ("POST", "/swarm/init", "{}", Wish::Swarm),
            ("POST", "/swarm/join", "", Wish::Swarm),
            (
                "POST",
                "/services/create",
                r#"{"TaskTemplate": {"PluginSpec": {}}}"#,
                Wish::Plugin,
            ),
            (
                "POST",
                "/services/x/update",
                r#"{"TaskTemplate": {"PluginSpec": {}}}"#,
                Wish::Plugin,
            ),
        ] {
            assert_eq!(wishes(method, uri, body), Ok(vec![expected]), "{method} {uri}");
        }
        let volume =
            r#"{"Name": "n", "Driver": "local", "DriverOpts": {"type": "ext4", "device": "/dev/x"}}"#;
        let (kind, device) = (text("ext4"), text("/dev/x"));
        let (name, driver) = (text("n"), text("local"));
        assert_eq!(
            wishes("POST", "/volumes/create", volume),
            Ok(vec![
                Wish::Filesystem { kind, device },
                Wish::NewVolume { name, driver }
            ])
        );
    }

    #[test]
    fn a_checkpoints_name_leads_nowhere_else() {
        let (body, away) = (r#"{"CheckpointID": "../x"}"#, Wish::Checkpoint("../x".to_owned()));
        for (method, uri, body) in [
            ("POST", "/containers/a/start?checkpoint=../x", ""),
            ("POST", "/containers/a/start?checkpoint=%2E%2E%2Fx", ""),
            ("POST", "/containers/a/checkpoints", body),
        ] {
            assert_eq!(
                wishes(method, uri, body),
                Ok(vec![away.clone()]),
                "{method} {uri}"
            );
        }
        for (method, uri, body) in [
            ("POST", "/containers/a/start?checkpoint=first.1", ""),
            (
                "POST",
                "/containers/a/checkpoints",
                r#"{"CheckpointID": "first"}"#,
            ),
            ("DELETE", "/containers/a/checkpoints/first", ""),
        ] {
            assert_eq!(wishes(method, uri, body), Ok(Vec::new()), "{method} {uri}");
        }
    }

    #[test]
    fn where_the_body_decides_it_must_be_there() {
        for uri in [
            "/containers/create",
            "/containers/create?x=/auth",
            "/containers/x/exec",
            "/containers/x/checkpoints",
            "/volumes/create",
            "/services/create",
            "/services/x/update",
        ] {
            let refused = wishes("POST", uri, "").unwrap_err().to_string();
            assert!(refused.contains("did not arrive"), "{uri}: {refused}");
        }
    }

    #[test]
    fn an_old_api_is_not_spoken() {
        for uri in [
            "/v1.23/containers/x/start",
            "/v1.18/containers/x/copy",
            "/v1.23/containers/create",
        ] {
            assert!(wishes("POST", uri, "{}").is_err(), "{uri}");
        }
    }

    #[test]
    fn a_request_asks_for_only_so_much() {
        let binds = |count: usize| {
            let binds = vec!["\"/srv:/x\""; count].join(",");
            wishes(
                "POST",
                "/containers/create",
                &format!(r#"{{"Binds": [{binds}]}}"#),
            )
        };
        assert!(binds(WISHES_MAX).is_ok() && binds(WISHES_MAX + 1).is_err());
    }
}
