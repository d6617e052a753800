//! What is attacked: a volume with a secret in it, and the containers that may have it.
//!
//! | | guarded | control |
//! |---|---|---|
//! | the volume | sealed, of tenant `payments` | Docker's own, of driver `local` |
//! | its containers | by `cofferdam-runtime` | by runc |
//! | who may have it | the apps of `payments` with a grant | whoever names it |

use super::{
    device::{detach, loop_device},
    evidence::Evidence,
};
use crate::{
    Host, Outcome, Ran,
    cases::Scene,
    command::run,
    failure::{During, Failure},
    process::until,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The tenant that owns what is attacked.
pub(super) const TENANT: &str = "payments";

/// The victim's image.
pub(super) const IMAGE: &str = "payments:1";

/// The attacker's image: the victim's, with a program of his own in the place of the victim's.
pub(super) const FOREIGN: &str = "foreign:1";

/// The two halves of the secret in the volume. Only the victim puts them together, so that nothing else shows the whole.
const HALVES: [&str; 2] = ["marker-of-payments", "-6c1f90ad"];

/// A secret file of the host's.
pub(super) const HOST_FILE: &str = "/etc/secret-of-the-host";

/// What is in it.
pub(super) const HOST_SECRET: &str = "marker-of-the-host-e07b52";

/// The attacker's directory in which the control's block device is.
const LUN: &str = "lun";

/// How long the victim may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// With or without Cofferdam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// With it.
    Guarded,
    /// Without.
    Control,
}

/// What one attack has before it.
#[derive(Debug)]
pub struct Ground<'h> {
    /// The tenant's part of the host.
    pub(super) scene: Scene<'h>,
    side: Side,
    rule: Vec<&'static str>,
    on_a_device: bool,
}

/// The secret in the volume.
pub(super) fn secret() -> String {
    HALVES.concat()
}

impl<'h> Ground<'h> {
    /// Nothing is there yet but the host.
    pub(super) fn new(host: &'h mut Host, side: Side) -> Self {
        Ground {
            scene: Scene::new(host, TENANT.to_owned()),
            side,
            rule: Vec::new(),
            on_a_device: false,
        }
    }

    /// The rule of the app that is the image with its own command; strict unless told here.
    pub(super) fn with_rule(&mut self, rule: &[&'static str]) {
        self.rule = rule.to_vec();
    }

    /// The control's volume lies on a block device of its own, as a sealed one does.
    pub(super) fn on_a_device(&mut self) {
        self.on_a_device = true;
    }

    /// Whether Cofferdam guards it.
    pub(super) fn guarded(&self) -> bool {
        self.side == Side::Guarded
    }

    /// The volume's name.
    pub(super) fn volume(&self) -> &'static str {
        match self.side {
            Side::Guarded => "payments.data",
            Side::Control => "payments-data",
        }
    }

