//! The right program, steered by its environment.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{Ground, IMAGE},
};
use crate::Outcome;

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "environment::a_library_to_preload",
        Client,
        "names a library that strangers have put into the volume in LD_PRELOAD",
        "LD_* never comes from outside",
        |ground| told_with(ground, &["LD_PRELOAD=/data/uploads/upload.so"]),
    )
    .told(&["LD_PRELOAD"]),
    Attack::new(
        "environment::a_trace_of_the_shell",
        Client,
        "has the shell trace itself, with code of his own in the prompt of the trace",
        "the rule allows neither name",
        a_trace_of_the_shell,
    )
    .told(&["SHELLOPTS"]),
    Attack::new(
        "environment::a_path_of_his_own",
        Client,
        "has the program look for others where strangers have put theirs",
        "PATH never comes from outside",
        |ground| told_with(ground, &["PATH=/data/uploads:/bin"]),
    )
    .told(&["PATH"]),
    Attack::new(
        "environment::a_home_of_his_own",
        Client,
        "has the program find its user's settings where strangers have put theirs",
        "HOME is the image's or Docker's, not the client's",
        |ground| told_with(ground, &["HOME=/data/uploads"]),
    )
    .told(&["HOME"]),
    Attack::new(
        "environment::settings_for_the_shell",
        Client,
        "names a script that strangers have put into the volume in BASH_ENV",
        "the rule does not allow that name",
        |ground| told_with(ground, &["BASH_ENV=/data/uploads/app.conf"]),
    )
    .told(&["BASH_ENV"]),
    Attack::new(
        "environment::an_exported_function",
        Client,
        "brings code of his own as a function that the shell takes in",
        "the rule does not allow that name",
        |ground| told_with(ground, &["BASH_FUNC_cat%%=() { /bin/busybox cat /data/marker; }"]),
    )
    .told(&["BASH_FUNC_cat"]),
    Attack::new(
        "environment::a_loader_that_writes",
        Client,
        "has the dynamic loader write a file of its own into the volume",
        "LD_* never comes from outside",
        a_loader_that_writes,
    )
    .told(&["LD_DEBUG"]),
    Attack::new(
        "environment::megabytes",
        Client,
        "hides LD_PRELOAD behind a megabyte of other variables",
        "the rule allows none of these names",
        megabytes,
    )
    .told(&[]),
    Attack::new(
        "environment::the_same_name_twice",
        Client,
        "names PATH twice, the image's value first",
        "what counts is what the program gets",
        |ground| told_with(ground, &["PATH=/bin", "PATH=/data/uploads:/bin"]),
    )
    .told(&["PATH"]),
    Attack::new(
        "environment::beside_a_ticket",
        Client,
        "brings LD_PRELOAD beside what looks like a ticket",
        "the ticket is taken away, nothing else is",
        |ground| {
            told_with(
                ground,
                &["COFFERDAM_TICKET=x", "LD_PRELOAD=/data/uploads/upload.so"],
            )
        },
    )
    .told(&["LD_PRELOAD"]),
];

/// The victim's own command, with these variables.
fn told_with(ground: &mut Ground, variables: &[&str]) -> Outcome<Evidence> {
    ground.written()?;
    let options: Vec<&str> = variables
        .iter()
        .flat_map(|variable| ["--env", variable])
        .collect();
    let ran = ground.run(&options, IMAGE, &[])?;
    Ok(ground.read(&ran))
}

/// As a user who is not root: of root's environment the shell takes no such prompt.
fn a_trace_of_the_shell(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let options = [
        "--user",
        "1000",
        "--env",
        "SHELLOPTS=xtrace",
        "--env",
        "PS4=$(/bin/busybox cat /data/marker)",
    ];
    let ran = ground.run(&options, IMAGE, &[])?;
    Ok(ground.read(&ran))
}

fn a_loader_that_writes(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let options = ["--env", "LD_DEBUG=libs", "--env", "LD_DEBUG_OUTPUT=/data/planted"];
    let ran = ground.run(&options, IMAGE, &[])?;
    let planted = ground.listed()?.contains("planted");
    Ok(Evidence::when(
        planted,
        "a file was written into the volume",
        ran.said(),
    ))
}

fn megabytes(ground: &mut Ground) -> Outcome<Evidence> {
    let long: Vec<String> = (0..12)
        .map(|number| format!("A{number}={}", "x".repeat(100_000)))
        .collect();
    let mut variables: Vec<&str> = long.iter().map(String::as_str).collect();
    variables.push("LD_PRELOAD=/data/uploads/upload.so");
    told_with(ground, &variables)
}
