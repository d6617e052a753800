//! A sealed disk on a store of its own.

use super::{Place, Server};
use crate::{
    command::{Ran, finish, run},
    failure::{Failure, Outcome, ensure},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Both ways of answering writes, as `serve` is told: which one it takes by itself depends on the machine.
pub const CACHES: [&[&str]; 2] = [BACK, THROUGH];
/// With a write cache.
pub const BACK: &[&str] = &["--write-cache", "back"];
/// Without one.
pub const THROUGH: &[&str] = &["--write-cache", "through"];

/// A store, its key, and the program that serves it.
#[derive(Debug, Clone)]
pub struct Volume {
    /// `cofferdam-disk`.
    pub program: PathBuf,
    /// The store.
    pub store: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// Where it is mounted, when it is.
    pub mount: PathBuf,
    /// Where logs of its servers go.
    pub logs: PathBuf,
}

impl Volume {
    /// Makes one, with an ext4 on it, in the scratch directory.
    ///
    /// # Errors
    /// What `create` says.
    pub fn create(place: &Place, program: &Path, size: &str) -> Outcome<Self> {
        let volume = Self::at(place, program, &place.path("store"))?;
        volume.make(size, &[])?;
        Ok(volume)
    }

    /// One that is not there yet, with its store at a place of one's choice.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn at(place: &Place, program: &Path, store: &Path) -> Outcome<Self> {
        Ok(Volume {
            program: program.to_owned(),
            store: store.to_owned(),
            key: place.path("key"),
            mount: place.directory("mount")?,
            logs: place.scratch.clone(),
        })
    }

    /// Makes it, with a new key.
    ///
    /// # Errors
    /// What `create` says.
    pub fn make(&self, size: &str, more: &[&str]) -> Outcome {
        let mut command = self.command("create");
        command.args(["--size", size, "--new-key"]).args(more);
        finish(&command)?.ok().map(drop)
    }

    /// A verb of the program, with store and key.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg(&self.store);
        command.arg("--key-file").arg(&self.key);
        command
    }

    /// Serves it, mounted.
    ///
    /// # Errors
    /// Where it is not served in the end.
    pub fn serve(&self, more: &[&str]) -> Outcome<Server> {
        let mut command = self.command("serve");
        command.arg("--mount").arg(&self.mount).args(more);
        Server::start(&mut command, &self.logs)
    }

    /// Serves it as a device only.
    ///
    /// # Errors
    /// Where it is not served in the end.
    pub fn serve_device(&self) -> Outcome<Server> {
        Server::start(&mut self.command("serve"), &self.logs)
    }

    /// Runs `check`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn check(&self) -> Outcome<Ran> {
        let mut command = self.command("check");
        command.arg("--json");
        finish(&command)
    }

    /// Nothing may be wrong with it: neither with the store, nor with the ext4 on it. Nobody may be serving it.
    ///
    /// # Errors
    /// What `check` or `e2fsck` found.
    pub fn is_sound(&self) -> Outcome {
        self.store_is_sound()?;
        let mut server = self.serve_device()?;
        let found = run("e2fsck", &["-f", "-n", &server.device().to_string_lossy()])?;
        server.stop()?;
        found.ok()?;
        self.store_is_sound()
    }

    /// Nothing may be wrong with the store.
    ///
    /// # Errors
    /// What `check` found.
    pub fn store_is_sound(&self) -> Outcome {
        let ran = self.check()?.ok()?;
        ensure(ran.json()?.get("sound") == Some(&true.into()), || ran.said())
    }

    /// Whether something is mounted at the mount point, as the calling thread sees it.
    ///
    /// # Errors
    /// As reading `/proc/thread-self/mountinfo`.
    pub fn is_mounted(&self) -> Outcome<bool> {
        let table = std::fs::read_to_string("/proc/thread-self/mountinfo")?;
        let path = self
            .mount
            .to_str()
            .ok_or_else(|| Failure::new("a path that is not UTF-8"))?;
        Ok(table
            .lines()
            .any(|line| line.split(' ').nth(4).is_some_and(|at| at == path)))
    }

    /// Unmounts it as a user does, once nobody serves it any more.
    ///
    /// # Errors
    /// What `umount` says.
    pub fn unmount(&self) -> Outcome {
        run("umount", &[&self.mount])?.ok().map(drop)
    }
}