    /// The runtime that the volume's containers have.
    pub(super) fn runtime(&self) -> &'static str {
        match self.side {
            Side::Guarded => "cofferdam",
            Side::Control => "runc",
        }
    }

    /// Makes the volume and lets the victim write its secret; nobody holds it afterwards.
    pub(super) fn written(&mut self) -> Outcome {
        self.made()?;
        self.run(&[], IMAGE, &["/bin/write", HALVES[0], HALVES[1]])?
            .ok()?
            .says(&["written"])?;
        if self.guarded() {
            self.scene.nothing_is_held()?;
        }
        Ok(())
    }

    /// The same, and the victim goes on holding it; answers the victim's container.
    pub(super) fn held(&mut self) -> Outcome<String> {
        self.held_with(&[])
    }

    /// The same with options to the victim's `docker run`.
    pub(super) fn held_with(&mut self, options: &[&str]) -> Outcome<String> {
        self.made()?;
        self.hold(options)
    }

    /// Starts the victim on what is made, and waits until it has written.
    pub(super) fn hold(&self, options: &[&str]) -> Outcome<String> {
        self.hold_as("stay", options)
    }

    /// The same, and the victim shares what it has in memory.
    pub(super) fn sharing(&mut self) -> Outcome<String> {
        self.made()?;
        if self.guarded() {
            self.let_in("sharer", &["--", "/bin/write", HALVES[0], HALVES[1], "share"])?;
        }
        self.hold_as("share", &["--ipc", "shareable"])
    }

    fn hold_as(&self, how: &str, options: &[&str]) -> Outcome<String> {
        let mount = format!("{}:/data", self.volume());
        let first = [
            "run",
            "--detach",
            "--name",
            "victim",
            "--runtime",
            self.runtime(),
            "--volume",
            &mount,
        ];
        let words = [IMAGE, "/bin/write", HALVES[0], HALVES[1], how];
        let id = self.docker(&[&first, options, &words].concat())?.ok()?.text();
        until("the victim has written", PATIENCE, || {
            self.docker(&["logs", &id])
                .is_ok_and(|logs| logs.out.contains("written"))
        })
        .during(self.docker(&["logs", &id])?.said())?;
        Ok(id)
    }

    /// Makes the volume, and says who may have it; nothing is in it.
    pub(super) fn made(&mut self) -> Outcome {
        if !self.guarded() && self.on_a_device {
            let device = format!("device={}", loop_device(&self.place(LUN)?)?);
            let line = [
                "volume",
                "create",
                "--opt",
                "type=ext4",
                "--opt",
                &device,
                self.volume(),
            ];
            return self.docker(&line)?.ok().map(drop);
        }
        if !self.guarded() {
            return self.docker(&["volume", "create", self.volume()])?.ok().map(drop);
        }
        self.scene.volume("data", &["--size", "64M"])?;
        self.let_in("app", &self.rule)?;
        let [first, second] = HALVES;
        self.let_in("writer", &["--", "/bin/write", first, second])?;
        self.let_in("keeper", &["--", "/bin/write", first, second, "stay"])?;
        self.let_in("lister", &["--", "/bin/list"])
    }

    /// Makes an app of the victim's image with a rule, and lets it have the volume.
    pub(super) fn let_in(&self, label: &str, rule: &[&str]) -> Outcome {
        let app = self.scene.app(label, IMAGE, rule)?;
        self.scene.grant(self.volume(), &app, &[])
    }

    /// Where Docker says that the volume lies.
    pub(super) fn mountpoint(&self) -> Outcome<String> {
        let line = ["volume", "inspect", "--format", "{{.Mountpoint}}", self.volume()];
        Ok(self.docker(&line)?.ok()?.text())
    }

    /// The names in the volume, as its owner sees them; while nobody holds it.
    pub(super) fn listed(&self) -> Outcome<String> {
        Ok(self.run(&[], IMAGE, &["/bin/list"])?.ok()?.out)
    }

    /// Whether the program printed the volume's secret.
    pub(super) fn read(&self, ran: &Ran) -> Evidence {
        Evidence::seen(ran, &secret())
    }

    /// Whether an answer has the volume's secret in it.
    pub(super) fn told(&self, text: &str) -> Evidence {
        Evidence::when(text.contains(&secret()), "the secret was read", text)
    }

    /// The volume's directory as root on the host sees it, while it is held: to see what an attack has changed.
    pub(super) fn inside(&self) -> Outcome<PathBuf> {
        if self.guarded() {
            self.scene.on_disk(self.volume())
        } else {
            Ok(PathBuf::from(self.mountpoint()?))
        }
    }

    /// Whether the victim's program ran, as it did not have to.
    pub(super) fn started(&self, ran: &Ran) -> Evidence {
        let started = ran.out.contains("was here");
        Evidence::when(started, "it started with the volume open", ran.said())
    }

    /// Whether the secret lies in a file or below a directory.
    pub(super) fn lies_below(&self, path: &Path) -> Outcome<Evidence> {
        let path = path.to_string_lossy();
        let ran = run("grep", &["-raoF", "--devices=skip", &secret(), &path])?;
        Ok(self.read(&ran))
    }

    /// Takes away what the attack has left.
    pub(super) fn clear(&mut self) -> Outcome {
        let containers = self.scene.host.remove_containers();
        let volumes = self.docker(&["volume", "prune", "--force"])?.ok();
        if !self.guarded() {
            // Pruning leaves those that have options.
            self.docker(&["volume", "rm", "--force", self.volume()])?.ok()?;
        }
        let attacker = self.scene.host.scratch().join("attacker");
        detach(&attacker.join(LUN))?;
        let removed = match fs::remove_dir_all(attacker) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::from(error)),
            _ => Ok(()),
        };
        containers.and(volumes.map(drop)).and(removed)?;
        self.scene.close()
    }
}
