//! What `why` proposes, typed exactly as it is printed, makes the very launch succeed that was refused.

use super::{Scene, cases, plan::typed};
use crate::{
    Outcome, Ran,
    failure::{During, ensure},
};

cases!("why":
    another_command_gets_an_app_of_its_own,
    names_in_the_environment_are_allowed_all_at_once,
    a_mount_from_outside_and_one_over_the_image_are_allowed,
    another_user_gets_an_app_of_its_own,
    an_added_privilege_and_a_network_are_allowed,
    what_was_copied_in_is_allowed,
    a_missing_grant_is_given,
    a_grant_that_ended_is_given_anew,
    a_grant_to_read_may_write,
    two_volumes_are_opened_by_one_line,
    what_no_rule_can_allow_nothing_should,
    the_rule_stands_beside_the_container,
    a_rule_that_is_replaced_ends_what_others_granted,
);

/// `docker run` as it is given here: nothing of it is thought of by us.
fn launch(scene: &Scene, words: &[&str]) -> Outcome<Ran> {
    scene.docker(&[&["run", "--rm", "--runtime", "cofferdam"], words].concat())
}

/// The line that `why` prints for the latest decision.
fn proposed(scene: &Scene) -> Outcome<String> {
    let id = latest(scene)?;
    let told = scene.cofferdam(&["why", &id])?.ok()?;
    let mut lines = told.out.lines();
    let line = lines.find_map(|line| line.strip_prefix("  cofferdam "));
    Ok(format!("cofferdam {}", line.during(told.said())?))
}

fn latest(scene: &Scene) -> Outcome<String> {
    let listed = scene.cofferdam(&["--json", "why"])?.ok()?.json()?;
    let id = listed.pointer("/0/id").and_then(serde_json::Value::as_str);
    Ok(id.during("the latest decision")?.to_owned())
}

/// Refused; then the line is typed; then let in.
fn helped(scene: &Scene, words: &[&str]) -> Outcome<String> {
    launch(scene, words)?.refused(&["cofferdam:", "cofferdam why"])?;
    let line = proposed(scene)?;
    typed(scene, &line)?.ok()?;
    launch(scene, words)?.ok()?;
    scene.nothing_is_held()?;
    Ok(line)
}

fn mount(volume: &str) -> String {
    format!("{volume}:/data")
}

fn another_command_gets_an_app_of_its_own(scene: &mut Scene) -> Outcome {
    for options in [&[][..], &["--plain"]] {
        let volume = scene.usual_of(options)?;
        let script = "test -d \"/data\" && echo 'it'\\''s $HOME'; true # ü";
        let line = helped(scene, &["-v", &mount(&volume), "tiny:1", "sh", "-c", script])?;
        ensure(!line.contains("--replace"), || line.clone())?;
        // What was let in before still is.
        scene.run_usual(&volume)?.ok()?;
        scene.nothing_is_held()?;
        scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
        scene.cofferdam(&["app", "rm", &scene.named("app-2")])?.ok()?;
    }
    Ok(())
}

fn names_in_the_environment_are_allowed_all_at_once(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let words = [
        "-v",
        &mount(&volume),
        "-e",
        "B=1",
        "-e",
        "A=2",
        "-e",
        "C=3",
        "tiny:1",
    ];
    launch(scene, &words)?.refused(&["--allow-env A --allow-env B --allow-env C"])?;
    let line = helped(scene, &words)?;
    ensure(line.contains("--replace"), || line.clone())?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_mount_from_outside_and_one_over_the_image_are_allowed(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let place = scene.host.scratch().join("proposed");
    std::fs::create_dir_all(&place)?;
    let outside = format!("{}:/srv/my files:ro", place.display());
    let words = [
        "-v",
        &mount(&volume),
        "-v",
        &outside,
        "--tmpfs",
        "/usr/share",
        "tiny:1",
    ];
    helped(scene, &words)?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn another_user_gets_an_app_of_its_own(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &["--user", "1000:1000"])?;
    scene.grant(&volume, &app, &[])?;
    helped(scene, &["-v", &mount(&volume), "--user", "1001:1002", "tiny:1"])?;
    scene
        .run(&volume, &["--user", "1000:1000"], "tiny:1", &[])?
        .ok()?;
    Ok(())
}

fn an_added_privilege_and_a_network_are_allowed(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let words = [
        "-v",
        &mount(&volume),
        "--cap-add",
        "NET_ADMIN",
        "--network",
        "host",
        "tiny:1",
    ];
    helped(scene, &words)?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn what_was_copied_in_is_allowed(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let file = scene.host.scratch().join("proposed-file");
    std::fs::write(&file, "x\n")?;
    let line = [
        "create",
        "--runtime",
        "cofferdam",
        "-v",
        &mount(&volume),
        "tiny:1",
    ];
    let id = scene.docker(&line)?.ok()?.text();
    scene
        .docker(&["cp", &file.display().to_string(), &format!("{id}:/etc/my file")])?
        .ok()?;
    scene
        .docker(&["start", &id])?
        .refused(&["cofferdam:", "/etc/my file"])?;
    let told = scene.cofferdam(&["why", &latest(scene)?])?.ok()?;
    told.says(&["make the container anew"])?;
    typed(scene, &proposed(scene)?)?.ok()?;
    scene.docker(&["start", &id])?.ok()?;
    scene.docker(&["rm", "--force", &id])?.ok()?;
    Ok(())
}

fn a_missing_grant_is_given(scene: &mut Scene) -> Outcome {
    for options in [&[][..], &["--plain"]] {
        let volume = scene.volume("data", options)?;
        scene.app("app", "tiny:1", &[])?;
        let line = helped(scene, &["-v", &mount(&volume), "tiny:1"])?;
        ensure(line.starts_with("cofferdam grant "), || line.clone())?;
        scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    }
    // Nobody has a grant, and there is no such app.
    let volume = scene.volume("more", &[])?;
    helped(scene, &["-v", &mount(&volume), "tiny:2"])?;
    Ok(())
}

fn a_grant_that_ended_is_given_anew(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &[])?;
    scene.grant(&volume, &app, &["--until", "2s"])?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    helped(scene, &["-v", &mount(&volume), "tiny:1"])?;
    Ok(())
}

fn a_grant_to_read_may_write(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &["--", "touch", "/data/new"])?;
    scene.grant(&volume, &app, &["--read-only", "--exec"])?;
    let words = ["-v", &mount(&volume), "tiny:1", "touch", "/data/new"];
    launch(scene, &words)?.refused(&["Read-only"])?;
    let line = proposed(scene)?;
    ensure(line == format!("cofferdam grant {volume} {app} --exec"), || {
        line.clone()
    })?;
    typed(scene, &line)?.ok()?;
    launch(scene, &words)?.ok()?;
    Ok(())
}

