//! Paths of the host's that were granted to named apps, and whose owner is mapped.

use super::{Scene, cases};
use crate::{Outcome, Ran, command::run as program, failure::ensure};
use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

cases!("host_paths":
    a_granted_path_is_open_to_the_named_app_alone,
    what_a_grant_does_not_give_is_refused,
    the_owner_is_mapped_where_the_grant_says_so,
    a_volume_of_dockers_own_is_writable_to_whoever_runs,
    every_path_needs_a_grant_where_the_settings_say_so,
    forbidden_and_missing_paths_are_not_granted,
);

/// A directory of the host's with a file in it that root owns.
fn directory(scene: &Scene, name: &str) -> Outcome<PathBuf> {
    let path = scene.host.scratch().join("granted").join(name);
    fs::create_dir_all(&path)?;
    fs::write(path.join("file"), "of the host\n")?;
    Ok(path)
}

fn run(scene: &Scene, options: &[&str], argv: &[&str]) -> Outcome<Ran> {
    let begin = ["run", "--rm", "--runtime", "cofferdam"];
    scene.docker(&[&begin[..], options, &["tiny:1"], argv].concat())
}

const READS: [&str; 2] = ["cat", "/x/file"];

fn a_granted_path_is_open_to_the_named_app_alone(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "named")?;
    let (outer, inner) = (path.display().to_string(), path.join("deep"));
    fs::create_dir_all(&inner)?;
    fs::write(inner.join("file"), "deep\n")?;
    let inner = inner.display().to_string();
    let bind = |source: &str| format!("{source}:/x");
    run(scene, &["--volume", &bind(&outer)], &READS)?
        .ok()?
        .says(&["of the host"])?;
    let rule = [&["--allow-mount", "/x", "--"][..], &READS].concat();
    let app = scene.app("reader", "tiny:1", &rule)?;
    let allow = ["host-path", "allow", &outer, "--to", &app];
    scene.cofferdam(&allow)?.ok()?.says(&[&outer, &app])?;
    scene
        .cofferdam(&["host-path", "ls"])?
        .ok()?
        .says(&[&outer, &app])?;
    for source in [&outer, &inner] {
        run(scene, &["--volume", &bind(source)], &READS)?.ok()?;
        // Another command is another container.
        run(
            scene,
            &["--volume", &bind(source)],
            &["cat", "/x/file", "/x/file"],
        )?
        .refused(&["cofferdam:", "argv differs", &outer])?
        .silent_on(&["of the host"])?;
    }
    // What contains it would be a way round.
    let parent = path
        .parent()
        .map(|parent| parent.display().to_string())
        .unwrap_or_default();
    run(scene, &["--volume", &bind(&parent)], &["cat", "/x/named/file"])?.refused(&[
        "cofferdam:",
        "contains",
        &outer,
    ])?;
    let revoke = ["host-path", "revoke", &outer, "--from", &app];
    scene
        .cofferdam(&revoke)?
        .ok()?
        .says(&["any container may bind it"])?;
    run(
        scene,
        &["--volume", &bind(&outer)],
        &["cat", "/x/file", "/x/file"],
    )?
    .ok()?;
    Ok(())
}

fn what_a_grant_does_not_give_is_refused(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "partly")?.display().to_string();
    let rule = [&["--allow-mount", "/x", "--"][..], &READS].concat();
    let app = scene.app("part", "tiny:1", &rule)?;
    let allow = ["host-path", "allow", &path, "--to", &app];
    scene.cofferdam(&[&allow[..], &["--read-only"]].concat())?.ok()?;
    run(scene, &["--volume", &format!("{path}:/x:ro")], &READS)?.ok()?;
    run(scene, &["--volume", &format!("{path}:/x")], &READS)?.refused(&["cofferdam:", "may only read"])?;
    // At a place that the app's rule does not name.
    run(scene, &["--volume", &format!("{path}:/y:ro")], &READS)?.refused(&["cofferdam:", "/y"])?;
    let soon = [&allow[..], &["--until", "1s"]].concat();
    scene.cofferdam(&soon)?.ok()?;
    std::thread::sleep(std::time::Duration::from_millis(2100));
    run(scene, &["--volume", &format!("{path}:/x:ro")], &READS)?.refused(&["cofferdam:", "ended"])?;
    // A changed root filesystem is not the app.
    scene.cofferdam(&allow)?.ok()?;
    let mount = format!("{path}:/x");
    let create = [
        "create",
        "--runtime",
        "cofferdam",
        "--name",
        "evil",
        "--volume",
        &mount,
        "tiny:1",
    ];
    scene.docker(&[&create[..], &READS].concat())?.ok()?;
    scene
        .docker(&["cp", &format!("{path}/file"), "evil:/bin/cat"])?
        .ok()?;
    scene
        .docker(&["start", "--attach", "evil"])?
        .refused(&["cofferdam:", "busybox"])?;
    scene.docker(&["rm", "evil"])?.ok()?;
    scene
        .cofferdam(&["host-path", "revoke", &path, "--from", &app])?
        .ok()?;
    Ok(())
}

