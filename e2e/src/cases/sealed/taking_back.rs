//! What is open is taken from whoever has it.

use crate::{
    Outcome,
    cases::{Scene, cases},
    failure::ensure,
    process::until,
};
use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

cases!("sealed":
    seal_now_takes_it_from_who_has_it_open,
    revoke_now_takes_it_from_who_has_it_open,
);

/// A holder that has a file open, and one mapped.
fn taken_back(scene: &mut Scene, take: impl FnOnce(&Scene, &str) -> Outcome) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &holder])?
        .ok()?
        .text();
    // Root outside has a file open in the container's own mount namespace, and a nested one has the mount.
    let mut held = fs::File::open(format!("/proc/{pid}/root/data/beats"))?;
    let mut nested = std::process::Command::new("nsenter")
        .args(["--mount", "--target", &pid, "unshare", "--mount", "sleep", "1000"])
        .spawn()?;
    let mut byte = [0];
    held.read_exact(&mut byte)?;
    let inside = format!("/proc/{}/root/data/beats", nested.id());
    until("the nested namespace is there", Duration::from_secs(5), || {
        fs::read(&inside).is_ok()
    })?;
    let result = take(scene, &volume).and_then(|()| {
        held.seek(SeekFrom::Start(0))?;
        let read = held.read(&mut byte);
        ensure(read.is_err(), || format!("an open file is still read: {read:?}"))?;
        let read = fs::read(&inside);
        ensure(read.is_err(), || {
            "a nested mount namespace still reads".to_owned()
        })?;
        until("the container is killed", Duration::from_secs(10), || {
            !Path::new(&format!("/proc/{pid}/root/data")).exists()
        })?;
        until("its server has ended", Duration::from_secs(10), || {
            scene.server_of(&volume).is_err()
        })
    });
    drop(held);
    nested.kill()?;
    nested.wait()?;
    result?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()
}

fn seal_now_takes_it_from_who_has_it_open(scene: &mut Scene) -> Outcome {
    taken_back(scene, |scene, volume| {
        scene
            .cofferdam(&["volume", "seal", volume])?
            .refused(&["is held by", "--now"])?;
        scene
            .cofferdam(&["volume", "seal", volume, "--now"])?
            .ok()
            .map(drop)
    })?;
    let volume = scene.named("data");
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn revoke_now_takes_it_from_who_has_it_open(scene: &mut Scene) -> Outcome {
    taken_back(scene, |scene, volume| {
        scene
            .cofferdam(&["revoke", volume, &scene.named("keeper"), "--now"])?
            .ok()
            .map(drop)
    })?;
    let volume = scene.named("data");
    let ran = scene.run(&volume, &[], "tiny:1", &["/bin/keep"])?;
    ran.refused(&["cofferdam:"])?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}