fn two_volumes_are_opened_by_one_line(scene: &mut Scene) -> Outcome {
    let (one, other) = (scene.usual()?, scene.volume("other", &["--plain"])?);
    let second = format!("{other}:/more:ro");
    let words = ["-v", &mount(&one), "-v", &second, "-e", "A=1", "tiny:1"];
    let line = helped(scene, &words)?;
    ensure(line.contains(" && cofferdam grant "), || line.clone())?;
    Ok(())
}

fn what_no_rule_can_allow_nothing_should(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let data = mount(&volume);
    for (words, reason) in [
        (
            &["-v", &data, "-e", "LD_PRELOAD=/x", "-e", "A=1", "tiny:1"][..],
            "LD_PRELOAD",
        ),
        (&["-v", &data, "--cap-add", "SYS_ADMIN", "tiny:1"], "reaches out"),
        (&["-v", &data, "--pid", "host", "tiny:1"], "pid namespace"),
    ] {
        launch(scene, words)?.refused(&["cofferdam:"])?;
        scene
            .cofferdam(&["why", &latest(scene)?])?
            .ok()?
            .says(&["Nothing should: ", reason])?
            .silent_on(&["  cofferdam app create"])?;
    }
    launch(scene, &["-v", "/etc:/x", "tiny:1"])?.refused(&["forbidden"])?;
    scene
        .cofferdam(&["why", &latest(scene)?])?
        .ok()?
        .silent_on(&["it would be allowed", "  cofferdam "])?;
    Ok(())
}

fn the_rule_stands_beside_the_container(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let words = ["-v", &mount(&volume), "-e", "A=1", "tiny:1", "sh"];
    launch(scene, &words)?.refused(&["cofferdam:"])?;
    let id = latest(scene)?;
    let mut command = scene.host.command("cofferdam", &["why", &id]);
    command.env("LC_ALL", "C.UTF-8");
    let told = crate::command::finish(&command)?.ok()?;
    let marked = |mark: &str, what: &str| {
        let mut lines = told.out.lines();
        ensure(
            lines.any(|line| line.starts_with(mark) && line.contains(what)),
            || format!("no {what} with {mark}: {}", told.out),
        )
    };
    marked("≠", "command")?;
    marked("≠", "environment A")?;
    marked("=", "image")?;
    marked("=", "user")?;
    command.env("LC_ALL", "C");
    crate::command::finish(&command)?
        .ok()?
        .says(&["!=", "environment A"])?
        .silent_on(&["≠"])?;
    // What is shown is the rule of now, and said to be.
    let app = scene.named("app");
    scene
        .cofferdam(&[
            "app",
            "create",
            &app,
            "--replace",
            "--image",
            "tiny:1",
            "--allow-env",
            "A",
        ])?
        .ok()?;
    scene
        .cofferdam(&["why", &id])?
        .ok()?
        .says(&["its rule was made after this decision"])?;
    // An allowed one names the policies.
    scene.run(&volume, &["-e", "A=1"], "tiny:1", &[])?.ok()?;
    scene
        .cofferdam(&["why", &latest(scene)?])?
        .ok()?
        .says(&["generic.cedar/write"])?;
    Ok(())
}

fn a_rule_that_is_replaced_ends_what_others_granted(scene: &mut Scene) -> Outcome {
    let other = format!("{}-other", scene.named("x").replace('.', "-"));
    scene.cofferdam(&["tenant", "create", &other])?.ok()?;
    let theirs = format!("{other}.data");
    scene.cofferdam(&["volume", "create", &theirs, "--plain"])?.ok()?;
    let volume = scene.usual()?;
    let app = scene.named("app");
    scene.grant(&theirs, &app, &[])?;
    scene.run(&theirs, &[], "tiny:1", &[])?.ok()?;
    scene
        .cofferdam(&[
            "app",
            "create",
            &app,
            "--replace",
            "--image",
            "tiny:1",
            "--allow-env",
            "A",
        ])?
        .ok()?;
    scene.run(&volume, &["-e", "A=1"], "tiny:1", &[])?.ok()?;
    scene
        .run(&theirs, &["-e", "A=1"], "tiny:1", &[])?
        .refused(&["cofferdam:", &theirs])?;
    Ok(())
}