fn the_owner_is_mapped_where_the_grant_says_so(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "mapped")?;
    let source = path.display().to_string();
    let script = "echo mine > /x/new && stat -c %u:%g /x/new /x/file";
    let argv = ["sh", "-c", script];
    let options = ["--user", "1000:1000", "--volume", &format!("{source}:/x")];
    run(scene, &options, &argv)?.refused(&["Permission denied"])?;
    let rule = [&["--allow-mount", "/x", "--"][..], &argv].concat();
    let app = scene.app("mapped", "tiny:1", &rule)?;
    let allow = ["host-path", "allow", &source, "--to", &app];
    scene.cofferdam(&[&allow[..], &["--map-owner"]].concat())?.ok()?;
    let ran = run(scene, &options, &argv)?.ok()?;
    ran.says(&["1000:1000"])?;
    let made = fs::metadata(path.join("new"))?;
    let owner = (made.uid(), made.gid());
    ensure(owner == (0, 0), || format!("on the host it belongs to {owner:?}"))?;
    // Neither set-uid programs nor device nodes come with it.
    let hidden = ["--user", "1000:1000", "--volume", &format!("{source}:/x:ro")];
    run(scene, &hidden, &argv)?.refused(&["Read-only file system"])?;
    scene
        .cofferdam(&["host-path", "revoke", &source, "--from", &app])?
        .ok()?;
    Ok(())
}

fn a_volume_of_dockers_own_is_writable_to_whoever_runs(scene: &mut Scene) -> Outcome {
    scene.docker(&["volume", "create", "cache"])?.ok()?;
    let argv = ["sh", "-c", "echo mine > /data/new && stat -c %u /data/new"];
    let options = ["--user", "1000", "--volume", "cache:/data"];
    run(scene, &options, &argv)?.refused(&["Permission denied"])?;
    let rule = [&["--allow-mount", "/data", "--"][..], &argv].concat();
    let app = scene.app("cacher", "tiny:1", &rule)?;
    let allow = [
        "host-path",
        "allow",
        "--docker-volume",
        "cache",
        "--to",
        &app,
        "--map-owner",
    ];
    scene.cofferdam(&allow)?.ok()?;
    run(scene, &options, &argv)?.ok()?.says(&["1000"])?;
    // Another user, and no file is touched.
    run(scene, &["--user", "1001", "--volume", "cache:/data"], &argv)?
        .ok()?
        .says(&["1001"])?;
    run(scene, &options, &["cat", "/data/new"])?.refused(&["cofferdam:", "argv differs"])?;
    let revoke = ["host-path", "revoke", "--docker-volume", "cache", "--from", &app];
    scene.cofferdam(&revoke)?.ok()?;
    scene.docker(&["volume", "rm", "cache"])?.ok()?;
    Ok(())
}

fn every_path_needs_a_grant_where_the_settings_say_so(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "strict")?.display().to_string();
    let mount = format!("{path}:/x");
    scene.host.daemon.stop()?;
    scene.host.settings("[guard]\nhost_paths_need_grant = true")?;
    scene.host.daemon.start()?;
    let refused = run(scene, &["--volume", &mount], &READS);
    let own = run(scene, &["--volume", "free:/x"], &["touch", "/x/file"]);
    scene.host.daemon.stop()?;
    scene.host.settings("")?;
    scene.host.daemon.start()?;
    refused?.refused(&[
        "cofferdam:",
        "no app has a grant on the host path",
        "cofferdam host-path allow",
    ])?;
    own?.ok()?;
    scene.docker(&["volume", "rm", "free"])?.ok()?;
    run(scene, &["--volume", &mount], &READS)?.ok()?;
    Ok(())
}

fn forbidden_and_missing_paths_are_not_granted(scene: &mut Scene) -> Outcome {
    let app = scene.app("nobodys", "tiny:1", &["--", "true"])?;
    for (path, why) in [
        ("/etc", "forbidden"),
        ("/not/there", "cannot open"),
        ("/", "not a path"),
    ] {
        let allow = ["host-path", "allow", path, "--to", &app];
        scene.cofferdam(&allow)?.refused(&[why])?;
    }
    let odd = ["host-path", "allow", "--docker-volume", "../../etc", "--to", &app];
    scene.cofferdam(&odd)?.refused(&["no volume of Docker's"])?;
    // A link is granted as what it leads to.
    let path = directory(scene, "linked")?;
    let link = path.with_file_name("link");
    if !link.is_symlink() {
        std::os::unix::fs::symlink(&path, &link)?;
    }
    let allow = ["host-path", "allow", &link.display().to_string(), "--to", &app];
    scene
        .cofferdam(&allow)?
        .ok()?
        .says(&[&path.display().to_string()])?;
    let revoke = ["host-path", "revoke", &path.display().to_string(), "--from", &app];
    scene.cofferdam(&revoke)?.ok()?;
    program("rm", &[&link.display().to_string()])?.ok()?;
    Ok(())
}
