//! The right image with other files: what was changed in the container's own layer before it started.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{Ground, IMAGE},
    images::{TELL, TELLING_SETTINGS},
};
use crate::{
    Outcome, Ran,
    process::{signal, until},
};
use rustix::process::Signal;
use std::{path::Path, time::Duration};

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "layer::a_program_copied_in_before_the_start",
        Client,
        "makes the victim's container, copies a program of his own over its program, and starts it",
        "the root filesystem is not pristine",
        a_program_copied_in_before_the_start,
    )
    .told(&[]),
    Attack::new(
        "layer::settings_copied_in_before_the_start",
        Client,
        "copies in a file that the image does not have, and that is code",
        "the root filesystem is not pristine",
        settings_copied_in_before_the_start,
    )
    .told(&[]),
    Attack::new(
        "layer::a_program_copied_in_while_it_was_stopped",
        Client,
        "copies it into a container that was stopped, and starts that again",
        "the root filesystem is not as it was at its end",
        a_program_copied_in_while_it_was_stopped,
    )
    .told(&[]),
    Attack::new(
        "layer::a_program_copied_in_after_an_end_that_nobody_saw",
        Client,
        "copies it into a container that ended while the daemon was away",
        "what was not seen to be as it was is not as it was",
        a_program_copied_in_after_an_end_that_nobody_saw,
    )
    .told(&[]),
    Attack::new(
        "layer::a_program_copied_in_while_it_ran",
        Client,
        "copies it into the running container, and restarts that",
        "the root filesystem is not as it was",
        a_program_copied_in_while_it_ran,
    )
    .told(&[]),
    Attack::new(
        "layer::a_changed_container_as_an_image",
        Client,
        "makes an image of a changed container and runs that",
        "the image is no app's with a grant",
        a_changed_container_as_an_image,
    )
    .told(&["image"]),
    Attack::new(
        "layer::first_content_of_his_own",
        Client,
        "copies a file to the volume's place before the first start of all",
        "first content comes from the measured layers",
        first_content_of_his_own,
    ),
];

/// `docker create` with the volume and these words.
fn create(ground: &Ground, words: &[&str]) -> Outcome<String> {
    let mount = format!("{}:/data", ground.volume());
    let line = [
        &["create", "--runtime", ground.runtime(), "--volume", &mount, IMAGE],
        words,
    ]
    .concat();
    Ok(ground.docker(&line)?.ok()?.text())
}

fn start(ground: &Ground, container: &str) -> Outcome<Ran> {
    ground.docker(&["start", "--attach", container])
}

fn copy(ground: &Ground, text: &str, to: &str) -> Outcome {
    let file = ground.tool("copied", text)?;
    ground.docker(&["cp", &file, to])?.ok().map(drop)
}

fn a_program_copied_in_before_the_start(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let container = create(ground, &[])?;
    copy(ground, TELL, &format!("{container}:/bin/app"))?;
    let ran = start(ground, &container)?;
    Ok(ground.read(&ran))
}

fn settings_copied_in_before_the_start(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let container = create(ground, &[])?;
    copy(ground, TELLING_SETTINGS, &format!("{container}:/etc/app.conf"))?;
    let ran = start(ground, &container)?;
    Ok(ground.read(&ran))
}

fn a_program_copied_in_while_it_was_stopped(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let container = create(ground, &[])?;
    start(ground, &container)?.ok()?;
    if ground.guarded() {
        ground.scene.nothing_is_held()?;
    }
    copy(ground, TELL, &format!("{container}:/bin/app"))?;
    let ran = start(ground, &container)?;
    Ok(ground.read(&ran))
}

fn a_program_copied_in_after_an_end_that_nobody_saw(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let pid = ground
        .docker(&["inspect", "--format", "{{.State.Pid}}", &victim])?
        .ok()?;
    let pid = pid.text().parse()?;
    if ground.guarded() {
        ground.scene.host.daemon.kill()?;
    }
    // Not by Docker, which does nothing while it has nobody to ask.
    signal(pid, Signal::KILL)?;
    until("the victim has ended", PATIENCE, || {
        !Path::new(&format!("/proc/{pid}")).exists()
    })?;
    if ground.guarded() {
        ground.scene.host.daemon.start()?;
    }
    ground.docker(&["wait", &victim])?.ok()?;
    // Docker copies nothing while the plugin does not answer.
    copy(ground, TELL, &format!("{victim}:/bin/write"))?;
    let ran = start(ground, &victim)?;
    Ok(ground.read(&ran))
}

fn a_program_copied_in_while_it_ran(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    copy(ground, TELL, &format!("{victim}:/bin/write"))?;
    let ran = ground.docker(&["restart", "--time", "0", &victim])?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    let logs = ground.docker(&["logs", &victim])?;
    Ok(ground.read(&ran).and(ground.read(&logs)))
}

fn a_changed_container_as_an_image(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let container = ground.docker(&["create", IMAGE])?.ok()?.text();
    copy(ground, TELL, &format!("{container}:/bin/app"))?;
    ground.docker(&["commit", &container, "changed:1"])?.ok()?;
    let ran = ground.run(&[], "changed:1", &[])?;
    ground.docker(&["rm", &container])?.ok()?;
    ground.docker(&["image", "rm", "changed:1"])?.ok()?;
    Ok(ground.read(&ran))
}

fn first_content_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    ground.made()?;
    let container = create(ground, &[])?;
    // Where the volume cannot be written this is refused, which is as good.
    let file = ground.tool("planted", "x")?;
    let copied = ground.docker(&["cp", &file, &format!("{container}:/data/planted")])?;
    let ran = start(ground, &container)?;
    if ground.guarded() {
        ground.scene.nothing_is_held()?;
    }
    let planted = ground.listed()?.contains("planted");
    let said = format!("{}{}", copied.said(), ran.said());
    Ok(Evidence::when(planted, "a file was planted in the volume", said))
}
