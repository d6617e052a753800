//! Where mounts really go, and what they hide; extra groups, and privileges that may be gained.

use super::{Scene, cases};
use crate::{Outcome, image::import};
use std::{fs, os::unix::fs::symlink};

cases!("places":
    a_link_of_the_image_is_followed,
    nothing_lies_over_the_images_files_unless_the_rule_or_the_image_says_so,
    a_link_in_one_volume_leads_no_other_mount_away,
    a_group_from_outside_needs_the_rule,
    what_must_gain_no_privileges_cannot,
);

/// An image with code at a place of its own, and one that it declares to be for data.
fn image_with_code(scene: &Scene) -> Outcome {
    let changes = ["CMD [\"/bin/app\"]", "VOLUME /srv/store"];
    import(scene.host, "coded:1", &changes, |root| {
        fs::create_dir_all(root.join("opt/code"))?;
        fs::write(root.join("opt/code/words"), "x\n")?;
        fs::create_dir_all(root.join("srv/store"))?;
        fs::write(root.join("srv/store/first"), "first\n")?;
        Ok(())
    })
}

/// An image with links.
fn image_with_links(scene: &Scene) -> Outcome {
    import(scene.host, "links:1", &["CMD [\"/bin/app\"]"], |root| {
        fs::create_dir_all(root.join("srv"))?;
        symlink("/etc", root.join("srv/conf"))?;
        symlink("data-of-old", root.join("srv/moved"))?;
        Ok(())
    })
}

fn a_link_of_the_image_is_followed(scene: &mut Scene) -> Outcome {
    image_with_links(scene)?;
    let volume = scene.volume("data", &[])?;
    let argv = ["sh", "-c", "ls -d /srv/data-of-old"];
    let app = scene.app("linked", "links:1", &[&["--"][..], &argv].concat())?;
    scene.grant(&volume, &app, &[])?;
    let at = |place: &str| {
        let mount = format!("{volume}:{place}");
        let begin = [
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "--volume",
            &mount,
            "links:1",
        ];
        scene.docker(&[&begin[..], &argv].concat())
    };
    at("/srv/conf")?.refused(&[
        "cofferdam:",
        "/srv/conf, which leads to /etc",
        "image's own files",
    ])?;
    at("/srv/conf/app.d")?.refused(&["cofferdam:", "which leads to /etc/app.d"])?;
    at("/srv/moved")?.ok()?;
    scene.nothing_is_held()
}

fn nothing_lies_over_the_images_files_unless_the_rule_or_the_image_says_so(scene: &mut Scene) -> Outcome {
    image_with_code(scene)?;
    let volume = scene.volume("data", &[])?;
    let argv = ["sh", "-c", "true"];
    let app = scene.app("code", "coded:1", &[&["--"][..], &argv].concat())?;
    scene.grant(&volume, &app, &[])?;
    let run = |options: &[&str]| {
        let begin = ["run", "--rm", "--runtime", "cofferdam"];
        scene.docker(&[&begin[..], options, &["coded:1"], &argv].concat())
    };
    let at = |place: &str| format!("{volume}:{place}");
    run(&["--volume", &at("/opt/code")])?.refused(&["cofferdam:", "/opt/code", "image's own files"])?;
    run(&["--volume", &at("/opt")])?.refused(&["cofferdam:", "/opt", "image's own files"])?;
    run(&["--volume", &at("/data"), "--tmpfs", "/opt/code"])?
        .refused(&["cofferdam:", "a tmpfs at /opt/code"])?;
    // What the image declares to be for data is, and so is a place where it has nothing.
    run(&["--volume", &at("/srv/store")])?.ok()?;
    let other = scene.volume("other", &[])?;
    scene.grant(&other, &app, &[])?;
    let at_other = format!("{other}:/srv/store");
    for place in ["/srv/store/deep", "/opt/empty"] {
        run(&["--volume", &at_other, "--volume", &at(place)])?.ok()?;
    }
    let rule = [&["--allow-mount", "/opt/code", "--"][..], &argv].concat();
    let allowed = scene.app("allowed", "coded:1", &rule)?;
    scene.grant(&volume, &allowed, &[])?;
    scene.grant(&other, &allowed, &[])?;
    run(&["--volume", &at_other, "--volume", &at("/opt/code")])?.ok()?;
    scene.nothing_is_held()
}

fn a_link_in_one_volume_leads_no_other_mount_away(scene: &mut Scene) -> Outcome {
    let (outer, inner) = (scene.volume("outer", &[])?, scene.volume("inner", &[])?);
    let makes = ["sh", "-c", "mkdir -p /data/real; ln -s /etc /data/link"];
    let looks = ["sh", "-c", "true"];
    for (label, argv) in [("makes", makes), ("looks", looks)] {
        let app = scene.app(label, "tiny:1", &[&["--"][..], &argv].concat())?;
        scene.grant(&outer, &app, &[])?;
        scene.grant(&inner, &app, &[])?;
    }
    scene.run(&outer, &[], "tiny:1", &makes)?.ok()?;
    let nested = |place: &str| format!("{inner}:/data/{place}");
    scene
        .run(&outer, &["--volume", &nested("real")], "tiny:1", &looks)?
        .ok()?;
    for place in ["link", "link/app.d"] {
        scene
            .run(&outer, &["--volume", &nested(place)], "tiny:1", &looks)?
            .refused(&["cofferdam:", "through a link"])?;
    }
    scene.nothing_is_held()
}

fn a_group_from_outside_needs_the_rule(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let argv = ["id", "-G"];
    let app = scene.app("grouped", "tiny:1", &[&["--"][..], &argv].concat())?;
    scene.grant(&volume, &app, &[])?;
    let options = ["--user", "1000:1000", "--group-add", "44"];
    scene
        .run(&volume, &["--user", "1000:1000"], "tiny:1", &argv)?
        .ok()?;
    scene
        .run(&volume, &options, "tiny:1", &argv)?
        .refused(&["cofferdam:", "group 44"])?;
    let rule = [&["--allow-group", "44", "--"][..], &argv].concat();
    let allowed = scene.app("allowed", "tiny:1", &rule)?;
    scene.grant(&volume, &allowed, &[])?;
    scene
        .run(&volume, &options, "tiny:1", &argv)?
        .ok()?
        .says(&["44"])?;
    let more = [&options[..], &["--group-add", "0"]].concat();
    scene
        .run(&volume, &more, "tiny:1", &argv)?
        .refused(&["cofferdam:", "group 0"])?;
    scene.nothing_is_held()
}

fn what_must_gain_no_privileges_cannot(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let argv = ["grep", "NoNewPrivs", "/proc/self/status"];
    let rule = [&["--require-no-new-privileges", "--"][..], &argv].concat();
    let app = scene.app("bound", "tiny:1", &rule)?;
    scene.grant(&volume, &app, &[])?;
    scene
        .run(&volume, &[], "tiny:1", &argv)?
        .refused(&["cofferdam:", "no-new-privileges"])?;
    let options = ["--security-opt", "no-new-privileges"];
    scene
        .run(&volume, &options, "tiny:1", &argv)?
        .ok()?
        .says(&["NoNewPrivs:\t1"])?;
    scene.nothing_is_held()
}
