//! A store that was exchanged, put back or changed.

use super::{end, marked, opens_with, run_writer, write};
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{run, same},
};
use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
};

cases!("sealed":
    another_volumes_store_or_deed_opens_nothing,
    an_older_copy_of_the_store_opens_nothing,
    a_store_that_was_tampered_with_says_so,
);

fn another_volumes_store_or_deed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let other = scene.volume("other", &["--size", "64M"])?;
    scene.grant(&other, &scene.named("app"), &[])?;
    let (ours, theirs) = (scene.directory_of(&volume)?, scene.directory_of(&other)?);
    let aside = ours.join("aside");
    let swap = |name: &str| -> Outcome {
        fs::rename(ours.join(name), &aside)?;
        fs::rename(theirs.join(name), ours.join(name))?;
        Ok(fs::rename(&aside, theirs.join(name))?)
    };
    swap("deed.json")?;
    opens_with(scene, &volume, &["deed"])?;
    swap("store")?;
    opens_with(scene, &volume, &["deed"])?;
    swap("deed.json")?;
    opens_with(scene, &volume, &["key"])?;
    swap("store")?;
    scene.run_usual(&volume)?.ok()?;
    scene.run_usual(&other)?.ok()?;
    Ok(())
}

fn an_older_copy_of_the_store_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let store = scene.directory_of(&volume)?.join("store");
    let copy = scene.host.scratch().join("older");
    run("cp", &["-a", &store.to_string_lossy(), &copy.to_string_lossy()])?.ok()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    fs::remove_dir_all(&store)?;
    run("cp", &["-a", &copy.to_string_lossy(), &store.to_string_lossy()])?.ok()?;
    opens_with(scene, &volume, &["older"])?;
    let told = scene.cofferdam(&["ledger", "tail"])?.ok()?;
    told.says(&["TAMPERING", "older"])?;
    fs::remove_dir_all(&copy)?;
    // Only the operator can say that it was meant; that is recorded, and what the older copy holds is there again.
    let accept = ["volume", "accept-rollback", &volume, "--yes"];
    scene.cofferdam(&accept)?.ok()?;
    let ran = scene.run_usual(&volume)?.ok()?;
    same("lines in the log", ran.out.lines().count(), 2)?;
    scene
        .cofferdam(&["ledger", "tail"])?
        .ok()?
        .says(&["accept-rollback"])
        .map(drop)
}

fn a_store_that_was_tampered_with_says_so(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    let id = write(scene, &volume)?;
    end(scene, &id)?;
    let store = scene.directory_of(&volume)?.join("store");
    for entry in fs::read_dir(&store)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("head") {
            let mut file = fs::File::options().read(true).write(true).open(entry.path())?;
            let mut byte = [0];
            file.seek(SeekFrom::Start(40))?;
            file.read_exact(&mut byte)?;
            file.seek(SeekFrom::Start(40))?;
            file.write_all(&[byte[0] ^ 1])?;
        }
    }
    run_writer(scene, &volume, "--rm")?.refused(&["cofferdam:", "tampered"])?;
    scene
        .cofferdam(&["ledger", "tail"])?
        .ok()?
        .says(&["TAMPERING", &volume])?;
    Ok(())
}
