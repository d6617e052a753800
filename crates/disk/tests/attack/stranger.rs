//! `tests/stranger.py` reads a store, and knows of it what `docs/sealed-disk-format.md` says: it must find the same blocks
//! as the engine, and refuse what the engine refuses.

use crate::{
    golden,
    world::{Content, Image, create, open, options, scratch},
};
use cofferdam_disk::{Directory, Volume};
use std::{fs, path::Path, process::Command, sync::Arc};

/// A Python that has the module `cryptography`. Without one the tests here say so and prove nothing; `cargo xtask test`
/// installs it (Debian: python3-cryptography).
fn python() -> Option<&'static str> {
    let has_it = |python: &&str| {
        let mut command = Command::new(python);
        let ran = command.args(["-c", "import cryptography"]).output();
        ran.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    if found.is_none() {
        eprintln!("SKIPPED: no python3 with the module cryptography; install python3-cryptography");
    }
    found
}

/// What the stranger prints of a store, or the code with which it refuses.
fn tell(python: &str, image: &Image, witness: Option<&str>) -> Result<String, i32> {
    tell_with(python, image, &[[7; 32], [6; 32]], witness)
}

fn tell_with(python: &str, image: &Image, keys: &[[u8; 32]], witness: Option<&str>) -> Result<String, i32> {
    let scratch = scratch();
    let (path, key) = (scratch.path().join("v"), scratch.path().join("key"));
    image.put(&path);
    fs::write(&key, keys.concat()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stranger.py");
    let output = Command::new(python)
        .arg(script)
        .arg(path)
        .arg(key)
        .args(witness)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        Some(code) if !errors.contains("Traceback") => Err(code),
        _ => panic!("{errors}"),
    }
}

/// A volume that has been cleaned, with a witness of it; closed, or not.
fn worn(closed: bool) -> (Image, Content, String) {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let mut content = Content::empty();
    wear(&create(&path), &mut content, 1);
    let volume = open(&path);
    wear(&volume, &mut content, 30);
    if closed {
        volume.close().unwrap();
    }
    (Image::of(&path), content, volume.witness().to_string())
}

fn wear(volume: &Volume<Directory>, content: &mut Content, lives: u64) {
    let mut random = lives;
    for life in lives..lives + 25 {
        for _ in 0..30 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let block = (random >> 33) % 150 * 5;
            content.write(volume, block, 1 + (random >> 20) % 4, life);
        }
        content.discard(volume, (random >> 40) % 600, 30);
        volume.flush().unwrap();
        while volume.tend().unwrap() {}
    }
}

#[test]
fn a_stranger_reads_every_store_that_is_kept() {
    let Some(python) = python() else { return };
    for (name, image, blocks) in golden::all() {
        assert_eq!(tell(python, &image, None).as_ref(), Ok(&blocks), "{name}");
    }
}

#[test]
fn a_stranger_reads_volumes_that_were_cleaned_closed_and_not() {
    let Some(python) = python() else { return };
    for closed in [true, false] {
        let (image, content, witness) = worn(closed);
        image.judge(&options(), &content).unwrap();
        for witness in [None, Some(witness.as_str())] {
            assert_eq!(
                tell(python, &image, witness),
                Ok(content.hashes()),
                "closed: {closed}"
            );
        }
    }
}

#[test]
fn a_stranger_needs_both_keys_of_a_rotation_that_is_under_way() {
    let Some(python) = python() else { return };
    let (_, rotating, blocks) = golden::all()
        .into_iter()
        .find(|(name, ..)| name == "v1-rotating")
        .unwrap();
    assert_eq!(
        tell_with(python, &rotating, &[[7; 32], [6; 32]], None),
        Ok(blocks)
    );
    for wrong in [
        &[[7; 32]][..],
        &[[6; 32]],
        &[[7; 32], [5; 32]],
        &[[6; 32], [7; 32]],
    ] {
        assert_eq!(tell_with(python, &rotating, wrong, None), Err(2), "{wrong:?}");
    }
}

#[test]
fn a_stranger_refuses_what_the_engine_refuses() {
    let Some(python) = python() else { return };
    let (older, ..) = worn(false);
    let (image, content, witness) = worn(true);
    let used: Vec<_> = image
        .names()
        .into_iter()
        .filter(|name| image.used(*name) > 512)
        .collect();
    let mut changed = Vec::new();
    for at in [0, 10, 60, 130, 150, 200, 255] {
        let mut image = image.clone();
        image.head.as_mut().unwrap()[at] ^= 1;
        changed.push(image);
    }
    // Some of these are ready for use, with what was in them before: then nothing changes.
    for (index, name) in used.iter().enumerate().step_by(3) {
        let mut image = image.clone();
        match index / 3 % 4 {
            0 => drop(image.segments.remove(name)),
            1 => drop(
                image
                    .segments
                    .insert(*name, Arc::clone(&image.segments[&used[index / 2]])),
            ),
            2 => image.segment(*name)[512 + 600 * index] ^= 1,
            _ => image.segment(*name).truncate(20_000),
        }
        changed.push(image);
    }
    let mut mixed = image.clone();
    mixed.head = older.head;
    changed.push(mixed);
    let mut refused = 0;
    for image in changed {
        let (engine, stranger) = (image.judge(&options(), &content), tell(python, &image, None));
        match &engine {
            Ok(()) => assert_eq!(stranger, Ok(content.hashes())),
            Err(fault) => assert!(stranger.is_err(), "{fault}"),
        }
        refused += usize::from(engine.is_err());
    }
    assert!(refused >= 12, "{refused}");
    // An older store is one to whoever remembers.
    let (older, ..) = golden::all()
        .into_iter()
        .map(|(_, image, _)| (image,))
        .next()
        .unwrap();
    assert!(tell(python, &older, None).is_ok());
    let volume = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    let of_older = {
        let scratch = scratch();
        older.put(&scratch.path().join("v"));
        open(&scratch.path().join("v")).witness().to_string()
    };
    assert_ne!(volume(&of_older), volume(&witness));
    assert_eq!(tell(python, &older, Some(&of_older)), Err(3));
}
