//! Sealed volumes, which every volume is unless somebody wants a plain one: nothing of what is written inside is anywhere on
//! the host, and nothing but the deed that the tenant has signed opens them.

pub(super) mod deed;
pub(super) mod elsewhere;
pub(super) mod ephemeral;
pub(super) mod growing;
pub(super) mod ledger;
pub(super) mod life;
pub(super) mod moving;
pub(super) mod rotating;
pub(super) mod store;
pub(super) mod taking_back;
pub(super) mod tokens;

use crate::{
    Outcome, Ran,
    cases::Scene,
    command::run,
    failure::{During, ensure},
    process::until,
};
use std::{path::Path, time::Duration};

/// Something that is nowhere by chance. Only what writes it puts it together: neither Docker nor the registry is told it.
const MARKER: &str = "cofferdam-marker-7d1f63";

/// A volume with an app that writes the marker and then waits.
fn marked(scene: &Scene) -> Outcome<String> {
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.script("writer", &volume, &script(), &["--exec"])?;
    Ok(volume)
}

fn script() -> String {
    let (first, rest) = MARKER.split_at(9);
    format!("echo {first}\"\"{rest} > /data/marker && sync && echo written && exec sleep 1000")
}

/// Starts the writer and waits until it has written; answers the container's id.
fn write(scene: &Scene, volume: &str) -> Outcome<String> {
    let id = run_writer(scene, volume, "--detach")?.ok()?.text();
    until("the marker is written", Duration::from_secs(10), || {
        scene
            .docker(&["logs", &id])
            .is_ok_and(|logs| logs.out.contains("written"))
    })
    .during(scene.docker(&["logs", &id])?.said())?;
    Ok(id)
}

/// `docker run` with the writer, and one option.
fn run_writer(scene: &Scene, volume: &str, option: &str) -> Outcome<Ran> {
    let (mount, script) = (format!("{volume}:/data"), script());
    let line = [
        "run",
        option,
        "--runtime",
        "cofferdam",
        "-v",
        &mount,
        "tiny:1",
        "sh",
        "-c",
        &script,
    ];
    scene.docker(&line)
}

/// Ends the writer and waits until the volume is closed.
fn end(scene: &Scene, id: &str) -> Outcome {
    scene.docker(&["rm", "--force", id])?.ok()?;
    scene.nothing_is_held()
}

fn holds_marker(path: &Path) -> Outcome<bool> {
    let ran = run(
        "grep",
        &["-rqaF", "--devices=skip", MARKER, &path.to_string_lossy()],
    )?;
    Ok(ran.is_ok())
}

fn opens_with(scene: &Scene, volume: &str, refusal: &[&str]) -> Outcome {
    let ran = scene.run_usual(volume)?;
    ran.refused(&[["cofferdam:"].as_slice(), refusal].concat())?;
    ensure(scene.server_of(volume).is_err(), || {
        "it is open all the same".to_owned()
    })
}
