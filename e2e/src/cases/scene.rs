//! What a case starts from: a tenant of its own, words for the usual steps, and a host that must be clean
//! again when the curtain falls.

use super::Launch;
use crate::{
    Host, Outcome, Ran,
    command::Running,
    failure::{During, ensure},
    host::STATE,
    process::{until, with_arguments},
};
use serde_json::Value;
use std::{fs, path::PathBuf, time::Duration};

/// How long a lease may outlive its container.
const RELEASE: Duration = Duration::from_secs(5);

/// One case's part of the host.
#[derive(Debug)]
pub struct Scene<'h> {
    /// The host.
    pub host: &'h mut Host,
    tenant: String,
}

impl<'h> Scene<'h> {
    /// A scene for this tenant, which nobody else uses.
    pub fn new(host: &'h mut Host, tenant: String) -> Self {
        Scene { host, tenant }
    }

    /// Makes the tenant.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn open(&mut self) -> Outcome {
        if !self.host.daemon.runs() {
            self.host.daemon.start()?;
        }
        self.cofferdam(&["tenant", "create", &self.tenant])?
            .ok()
            .map(drop)
    }

    /// Removes what is left and sees that nothing stays behind.
    ///
    /// # Errors
    /// Where something does.
    pub fn close(&mut self) -> Outcome {
        if !self.host.daemon.runs() {
            self.host.daemon.start()?;
        }
        self.host.daemon.thaw()?;
        self.host.remove_containers()?;
        let clean = self.nothing_is_held();
        for volume in self.volumes()? {
            self.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
        }
        for app in self.apps()? {
            self.cofferdam(&["app", "rm", &app])?.ok()?;
        }
        for grant in self
            .cofferdam(&["host-path", "ls", "--json"])?
            .ok()?
            .json()?
            .as_array()
            .into_iter()
            .flatten()
        {
            if let (Some(path), Some(app)) = (grant["path"].as_str(), grant["app"].as_str()) {
                self.cofferdam(&["host-path", "revoke", path, "--from", app])?
                    .ok()?;
            }
        }
        clean
    }

    /// A name of the tenant's: `t7.data`.
    pub fn named(&self, label: &str) -> String {
        format!("{}.{label}", self.tenant)
    }

    /// Runs `docker …`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn docker(&self, arguments: &[&str]) -> Outcome<Ran> {
        self.host.docker(arguments)
    }

    /// Runs `cofferdam …`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn cofferdam(&self, arguments: &[&str]) -> Outcome<Ran> {
        self.host.cofferdam(arguments)
    }

    /// Makes an app from an image, with more arguments (`-- argv…` last).
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn app(&self, label: &str, image: &str, more: &[&str]) -> Outcome<String> {
        let name = self.named(label);
        let mut arguments = vec!["app", "create", &name, "--image", image];
        arguments.extend(more);
        self.cofferdam(&arguments)?.ok()?;
        Ok(name)
    }

    /// Makes a volume.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn volume(&self, label: &str, more: &[&str]) -> Outcome<String> {
        let name = self.named(label);
        let mut arguments = vec!["volume", "create", &name];
        arguments.extend(more);
        self.cofferdam(&arguments)?.ok()?;
        Ok(name)
    }

    /// Lets an app open a volume.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn grant(&self, volume: &str, app: &str, more: &[&str]) -> Outcome {
        let mut arguments = vec!["grant", volume, app];
        arguments.extend(more);
        self.cofferdam(&arguments)?.ok().map(drop)
    }

    /// The usual start: volume `data`, app `app` that is `tiny:1` with its own command, and a grant.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn usual(&self) -> Outcome<String> {
        self.usual_of(&[])
    }

    /// The same with a plain volume, for what looks at its files while nobody holds it.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn usual_plain(&self) -> Outcome<String> {
        self.usual_of(&["--plain"])
    }

    /// The same with a volume that is made with these options.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn usual_of(&self, options: &[&str]) -> Outcome<String> {
        let volume = self.volume("data", options)?;
        let app = self.app("app", "tiny:1", &[])?;
        self.grant(&volume, &app, &[])?;
        Ok(volume)
    }

    /// Beside it an app `keeper`, that is `tiny:1` with `/bin/keep`.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn keeper(&self, volume: &str, more: &[&str]) -> Outcome<String> {
        let app = self.app("keeper", "tiny:1", &["--", "/bin/keep"])?;
        self.grant(volume, &app, more)?;
        Ok(app)
    }

    /// An app that is `tiny:1` with `sh -c script`, granted.
    ///
    /// # Errors
    /// Where the daemon refuses.
    pub fn script(&self, label: &str, volume: &str, script: &str, more: &[&str]) -> Outcome<String> {
        let app = self.app(label, "tiny:1", &["--", "sh", "-c", script])?;
        self.grant(volume, &app, more)?;
        Ok(app)
    }

    /// `docker run --rm --runtime cofferdam -v VOLUME:/data OPTIONS… IMAGE ARGV…`, to its end.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(&self, volume: &str, options: &[&str], image: &str, argv: &[&str]) -> Outcome<Ran> {
        with_data(volume, options, image, argv).run(self)
    }

    /// The same with the usual image and its own command.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run_usual(&self, volume: &str) -> Outcome<Ran> {
        self.run(volume, &["--user", "1000"], "tiny:1", &[])
    }

    /// Starts the keeper and waits until it holds its data; answers the container's id.
    ///
    /// # Errors
    /// Where it does not come to that.
    pub fn hold(&self, volume: &str, options: &[&str]) -> Outcome<String> {
        let id = with_data(volume, options, "tiny:1", &["/bin/keep"]).detached(self)?;
        until("the keeper holds its data", RELEASE, || {
            self.docker(&["logs", &id])
                .is_ok_and(|logs| logs.out.contains("holds"))
        })
        .during(self.docker(&["logs", &id])?.said())?;
        Ok(id)
    }

    /// Starts `docker run` with another runtime and does not wait for it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn begin(&self, runtime: &str, volume: &str, options: &[&str], argv: &[&str]) -> Outcome<Running> {
        with_data(volume, options, "tiny:1", argv).by(runtime).begin(self)
    }

    /// Everything that is held, as `cofferdam --json attachments` says.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn attachments(&self) -> Outcome<Vec<Value>> {
        let found = self.cofferdam(&["--json", "attachments"])?.ok()?.json()?;
        Ok(found.as_array().during("a list of attachments")?.clone())
    }

    /// Where root can look into a volume's data: a plain one's directory on the host's disk; a sealed one's, while it is open,
    /// through its disk server's own mount namespace.
    ///
    /// # Errors
    /// Where there is no such volume, or a sealed one is not open.
    pub fn on_disk(&self, volume: &str) -> Outcome<PathBuf> {
        let kept = self.directory_of(volume)?;
        if kept.join("store").is_dir() {
            let server = self.server_of(volume)?;
            return Ok(PathBuf::from(format!("/proc/{server}/root/volume/data")));
        }
        let data = kept.join("data");
        Ok(if data.is_dir() { data } else { kept })
    }

    /// The process that has a sealed volume open.
    ///
    /// # Errors
    /// Where there is none.
    pub fn server_of(&self, volume: &str) -> Outcome<u32> {
        let directory = self.directory_of(volume)?;
        let id = directory
            .file_name()
            .and_then(|name| name.to_str())
            .during("an id")?;
        with_arguments(&["cofferdam-disk", " open ", id])
            .into_iter()
            .next()
            .during(format!("{volume} is not open"))
    }

    /// The directory that holds all that the host has of a volume.
    ///
    /// # Errors
    /// Where there is no such volume.
    pub fn directory_of(&self, volume: &str) -> Outcome<PathBuf> {
        let shown = self
            .cofferdam(&["--json", "volume", "show", volume])?
            .ok()?
            .json()?;
        let id = shown
            .pointer("/volume/id")
            .and_then(Value::as_str)
            .during("the volume's id")?;
        Ok(PathBuf::from(STATE).join("volumes").join(id))
    }

    /// Waits until nobody holds anything, and sees that no trace of it is left.
    ///
    /// # Errors
    /// Where something stays.
    pub fn nothing_is_held(&self) -> Outcome {
        until("every lease is released", RELEASE, || {
            self.attachments().is_ok_and(|held| held.is_empty())
        })
        .during(self.cofferdam(&["attachments"])?.said())?;
        until("no container is marked as a holder", RELEASE, || {
            entries("/run/cofferdam/held").is_empty()
        })?;
        until("every sealed volume is closed", RELEASE, || {
            entries("/run/cofferdam/servers").is_empty()
        })
        .during(entries("/run/cofferdam/servers").join(", "))?;
        let attached = entries("/run/cofferdam/attach");
        let mounts = self.mounts_of_volumes()?;
        ensure(mounts.is_empty(), || format!("left mounted: {mounts:?}"))?;
        ensure(attached.is_empty(), || {
            format!("left in /run/cofferdam/attach: {attached:?}")
        })
    }

    /// What the host's own mount table shows of volumes: nothing, ever.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub fn mounts_of_volumes(&self) -> Outcome<Vec<String>> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(table
            .lines()
            .filter(|line| line.contains("cofferdam/attach/") || line.contains("cofferdam/volumes/"))
            .map(str::to_owned)
            .collect())
    }

    fn volumes(&self) -> Outcome<Vec<String>> {
        self.names("volume", "/volume/name")
    }

    fn apps(&self) -> Outcome<Vec<String>> {
        self.names("app", "/name")
    }

    /// The names in a list that the command gives.
    fn names(&self, noun: &str, place: &str) -> Outcome<Vec<String>> {
        let listed = self.cofferdam(&["--json", noun, "ls"])?.ok()?.json()?;
        let names = listed.as_array().during("a list")?.iter();
        Ok(names
            .filter_map(|one| one.pointer(place)?.as_str().map(str::to_owned))
            .collect())
    }
}

/// The entries of a directory; none where it is not there.
fn entries(directory: &str) -> Vec<String> {
    fs::read_dir(directory).map_or_else(
        |_| Vec::new(),
        |found| {
            found
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        },
    )
}

/// The usual launch: the volume is at `/data`.
fn with_data(volume: &str, options: &[&str], image: &str, argv: &[&str]) -> Launch {
    Launch::of(image)
        .volume(volume, "/data")
        .options(options)
        .argv(argv)
}
