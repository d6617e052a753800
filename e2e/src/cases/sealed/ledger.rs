//! The ledger has it all, says where it was changed, and closes the road where it cannot be written.

use super::opens_with;
use crate::{
    Outcome,
    cases::{Scene, cases},
    failure::During,
};
use serde_json::Value;
use std::{fs, path::Path};

cases!("sealed":
    the_ledger_has_it_all,
    a_ledger_that_was_changed_says_where,
    a_ledger_that_cannot_be_written_closes_the_road,
);

fn key(scene: &Scene) -> Outcome<String> {
    let shown = scene.cofferdam(&["--json", "ledger", "key"])?.ok()?.json()?;
    Ok(shown
        .get("key")
        .and_then(Value::as_str)
        .during("the key")?
        .to_owned())
}

fn the_ledger_has_it_all(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .run(&volume, &[], "tiny:1", &["sh", "-c", "id"])?
        .refused(&["cofferdam:"])?;
    scene.nothing_is_held()?;
    let told = scene.cofferdam(&["ledger", "tail", "--lines", "60"])?.ok()?;
    let told = told.silent_on(&["AGE-SECRET-KEY"])?;
    told.says(&[
        &format!("key of {volume} released"),
        &format!("{volume} opened"),
        &format!("{volume} closed"),
        "open allowed",
        "open refused",
        "/v1/grants",
    ])?;
    let file = scene.host.scratch().join("ledger.jsonl");
    let (file, key) = (file.to_string_lossy().into_owned(), key(scene)?);
    scene.cofferdam(&["ledger", "export", &file])?.ok()?;
    scene
        .cofferdam(&["ledger", "verify", &file, "--key", &key])?
        .ok()?
        .says(&["as they were written"])?;
    let proof = scene.cofferdam(&["ledger", "prove", "3"])?.ok()?;
    let path = scene.host.scratch().join("proof.json");
    fs::write(&path, &proof.out)?;
    let path = path.to_string_lossy().into_owned();
    scene
        .cofferdam(&["ledger", "prove", "--verify", &path, "--key", &key])?
        .ok()?
        .says(&["is in the ledger"])?;
    fs::remove_file(file)?;
    Ok(())
}

fn a_ledger_that_was_changed_says_where(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let file = scene.host.scratch().join("changed.jsonl");
    let (shown, key) = (file.to_string_lossy().into_owned(), key(scene)?);
    scene.cofferdam(&["ledger", "export", &shown])?.ok()?;
    let whole = fs::read_to_string(&file)?;
    let lines: Vec<&str> = whole.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains(&volume) && line.contains("act"))
        .during("an act on the volume")?;
    let without: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, line)| *line)
        .collect();
    let mut swapped = lines.clone();
    swapped.swap(at, at + 2);
    let changed: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if index == at {
                line.replace(&volume, "other.volume")
            } else {
                (*line).to_owned()
            }
        })
        .collect();
    for (what, text) in [
        ("removed", without.join("\n")),
        ("reordered", swapped.join("\n")),
        ("changed", changed.join("\n")),
    ] {
        fs::write(&file, text + "\n")?;
        scene
            .cofferdam(&["ledger", "verify", &shown, "--key", &key])?
            .refused(&["record"])
            .during(what)?;
    }
    fs::remove_file(&file)?;
    Ok(())
}

fn a_ledger_that_cannot_be_written_closes_the_road(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    // A file that is not the ledger any more: as if somebody had rotated it away.
    let log = Path::new("/var/lib/cofferdam/ledger/ledger.log");
    let aside = Path::new("/var/lib/cofferdam/ledger/ledger.aside");
    fs::rename(log, aside)?;
    let refused = opens_with(scene, &volume, &["ledger"]);
    fs::rename(aside, log)?;
    refused?;
    // It goes on where it was, and no other one was begun meanwhile.
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}
