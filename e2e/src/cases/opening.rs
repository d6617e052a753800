//! Opening: what an admitted container sees of its volume.

use super::{Scene, cases};
use crate::{Outcome, failure::ensure};

cases!("opening":
    a_fresh_volume_can_be_written_by_uid_1000,
    what_was_written_is_there_the_next_time,
    the_mount_is_nosuid_and_nodev,
    a_read_only_grant_opens_read_only,
    a_read_only_request_stays_read_only,
    volumes_and_tmpfs_below_a_volume_come_out_in_order,
    two_volumes_open_together_or_not_at_all,
    a_container_without_volumes_needs_no_daemon,
    a_volume_on_an_image_directory_with_a_link_stays_inside_the_container,
);

fn a_fresh_volume_can_be_written_by_uid_1000(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?.says(&["1000 was here"])?;
    Ok(())
}

fn what_was_written_is_there_the_next_time(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .run_usual(&volume)?
        .ok()?
        .says(&["1000 was here\n1000 was here"])?;
    Ok(())
}

fn the_mount_is_nosuid_and_nodev(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let script = "grep ' /data ' /proc/self/mountinfo";
    scene.script("look", &volume, script, &[])?;
    let ran = scene.run(&volume, &[], "tiny:1", &["sh", "-c", script])?.ok()?;
    ran.says(&["nosuid", "nodev", "rw,"])?;
    Ok(())
}

fn a_read_only_grant_opens_read_only(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let script = "cat /data/log; echo more >> /data/log || echo refused by the kernel";
    scene.script("reader", &volume, script, &["--read-only"])?;
    let ran = scene.run(&volume, &["--user", "1000"], "tiny:1", &["sh", "-c", script])?;
    ran.ok()?
        .says(&["1000 was here", "Read-only file system", "refused by the kernel"])?;
    scene.run_usual(&volume)?.ok()?.silent_on(&["more"])?;
    Ok(())
}

fn a_read_only_request_stays_read_only(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let script = "echo x > /data/x || echo refused by the kernel";
    scene.script("writer", &volume, script, &[])?;
    let mount = format!("{volume}:/data:ro");
    let run = |mount: &str| {
        scene.docker(&[
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "-v",
            mount,
            "tiny:1",
            "sh",
            "-c",
            script,
        ])
    };
    run(&mount)?.ok()?.says(&["refused by the kernel"])?;
    run(&format!("{volume}:/data"))?
        .ok()?
        .silent_on(&["refused by the kernel"])?;
    Ok(())
}

fn volumes_and_tmpfs_below_a_volume_come_out_in_order(scene: &mut Scene) -> Outcome {
    let (outer, inner) = (scene.volume("outer", &[])?, scene.volume("inner", &[])?);
    let script = "mkdir -p /data/a /data/b; grep -c ' /data' /proc/self/mountinfo; \
        echo outer > /data/which; echo inner > /data/a/which; echo memory > /data/b/which; \
        cat /data/which /data/a/which /data/b/which; stat -f -c %T /data/b";
    let app = scene.app(
        "nested",
        "tiny:1",
        &["--allow-mount", "/data/b", "--", "sh", "-c", script],
    )?;
    scene.grant(&outer, &app, &[])?;
    scene.grant(&inner, &app, &[])?;
    let (outer, inner) = (format!("{outer}:/data"), format!("{inner}:/data/a"));
    let line = [
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "-v",
        &inner,
        "-v",
        &outer,
        "--tmpfs",
        "/data/b",
        "tiny:1",
        "sh",
        "-c",
        script,
    ];
    scene
        .docker(&line)?
        .ok()?
        .says(&["3\n", "outer\ninner\nmemory\n", "tmpfs"])?;
    Ok(())
}

fn two_volumes_open_together_or_not_at_all(scene: &mut Scene) -> Outcome {
    let mine = scene.usual()?;
    let foreign = scene.volume("foreign", &[])?;
    let options = format!("{foreign}:/other");
    scene
        .run(&mine, &["-v", &options], "tiny:1", &[])?
        .refused(&["cofferdam:", &foreign])?;
    scene.nothing_is_held()?;
    scene.run_usual(&mine)?.ok()?.silent_on(&["was here\n1000"])?;
    Ok(())
}

fn a_container_without_volumes_needs_no_daemon(scene: &mut Scene) -> Outcome {
    scene.host.daemon.kill()?;
    let ran = scene.docker(&[
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "tiny:1",
        "echo",
        "no need",
    ])?;
    ran.ok()?.says(&["no need"])?;
    Ok(())
}

fn a_volume_on_an_image_directory_with_a_link_stays_inside_the_container(scene: &mut Scene) -> Outcome {
    crate::image::import(scene.host, "linked:1", &["CMD [\"/bin/app\"]"], |root| {
        Ok(std::os::unix::fs::symlink("/etc", root.join("data"))?)
    })?;
    let volume = scene.volume("data", &[])?;
    let app = scene.app("linked", "linked:1", &[])?;
    scene.grant(&volume, &app, &[])?;
    let ran = scene.run(&volume, &[], "linked:1", &[])?;
    let host_untouched = !std::path::Path::new("/etc/log").exists();
    ensure(host_untouched, || {
        "the volume was opened over the host's /etc".to_owned()
    })?;
    let inside_only = !ran.is_ok() || ran.out.contains("was here");
    ensure(inside_only, || format!("{ran:?}"))
}
