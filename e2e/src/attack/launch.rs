//! The wrong program: what would run beside the data is not what was granted.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{FOREIGN, Ground, IMAGE},
};
use crate::{Outcome, command::run};
use std::fs;

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "launch::another_image",
        Client,
        "runs an image of his own whose command prints the data",
        "the image is no app's with a grant",
        another_image,
    )
    .told(&["image"]),
    Attack::new(
        "launch::another_image_under_the_same_tag",
        Client,
        "moves the victim's tag to an image of his own",
        "the digest is pinned, the tag is not looked up",
        another_image_under_the_same_tag,
    )
    .told(&["image"]),
    Attack::new(
        "launch::the_same_layers_with_another_config",
        Client,
        "builds an image of the victim's layers with a command of his own",
        "the image's config is another, although the layers are the same",
        the_same_layers_with_another_config,
    )
    .told(&["image"]),
    Attack::new(
        "launch::another_command",
        Client,
        "gives the victim's image another command",
        "argv differs from the app's",
        another_command,
    )
    .told(&["argv"]),
    Attack::new(
        "launch::another_entrypoint",
        Client,
        "gives the victim's image another entrypoint",
        "argv differs from the app's",
        another_entrypoint,
    )
    .told(&["argv"]),
    Attack::new(
        "launch::a_command_of_megabytes",
        Client,
        "hides another command before a megabyte of arguments",
        "argv differs from the app's; and whoever Docker asks takes no request whose body he does not see",
        a_command_of_megabytes,
    )
    .told(&[]),
    Attack::new(
        "launch::another_working_directory",
        Client,
        "has the program start where its settings are what strangers sent it",
        "it works in another directory than the image's",
        another_working_directory,
    )
    .told(&["works in"]),
    Attack::new(
        "launch::a_name_and_labels",
        Client,
        "gives another image the victim's name, hostname and labels",
        "none of them proves anything",
        a_name_and_labels,
    )
    .told(&["image"]),
    Attack::new(
        "launch::a_healthcheck_of_his_own",
        Client,
        "gives the victim's container a healthcheck that prints the data",
        "a healthcheck that is not the image's own does not run beside the data",
        a_healthcheck_of_his_own,
    ),
    Attack::new(
        "launch::another_user",
        Client,
        "runs an app that must be user 1000 as root",
        "the user differs from the rule's",
        another_user,
    )
    .told(&["user"]),
    Attack::new(
        "launch::an_extra_group",
        Client,
        "gives an app that must be user and group 1000 root's group beside it",
        "extra groups differ from the rule's",
        an_extra_group,
    )
    .told(&["group"]),
    Attack::new(
        "launch::another_group",
        Client,
        "runs an app that must be group 1000 in another group",
        "the group differs from the rule's",
        another_group,
    )
    .told(&["user"]),
];

const READ: [&str; 3] = ["sh", "-c", "cat /data/marker"];

fn another_image(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.run(&[], FOREIGN, &[])?;
    Ok(ground.read(&ran))
}

fn another_image_under_the_same_tag(ground: &mut Ground) -> Outcome<Evidence> {
    ground.docker(&["tag", IMAGE, "moving:1"])?.ok()?;
    ground.written()?;
    if ground.guarded() {
        let app = ground.scene.app("moving", "moving:1", &[])?;
        ground.scene.grant(ground.volume(), &app, &[])?;
    }
    ground.docker(&["tag", FOREIGN, "moving:1"])?.ok()?;
    let ran = ground.run(&[], "moving:1", &[])?;
    ground.docker(&["image", "rm", "moving:1"])?.ok()?;
    Ok(ground.read(&ran))
}

fn the_same_layers_with_another_config(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let recipe = ground.place("recipe")?;
    fs::write(
        recipe.join("Dockerfile"),
        format!("FROM {IMAGE}\nCMD [\"cat\", \"/data/marker\"]\n"),
    )?;
    ground
        .docker(&["build", "--quiet", "--tag", "config:1", &recipe.to_string_lossy()])?
        .ok()?;
    let ran = ground.run(&[], "config:1", &[])?;
    ground.docker(&["image", "rm", "config:1"])?.ok()?;
    Ok(ground.read(&ran))
}

fn another_command(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.run(&[], IMAGE, &READ)?;
    Ok(ground.read(&ran))
}

fn another_entrypoint(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.run(&["--entrypoint", "/bin/cat"], IMAGE, &["/data/marker"])?;
    Ok(ground.read(&ran))
}

fn a_command_of_megabytes(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let long = "x".repeat(100_000);
    let argv = [&READ[..], &[long.as_str(); 12]].concat();
    let ran = ground.run(&[], IMAGE, &argv)?;
    Ok(ground.read(&ran))
}

fn another_working_directory(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.run(&["--workdir", "/data/uploads"], IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn a_name_and_labels(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let options = [
        "--name",
        "payments.app",
        "--hostname",
        "payments.app",
        "--label",
        "cofferdam.app=payments.app",
        "--label",
        "dev.cofferdam.app=payments.app",
    ];
    let ran = ground.run(&options, FOREIGN, &[])?;
    Ok(ground.read(&ran))
}

fn a_healthcheck_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    let options = [
        "--health-cmd",
        "cat /data/marker",
        "--health-interval",
        "500ms",
        "--health-retries",
        "1",
    ];
    let victim = ground.held_with(&options)?;
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let shown = ground
        .docker(&["inspect", "--format", "{{json .State.Health.Log}}", &victim])?
        .ok()?;
    Ok(ground.read(&shown))
}

fn another_user(ground: &mut Ground) -> Outcome<Evidence> {
    as_user(ground, "0:0")
}

fn another_group(ground: &mut Ground) -> Outcome<Evidence> {
    as_user(ground, "1000:0")
}

fn an_extra_group(ground: &mut Ground) -> Outcome<Evidence> {
    ground.with_rule(&["--user", "1000:1000"]);
    ground.written()?;
    if !ground.guarded() {
        run("chmod", &["-R", "a+rwX", &ground.mountpoint()?])?.ok()?;
    }
    let ran = ground.run(&["--user", "1000:1000", "--group-add", "0"], IMAGE, &[])?;
    Ok(ground.started(&ran))
}

fn as_user(ground: &mut Ground, user: &str) -> Outcome<Evidence> {
    ground.with_rule(&["--user", "1000:1000"]);
    ground.written()?;
    if !ground.guarded() {
        run("chmod", &["-R", "a+rwX", &ground.mountpoint()?])?.ok()?;
    }
    let ran = ground.run(&["--user", user], IMAGE, &[])?;
    Ok(ground.started(&ran))
}
