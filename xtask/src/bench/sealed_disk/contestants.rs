//! Who is measured: each with a store on the same disk and a mount on top of it.
//!
//! | name | what is mounted |
//! |---|---|
//! | `directory` | nothing: a directory of the host's filesystem |
//! | `loop` | ext4 on a loop device with direct I/O, on a preallocated image |
//! | `gocryptfs` | gocryptfs, as its package comes |
//! | `ours` | `cofferdam-disk serve` |

use super::{
    ext4::Ext4,
    loop_device, memory, mounts,
    server::{Memory, Server},
};
use clap::ValueEnum;
use e2e::{
    Outcome,
    command::{finish, run},
    failure::During,
};
use rustix::{
    fs::{FallocateFlags, fallocate},
    process::Signal,
};
use signal_hook::consts::SIGUSR1;
use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    Directory,
    Loop,
    Gocryptfs,
    Ours,
}

impl Kind {
    /// All but ours.
    pub(crate) const RIVALS: [Kind; 3] = [Kind::Directory, Kind::Loop, Kind::Gocryptfs];

    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Directory => "directory",
            Kind::Loop => "loop",
            Kind::Gocryptfs => "gocryptfs",
            Kind::Ours => "ours",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What contestants are made with.
#[derive(Debug, Clone)]
pub(crate) struct Workshop {
    /// Where they are made.
    pub(crate) place: PathBuf,
    /// The directory of `cofferdam-disk`.
    pub(crate) binaries: PathBuf,
}

/// A store and its mount.
#[derive(Debug)]
pub(crate) struct Contestant {
    kind: Kind,
    home: PathBuf,
    workshop: Workshop,
    ext4: Ext4,
    server: Option<Server>,
    peak: f64,
}

impl Contestant {
    /// Makes the store, of so many bytes where it has a size, and opens it.
    pub(crate) fn make(
        kind: Kind,
        name: &str,
        bytes: u64,
        ext4: &Ext4,
        workshop: &Workshop,
    ) -> Outcome<Self> {
        let mut made = Contestant {
            kind,
            home: workshop.place.join(name),
            workshop: workshop.clone(),
            ext4: ext4.clone(),
            server: None,
            peak: 0.0,
        };
        fs::create_dir_all(made.mount())?;
        made.make_store(bytes).during(format!("making {name}"))?;
        made.open()?;
        Ok(made)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Where files are written and read.
    pub(crate) fn mount(&self) -> PathBuf {
        self.home.join("mount")
    }

    /// What it keeps on the host's filesystem.
    pub(crate) fn store(&self) -> PathBuf {
        self.home.join("store")
    }

    /// Opens it and answers how long that took.
    pub(crate) fn open(&mut self) -> Outcome<Duration> {
        let begun = Instant::now();
        match self.kind {
            Kind::Directory => {}
            Kind::Loop => self.open_loop()?,
            Kind::Gocryptfs => return self.open_gocryptfs(),
            Kind::Ours => return self.open_ours(),
        }
        Ok(begun.elapsed())
    }

    /// Closes it cleanly.
    pub(crate) fn close(&mut self) -> Outcome {
        self.note_memory()?;
        let server = self.server.take();
        match (self.kind, server) {
            (Kind::Loop, _) => mounts::unmount(&self.mount()),
            (Kind::Gocryptfs, Some(server)) => {
                mounts::unmount(&self.mount())?;
                server.ended()
            }
            (Kind::Ours, Some(server)) => server.end(Signal::TERM),
            _ => Ok(()),
        }
    }

    /// Everything is on the disk and nothing in memory: not the kernel's caches, and not a server's, which
    /// is another one afterwards.
    pub(crate) fn cool(&mut self) -> Outcome {
        self.settle()?;
        if self.kind != Kind::Directory {
            self.close()?;
            self.open()?;
        }
        mounts::drop_caches()?;
        memory::warm();
        Ok(())
    }

    /// Everything is on the disk, and nothing in the kernel's caches.
    pub(crate) fn settle(&self) -> Outcome {
        mounts::sync(&self.mount())?;
        mounts::drop_caches()?;
        memory::warm();
        Ok(())
    }

    /// The memory of its server so far: the peak is that of all servers that it has had. None where it has
    /// no server.
    pub(crate) fn memory(&mut self) -> Outcome<Option<Memory>> {
        let resident = self.note_memory()?;
        Ok(resident.map(|resident| Memory {
            peak: self.peak,
            resident,
        }))
    }

    /// Closes and removes it.
    pub(crate) fn remove(mut self) -> Outcome {
        self.close()?;
        run(
            "rm",
            &[Path::new("-rf"), Path::new("--one-file-system"), &self.home],
        )?
        .ok()
        .map(drop)
    }

    fn note_memory(&mut self) -> Outcome<Option<f64>> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        let memory = server.memory()?;
        self.peak = self.peak.max(memory.peak);
        Ok(Some(memory.resident))
    }

