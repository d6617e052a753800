//! The settings of the daemon and the runtime: one TOML file, every setting with a default.
//!
//! The file is `/etc/cofferdam/config.toml` unless `--config` names another. It must belong to root and be
//! writable by nobody else; the binaries check that before they read it. A file that is missing means all
//! defaults; an unknown setting is an error. `packaging/config.toml` documents each one, and a test holds
//! the two together.

use crate::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where things lie.
    pub paths: PathSettings,
    /// The admin API.
    pub admin: AdminSettings,
    /// The runtime wrapper.
    pub runtime: RuntimeSettings,
    /// The Docker engine.
    pub docker: DockerSettings,
    /// The disk servers of sealed volumes.
    pub disk: DiskSettings,
    /// What unwraps volume keys, besides the host's own identity.
    pub keys: KeySettings,
    /// The policy.
    pub policy: PolicySettings,
    /// What containers are judged for that ask for no volume.
    pub guard: GuardSettings,
    /// The daemon's log.
    pub log: LogSettings,
}

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathSettings {
    /// The registry, the keys, the ledger and the volumes. Survives a reboot.
    pub state: PathBuf,
    /// Sockets and placeholders. Need not survive a reboot.
    pub run: PathBuf,
}

impl Default for PathSettings {
    fn default() -> Self {
        PathSettings {
            state: "/var/lib/cofferdam".into(),
            run: "/run/cofferdam".into(),
        }
    }
}

/// The admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Members of this group may connect to the admin API, beside root.
    pub group: String,
}

impl Default for AdminSettings {
    fn default() -> Self {
        AdminSettings {
            group: "cofferdam".to_owned(),
        }
    }
}

/// The runtime wrapper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeSettings {
    /// The real runtime, runc or crun, as an absolute path.
    pub program: PathBuf,
    /// How long the wrapper waits for the daemon, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        RuntimeSettings {
            program: "/usr/bin/runc".into(),
            timeout_ms: 5_000,
        }
    }
}

/// The Docker engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DockerSettings {
    /// Docker's own state (`docker info`, "Docker Root Dir").
    pub data_root: PathBuf,
    /// Docker's API, asked only when an app is made.
    pub socket: PathBuf,
    /// Where the volume plugin listens. Its file name is the driver's name.
    pub plugin_socket: PathBuf,
}

impl Default for DockerSettings {
    fn default() -> Self {
        DockerSettings {
            data_root: "/var/lib/docker".into(),
            socket: "/var/run/docker.sock".into(),
            plugin_socket: "/run/docker/plugins/cofferdam.sock".into(),
        }
    }
}

/// The disk servers of sealed volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskSettings {
    /// The program, as an absolute path.
    pub program: PathBuf,
}

impl Default for DiskSettings {
    fn default() -> Self {
        DiskSettings {
            program: "/usr/local/sbin/cofferdam-disk".into(),
        }
    }
}

/// What unwraps volume keys, besides the host's own identity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// Files of further age identities, tried in this order: of recovery keys, and of plugins.
    pub identities: Vec<PathBuf>,
    /// A PKCS#11 token, for the keys in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11: Option<TokenSettings>,
}

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The token's library, as an absolute path; it must be root's own.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the token's user PIN, in one line, that nobody but root may touch.
    pub pin_file: PathBuf,
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// The operator's own policies: every `*.cedar` file in this directory, which need not exist.
    pub directory: PathBuf,
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings {
            directory: "/etc/cofferdam/policy".into(),
        }
    }
}

/// What containers are judged for that ask for no volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// Containers that could reach those of others: privileged ones, with the host's devices or process ids, or in another
    /// container's namespaces.
    pub neighbours: Guarding,
    /// Host paths that are bound into containers.
    pub host_paths: Guarding,
    /// Host paths that are forbidden out of the box and may be bound all the same, with what is below them.
    pub allow: Vec<PathBuf>,
    /// Whether every other host path needs a grant; where not, only those do that somebody has a grant on.
    pub host_paths_need_grant: bool,
    /// The runtimes that Docker may be told to start containers by, where it asks us about its clients' requests: by their names in
    /// its daemon.json, each of them ours.
    pub runtimes: Vec<String>,
}

impl Default for GuardSettings {
    fn default() -> Self {
        GuardSettings {
            neighbours: Guarding::default(),
            host_paths: Guarding::default(),
            allow: Vec::new(),
            host_paths_need_grant: false,
            runtimes: vec!["cofferdam".to_owned()],
        }
    }
}

