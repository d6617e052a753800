//! Ids: on disk they are canonical, inside they are the container's, and nothing is ever rewritten.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::same,
    failure::{During, ensure},
};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

cases!("ids":
    another_uid_owns_the_same_files,
    root_without_its_capabilities_owns_them_too,
    no_file_is_touched_by_another_uid,
    on_disk_the_owner_stays_canonical,
    files_of_other_owners_keep_them,
    a_new_volume_takes_owner_and_content_from_the_image,
    an_image_without_the_directory_gives_the_volume_to_the_user,
    a_volume_with_content_is_not_filled_again,
    what_was_put_into_the_container_is_not_in_a_new_volume,
);

/// Owner and change time of everything below a directory.
fn states(directory: &Path) -> Outcome<BTreeMap<String, (u32, u32, i64, i64)>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).during(path.display())?;
        let state = (
            metadata.uid(),
            metadata.gid(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        );
        found.insert(path.display().to_string(), state);
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        }
    }
    Ok(found)
}

fn another_uid_owns_the_same_files(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let script =
        "umask 077; echo $(id -u) >> /data/private && cat /data/private && stat -c %u /data/private /data";
    scene.script("writer", &volume, script, &[])?;
    let argv = ["sh", "-c", script];
    scene
        .run(&volume, &["--user", "1000"], "tiny:1", &argv)?
        .ok()?
        .says(&["1000\n1000\n1000\n"])?;
    let second = scene.run(&volume, &["--user", "1001:1001"], "tiny:1", &argv)?;
    same(
        "what uid 1001 sees",
        second.ok()?.out,
        "1000\n1001\n1001\n1001\n".to_owned(),
    )?;
    Ok(())
}

fn root_without_its_capabilities_owns_them_too(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let look = "stat -c %u /data /data/log";
    scene.script("looker", &volume, look, &[])?;
    let argv = ["sh", "-c", look];
    let bound = scene.run(&volume, &["--cap-drop", "ALL"], "tiny:1", &argv)?;
    same(
        "what a root sees that ownership binds",
        bound.ok()?.out,
        "0\n0\n".to_owned(),
    )?;
    // docs/decisions/0003-root-sees-ids-as-they-are.md
    let free = scene.run(&volume, &[], "tiny:1", &argv)?;
    same(
        "what a root sees that ownership does not bind",
        free.ok()?.out,
        "1000\n1000\n".to_owned(),
    )
}

fn no_file_is_touched_by_another_uid(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_plain()?;
    scene.run_usual(&volume)?.ok()?;
    let script = "cat /data/log";
    scene.script("reader", &volume, script, &[])?;
    let on_disk = scene.on_disk(&volume)?;
    let before = states(&on_disk)?;
    ensure(before.len() > 1, || format!("nothing in {}", on_disk.display()))?;
    scene
        .run(&volume, &["--user", "1001"], "tiny:1", &["sh", "-c", script])?
        .ok()?
        .says(&["1000 was here"])?;
    same("owners and change times", states(&on_disk)?, before)
}

fn on_disk_the_owner_stays_canonical(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--plain"])?;
    let script = "echo $(id -u) > /data/by-$(id -u)";
    scene.script("writer", &volume, script, &[])?;
    for user in ["1000:1000", "1001:1001", "7:9"] {
        scene
            .run(&volume, &["--user", user], "tiny:1", &["sh", "-c", script])?
            .ok()?;
    }
    let on_disk = scene.on_disk(&volume)?;
    for uid in [1000, 1001, 7] {
        let metadata = fs::metadata(on_disk.join(format!("by-{uid}")))?;
        same("owner on disk", (metadata.uid(), metadata.gid()), (1000, 1000))?;
    }
    Ok(())
}

fn files_of_other_owners_keep_them(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let make = "touch /data/foreign && chown 4242:4343 /data/foreign";
    scene.script("maker", &volume, make, &[])?;
    scene.run(&volume, &[], "tiny:1", &["sh", "-c", make])?.ok()?;
    let look = "stat -c %u:%g /data/foreign";
    scene.script("looker", &volume, look, &[])?;
    let seen = scene.run(&volume, &["--user", "1000:1000"], "tiny:1", &["sh", "-c", look])?;
    same("a foreign owner", seen.ok()?.text(), "4242:4343".to_owned())
}