    fn make_store(&self, bytes: u64) -> Outcome {
        match self.kind {
            Kind::Directory => Ok(()),
            Kind::Loop => self.make_image(bytes),
            Kind::Gocryptfs => self.make_gocryptfs(),
            Kind::Ours => self.make_ours(bytes),
        }
    }

    fn make_image(&self, bytes: u64) -> Outcome {
        let image = File::create(self.store())?;
        fallocate(&image, FallocateFlags::empty(), 0, bytes)?;
        let device = loop_device::attach(&self.store())?;
        loop_device::record(&self.workshop.place, &device)?;
        self.ext4.make(&device)?;
        loop_device::detach_when_unused(&device)
    }

    fn open_loop(&self) -> Outcome {
        let device = loop_device::attach(&self.store())?;
        loop_device::record(&self.workshop.place, &device)?;
        self.ext4.mount(&device, &self.mount())?;
        loop_device::detach_when_unused(&device)
    }

    /// The cheapest password hash that it has: what is measured is the filesystem, and opening it, not how
    /// long a password is stretched.
    fn make_gocryptfs(&self) -> Outcome {
        fs::write(self.secret(), "not a secret\n")?;
        fs::create_dir(self.store())?;
        let mut command = self.gocryptfs();
        command.args(["-init", "-scryptn", "10"]).arg(self.store());
        finish(&command)?.ok().map(drop)
    }

    /// Times until it is mounted, and waits until it says that it may be used, with a signal: until then it
    /// opens a file in its own mount, and who is there before it stops it for good.
    fn open_gocryptfs(&mut self) -> Outcome<Duration> {
        let usable = Arc::new(AtomicBool::new(false));
        let heard = signal_hook::flag::register(SIGUSR1, Arc::clone(&usable))?;
        let mut command = self.gocryptfs();
        // Others must get in: PostgreSQL does not run as root.
        command.args(["-fg", "-nosyslog", "-allow_other"]);
        command.arg(format!("-notifypid={}", std::process::id()));
        command.arg(self.store()).arg(self.mount());
        let begun = Instant::now();
        let mut server = Server::start(&mut command, &self.log())?;
        let mount = self.mount();
        server.until("mounted", || Ok(mounts::at(&mount)?.is_some()))?;
        let taken = begun.elapsed();
        server.until("usable", || Ok(usable.load(Ordering::Relaxed)))?;
        signal_hook::low_level::unregister(heard);
        self.server = Some(server);
        Ok(taken)
    }

    fn gocryptfs(&self) -> Command {
        let mut command = Command::new("gocryptfs");
        command.arg("-q").arg("-passfile").arg(self.secret());
        command
    }

    fn make_ours(&self, bytes: u64) -> Outcome {
        let mut command = self.cofferdam_disk("create");
        command
            .arg("--new-key")
            .arg("--size")
            .arg(format!("{}M", bytes >> 20));
        finish(&command)?.ok().map(drop)
    }

    /// Times until it says that it is ready, which it does in one line of JSON.
    fn open_ours(&mut self) -> Outcome<Duration> {
        let mut command = self.cofferdam_disk("serve");
        command.arg("--json").arg("--mount").arg(self.mount());
        let begun = Instant::now();
        let mut server = Server::start(&mut command, &self.log())?;
        let line = server.line()?;
        let taken = begun.elapsed();
        self.server = Some(server);
        let ready: serde_json::Value = serde_json::from_str(&line).during(&line)?;
        let device = ready
            .get("device")
            .and_then(|device| device.as_str())
            .during(&line)?;
        loop_device::record(&self.workshop.place, device)?;
        mounts::at(&self.mount())?.during("cofferdam-disk said that it is ready; its mount")?;
        Ok(taken)
    }

    fn cofferdam_disk(&self, verb: &str) -> Command {
        let mut command = Command::new(self.workshop.binaries.join("cofferdam-disk"));
        command.arg(verb).arg(self.store());
        command.arg("--key-file").arg(self.secret());
        command
    }

    /// The file with the password or the key.
    fn secret(&self) -> PathBuf {
        self.home.join("secret")
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }
}