/// What becomes of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarding {
    /// It is refused.
    #[default]
    Enforce,
    /// It is recorded that it would have been refused.
    Observe,
    /// Nobody looks for it.
    Off,
}

/// The daemon's log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged, as a `tracing` filter: `info`, `debug`, `cofferdam_daemon=debug` …
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Where the settings are unless `--config` says otherwise.
    pub const DEFAULT_FILE: &str = "/etc/cofferdam/config.toml";

    /// Parses the file's text.
    ///
    /// # Errors
    /// `invalid` where the text is not TOML, names an unknown setting, or a path is not absolute.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Settings = toml::from_str(text)
            .map_err(|error| Problem::invalid(error.to_string().trim_end().to_owned()))?;
        let paths = [
            ("paths.state", &settings.paths.state),
            ("paths.run", &settings.paths.run),
            ("runtime.program", &settings.runtime.program),
            ("docker.data_root", &settings.docker.data_root),
            ("docker.socket", &settings.docker.socket),
            ("docker.plugin_socket", &settings.docker.plugin_socket),
            ("disk.program", &settings.disk.program),
            ("policy.directory", &settings.policy.directory),
        ];
        let relative = paths
            .into_iter()
            .find(|(_, path)| !path.is_absolute())
            .map(|(name, path)| (name, path.clone()));
        match relative {
            Some((name, path)) => Err(Problem::invalid(format!(
                "{name} is {}, which is not absolute",
                path.display()
            ))
            .remedy("write a path from /")),
            None => Ok(settings),
        }
    }

    /// The admin API's socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.paths.run.join("admin.sock")
    }

    /// It is there as long as somebody has a grant on a volume of Docker's own: the runtime asks about every such volume then.
    pub fn docker_volumes_granted(&self) -> PathBuf {
        self.paths.state.join("docker-volumes-are-granted")
    }

    /// The runtime's socket.
    pub fn runtime_socket(&self) -> PathBuf {
        self.paths.run.join("runtime.sock")
    }

    /// The generations of placeholders are mounted below this.
    pub fn placeholders(&self) -> PathBuf {
        self.paths.run.join("placeholders")
    }

    /// One file for each container that holds a volume, named by the container's id.
    pub fn held(&self) -> PathBuf {
        self.paths.run.join("held")
    }

    /// Where a container's opened mounts appear, in its own mount namespace only.
    pub fn attach(&self) -> PathBuf {
        self.paths.run.join("attach")
    }

    /// The plugin's file name without its ending: the name of the volume driver.
    pub fn driver_name(&self) -> &str {
        self.docker
            .plugin_socket
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or("cofferdam")
    }

    /// The registry's database.
    pub fn registry(&self) -> PathBuf {
        self.paths.state.join("registry.sqlite")
    }

    /// The host's own keys, and those of its tenants.
    pub fn keys(&self) -> PathBuf {
        self.paths.state.join("keys")
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.paths.state.join("ledger")
    }

    /// What is remembered of each sealed volume's store, a file each, named by the volume's id.
    pub fn witnesses(&self) -> PathBuf {
        self.paths.state.join("witnesses")
    }

    /// Where the disk servers take orders, a socket each, named by the volume's id.
    pub fn servers(&self) -> PathBuf {
        self.paths.run.join("servers")
    }

    /// The volumes, one directory each, named by the volume's id.
    pub fn volumes(&self) -> PathBuf {
        self.paths.state.join("volumes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_all_defaults() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn the_documented_file_is_the_default() {
        let documented = include_str!("../../../packaging/config.toml");
        assert_eq!(Settings::parse(documented).unwrap(), Settings::default());
        let uncommented: String = documented
            .lines()
            .map(|line| {
                line.strip_prefix("#")
                    .filter(|rest| rest.contains(" = ") && !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .fold(String::new(), |all, line| all + line + "\n");
        assert_eq!(Settings::parse(&uncommented).unwrap(), Settings::default());
        let written = toml::to_string(&Settings::default()).unwrap();
        for setting in written.lines().filter(|line| line.contains(" = ")) {
            assert!(
                uncommented.contains(setting),
                "packaging/config.toml does not name {setting}"
            );
        }
    }

    #[test]
    fn typing_errors_are_refused() {
        assert!(Settings::parse("[runtime]\nprogramm = \"/usr/bin/runc\"").is_err());
        assert!(Settings::parse("[runtime]\nprogram = \"runc\"").is_err());
        assert!(Settings::parse("[runtime").is_err());
    }
}