fn a_new_volume_takes_owner_and_content_from_the_image(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--plain"])?;
    let look = "cd /srv/seed && cat letter && readlink short && \
        stat -c '%n %u:%g %a' . letter deep deep/deeper deep/deeper/secret";
    let app = scene.app("seeded", "seed:1", &["--", "sh", "-c", look])?;
    scene.grant(&volume, &app, &[])?;
    let mount = format!("{volume}:/srv/seed");
    let run = |user: &str| {
        scene.docker(&[
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "--user",
            user,
            "-v",
            &mount,
            "seed:1",
            "sh",
            "-c",
            look,
        ])
    };
    run("5000:5000")?.ok()?.says(&[
        "from the image\n",
        "deep/deeper/secret\n",
        ". 5000:5000 750",
        "letter 5000:5000 640",
        "deep 5000:5000 2750",
        "deep/deeper 5000:6000",
        "deep/deeper/secret 5000:5000 400",
    ])?;
    let mut value = [0; 16];
    let letter = scene.on_disk(&volume)?.join("letter");
    let length = rustix::fs::getxattr(&letter, "user.origin", &mut value)?;
    same("the attribute", value.get(..length), Some(b"image".as_slice()))?;
    run("1234:1234")?
        .ok()?
        .says(&[". 1234:1234 750", "deep/deeper/secret 1234:1234 400"])?;
    Ok(())
}

fn an_image_without_the_directory_gives_the_volume_to_the_user(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--plain"])?;
    let look = "stat -c '%u:%g' /data; ls -A /data | wc -l";
    scene.script("looker", &volume, look, &[])?;
    let seen = scene.run(&volume, &["--user", "1000:1000"], "tiny:1", &["sh", "-c", look])?;
    same("owner and entries", seen.ok()?.out, "1000:1000\n0\n".to_owned())?;
    let metadata = fs::metadata(scene.on_disk(&volume)?)?;
    same("owner on disk", (metadata.uid(), metadata.gid()), (1000, 1000))
}

fn a_volume_with_content_is_not_filled_again(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--plain"])?;
    let empty = "rm -rf /srv/seed/* && ls -A /srv/seed | wc -l";
    let app = scene.app("seeded", "seed:1", &["--", "sh", "-c", empty])?;
    scene.grant(&volume, &app, &[])?;
    let mount = format!("{volume}:/srv/seed");
    for _ in 0..2 {
        let line = [
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "-v",
            &mount,
            "seed:1",
            "sh",
            "-c",
            empty,
        ];
        scene.docker(&line)?.ok()?.says(&["0\n"])?;
    }
    let kept = fs::read_dir(scene.on_disk(&volume)?)?.count();
    same("what an emptied volume holds", kept, 0)
}

/// Between `docker create` and `docker start` somebody writes into the container's own layer.
fn what_was_put_into_the_container_is_not_in_a_new_volume(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("lister", "seed:1", &["--", "ls", "-A", "/srv/seed"])?;
    scene.grant(&volume, &app, &[])?;
    let mount = format!("{volume}:/srv/seed");
    let line = [
        "create",
        "--runtime",
        "cofferdam",
        "--volume",
        &mount,
        "seed:1",
        "ls",
        "-A",
        "/srv/seed",
    ];
    let id = scene.docker(&line)?.ok()?.text();
    let upper = scene
        .docker(&["inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", &id])?
        .ok()?
        .text();
    let place = Path::new(&upper).join("srv/seed");
    fs::create_dir_all(&place)?;
    fs::write(place.join("evil"), "from somebody else")?;
    scene
        .docker(&["start", "--attach", &id])?
        .ok()?
        .says(&["letter"])?
        .silent_on(&["evil"])?;
    Ok(())
}
