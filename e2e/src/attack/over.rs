//! The right program with somebody else's files over the image's: a mount lies over what was measured.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{Ground, IMAGE},
    images::{TELL, TELLING_SETTINGS},
};
use crate::Outcome;

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "over::a_file_over_the_program",
        Client,
        "mounts a program of his own over the victim's",
        "nothing from outside lies over the image's code",
        a_file_over_the_program,
    )
    .told(&["/bin/app"]),
    Attack::new(
        "over::a_volume_over_the_settings",
        Client,
        "mounts a volume of his own, with settings that are code, over the image's /etc",
        "nothing lies over the image's own files",
        a_volume_over_the_settings,
    )
    .told(&["/etc"]),
    Attack::new(
        "over::a_volume_over_the_settings_through_a_link",
        Client,
        "mounts it at a place that is a link to /etc in the image",
        "it is judged by where it really lies",
        a_volume_over_the_settings_through_a_link,
    )
    .told(&[]),
    Attack::new(
        "over::a_volume_over_the_settings_through_another_volumes_link",
        Client,
        "mounts it below another volume of his, in which its place is a link to /etc",
        "it is judged by where it really lies",
        a_volume_over_the_settings_through_another_volumes_link,
    )
    .told(&[]),
    Attack::new(
        "over::the_volume_over_the_settings_through_a_link",
        Client,
        "mounts the victim's volume, in which strangers' files are, at a link to the image's /etc",
        "it is judged by where it really lies",
        the_volume_over_the_settings_through_a_link,
    )
    .told(&[]),
    Attack::new(
        "over::the_volume_over_the_applications_code",
        Client,
        "mounts the victim's volume over code of the image's that is not the program itself",
        "nothing lies over the image's own files",
        the_volume_over_the_applications_code,
    )
    .told(&[]),
];

fn a_file_over_the_program(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let program = ground.tool("app", TELL)?;
    let ran = ground.run(&["--volume", &format!("{program}:/bin/app")], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

/// A volume of the attacker's with settings that are code, and a link.
fn settings_volume(ground: &Ground) -> Outcome<&'static str> {
    let script = format!(
        "echo '{}' > /x/app.conf; ln -s /etc /x/conf",
        TELLING_SETTINGS.trim()
    );
    ground.docker(&["volume", "create", "settings"])?.ok()?;
    ground
        .run_bare(&["--volume", "settings:/x"], "tiny:1", &["sh", "-c", &script])?
        .ok()?;
    Ok("settings")
}

fn a_volume_over_the_settings(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let volume = settings_volume(ground)?;
    let ran = ground.run(&["--volume", &format!("{volume}:/etc:nocopy")], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn a_volume_over_the_settings_through_a_link(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let volume = settings_volume(ground)?;
    let ran = ground.run(&["--volume", &format!("{volume}:/srv/conf:nocopy")], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn a_volume_over_the_settings_through_another_volumes_link(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let volume = settings_volume(ground)?;
    let (outer, inner) = (format!("{volume}:/mnt"), format!("{volume}:/mnt/conf:nocopy"));
    let ran = ground.run(&["--volume", &outer, "--volume", &inner], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn the_volume_over_the_settings_through_a_link(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let mount = format!("{}:/srv/conf", ground.volume());
    let ran = ground.run_bare(&["--volume", &mount], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn the_volume_over_the_applications_code(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let mount = format!("{}:/opt/app", ground.volume());
    let ran = ground.run_bare(&["--volume", &mount], IMAGE, &[])?;
    Ok(ground.read(&ran))
}
