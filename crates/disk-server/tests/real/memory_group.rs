//! Server and users of a disk in one small memory cgroup would wait for each other for ever: the server leaves it.

use crate::ground::{alone, volume};
use e2e::{
    Outcome,
    command::finish,
    disk::{Place, Server},
    failure::{During, ensure},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What the group may use, in bytes; the writer writes eight times as much.
const LIMIT: u64 = 64 << 20;

#[test]
fn server_and_writer_in_one_small_memory_group_do_not_wait_for_each_other() {
    alone(|place| {
        let Some(group) = Group::new(place)? else {
            eprintln!("SKIPPED: no memory cgroup can be made here; mount the memory controller and be root");
            return Ok(());
        };
        let volume = volume(place, "1G")?;
        let mut inside = group.command(&volume.program);
        inside
            .arg("serve")
            .arg(&volume.store)
            .arg("--key-file")
            .arg(&volume.key);
        inside.arg("--mount").arg(&volume.mount);
        let mut server = Server::start(&mut inside, &volume.logs)?;
        ensure(server.log().contains("left the memory cgroup"), || server.log())?;
        ensure(!group.holds(server.worker()?), || {
            "the worker is still in it".to_owned()
        })?;
        let mut writer = group.command(Path::new("dd"));
        writer.args(["if=/dev/zero", "bs=1M", "count=400", "conv=fsync"]);
        writer.arg(format!("of={}", volume.mount.join("file").display()));
        finish(&writer)?.ok()?;
        server.kill_worker()?;
        ensure(!group.holds(server.worker()?), || {
            "a successor is in it".to_owned()
        })?;
        let mut copier = group.command(Path::new("cp"));
        copier
            .arg(volume.mount.join("file"))
            .arg(volume.mount.join("copy"));
        finish(&copier)?.ok()?;
        server.stop()
    });
}

/// A memory cgroup below this process's own; it is removed with this value, and its processes have ended before.
struct Group(PathBuf);

impl Group {
    /// None where none can be made.
    fn new(place: &Place) -> Outcome<Option<Self>> {
        let (first, second) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let below = |part: &str| {
            own.lines()
                .find_map(|line| Some(line.split_once(part)?.1.to_owned()))
        };
        let (parent, file) = match below(":memory:/") {
            Some(group) => (first.join(group), "memory.limit_in_bytes"),
            // The root of version 2 may have both processes and groups.
            None => (second.to_owned(), "memory.max"),
        };
        let name = place.scratch.file_name().during("a name")?;
        let group = Group(parent.join(name));
        if fs::create_dir(&group.0).is_err() {
            return Ok(None);
        }
        Ok(fs::write(group.0.join(file), LIMIT.to_string())
            .is_ok()
            .then_some(group))
    }

    /// A command that begins in the group.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$@\""]);
        command.arg(&self.0).arg(program);
        command
    }

    fn holds(&self, pid: u32) -> bool {
        let inside = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        inside.lines().any(|line| line == pid.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may be ending still.
        let gone = || fs::remove_dir(&self.0).is_ok() || !self.0.exists();
        drop(e2e::process::until(
            "the cgroup is gone",
            Duration::from_secs(10),
            gone,
        ));
    }
}
