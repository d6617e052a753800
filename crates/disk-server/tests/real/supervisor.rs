//! The supervisor ends alone: the worker serves on, until nobody uses the disk any more.

use crate::{
    ground::{alone, volume},
    load::{fio, same_trees, tree},
};
use e2e::{
    command::{finish, run},
    disk::server::has_gone,
    failure::ensure,
    process::until,
};
use std::{path::Path, thread, time::Duration};

#[test]
fn the_worker_serves_on_without_its_supervisor_and_closes_in_peace() {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(&[])?;
        let source = place.directory("tree")?;
        tree(&source)?;
        let worker = thread::scope(|scope| {
            let fio = scope.spawn(|| fio(&volume.mount, 16));
            thread::sleep(Duration::from_millis(300));
            let worker = server.kill_supervisor();
            fio.join().expect("fio's thread")?;
            worker
        })?;
        let target = volume.mount.join("tree");
        run("cp", &[Path::new("-r"), &source, &target])?.ok()?;
        run("sync", &[Path::new("-f"), &target])?.ok()?;
        ensure(!has_gone(worker), || "the worker ended early".to_owned())?;
        finish(volume.command("check").arg("--json"))?.refused(&["is open in another process"])?;
        volume.unmount()?;
        until("the worker ends", Duration::from_secs(120), || has_gone(worker))?;
        let info = finish(volume.command("info").arg("--json"))?.ok()?.json()?;
        ensure(info.get("clean") == Some(&true.into()), || info.to_string())?;
        volume.is_sound()?;
        let mut server = volume.serve(&[])?;
        same_trees(&source, &target)?;
        server.stop()
    });
}
