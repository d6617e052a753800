//! Paths of the host's that were granted to named apps, and whose owner is mapped.

use super::{Scene, cases};
use crate::{Outcome, Ran, command::run as program, failure::ensure, host::mount};
use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

cases!("host_paths":
    a_granted_path_is_open_to_the_named_app_alone,
    what_a_grant_does_not_give_is_refused,
    the_owner_is_mapped_where_the_grant_says_so,
    a_volume_of_dockers_own_is_writable_to_whoever_runs,
    every_path_needs_a_grant_where_the_settings_say_so,
    forbidden_and_missing_paths_are_not_granted,
    another_rule_under_the_same_name_is_another_app,
    processes_are_added_where_the_grant_says_so,
    a_volume_of_dockers_that_is_the_hosts_memory_is_judged_as_that,
    a_granted_volume_of_dockers_cannot_be_exchanged,
    a_grant_means_what_lay_there_and_nothing_else,
    what_may_only_be_read_is_read_only_all_through,
    beside_a_volume_both_must_let_processes_be_added,
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
    let owned = |owner: &str| program("chown", &["-R", owner, &source])?.ok();
    let script = "echo mine > /x/new && stat -c %u:%g /x/new /x/file";
    let argv = ["sh", "-c", script];
    let options = ["--user", "1000:1000", "--volume", &format!("{source}:/x")];
    run(scene, &options, &argv)?.refused(&["Permission denied"])?;
    let rule = [&["--allow-mount", "/x", "--"][..], &argv].concat();
    let app = scene.app("mapped", "tiny:1", &rule)?;
    let allow = ["host-path", "allow", &source, "--to", &app, "--map-owner"];
    // Root's files would be the container's to make.
    scene.cofferdam(&allow)?.refused(&["belongs to root", "chown"])?;
    owned("7000:7000")?;
    scene.cofferdam(&allow)?.ok()?;
    let ran = run(scene, &options, &argv)?.ok()?;
    ran.says(&["1000:1000"])?;
    let made = fs::metadata(path.join("new"))?;
    let owner = (made.uid(), made.gid());
    ensure(owner == (7000, 7000), || {
        format!("on the host it belongs to {owner:?}")
    })?;
    owned("0:0")?;
    run(scene, &options, &argv)?.refused(&["cofferdam:", "belongs to root"])?;
    owned("7000:7000")?;
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

fn another_rule_under_the_same_name_is_another_app(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "renamed")?.display().to_string();
    let mount = format!("{path}:/x");
    let places = ["--allow-mount", "/x", "--"];
    let app = scene.app("same", "tiny:1", &[&places[..], &READS].concat())?;
    let allow = ["host-path", "allow", &path, "--to", &app];
    scene.cofferdam(&allow)?.ok()?;
    run(scene, &["--volume", &mount], &READS)?.ok()?;
    let other = ["cat", "/x/file", "/etc/variant"];
    let replace = ["app", "create", &app, "--replace", "--image", "tiny:1"];
    scene.cofferdam(&[&replace[..], &places, &other].concat())?.ok()?;
    run(scene, &["--volume", &mount], &other)?.refused(&["cofferdam:", "another rule"])?;
    scene.cofferdam(&allow)?.ok()?;
    run(scene, &["--volume", &mount], &other)?
        .ok()?
        .says(&["of the host"])?;
    Ok(())
}

fn processes_are_added_where_the_grant_says_so(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "added")?.display().to_string();
    let mount = format!("{path}:/x");
    let argv = ["sleep", "1000"];
    let app = scene.app(
        "stays",
        "tiny:1",
        &[&["--allow-mount", "/x", "--"][..], &argv].concat(),
    )?;
    let allow = ["host-path", "allow", &path, "--to", &app];
    scene.cofferdam(&allow)?.ok()?;
    let begin = ["run", "--detach", "--name", "stays", "--runtime", "cofferdam"];
    let line = [&begin[..], &["--volume", &mount, "tiny:1"], &argv].concat();
    scene.docker(&line)?.ok()?;
    let exec = ["exec", "stays", "cat", "/x/file"];
    let refused = || -> Outcome<Ran> {
        let ran = scene.docker(&exec)?;
        ran.refused(&["cofferdam:", "adding a process", &path])?
            .silent_on(&["of the host"])
    };
    refused()?;
    // Also after the daemon was away.
    scene.host.daemon.stop()?;
    scene.docker(&exec)?.refused(&["cofferdam:", "cofferdamd"])?;
    scene.host.daemon.start()?;
    let again = scene.docker(&exec)?;
    again.refused(&["cofferdam:", "adding a process", &path])?;
    scene.cofferdam(&[&allow[..], &["--exec"]].concat())?.ok()?;
    scene.docker(&exec)?.ok()?.says(&["of the host"])?;
    scene.docker(&["rm", "--force", "stays"])?.ok()?;
    Ok(())
}

fn a_volume_of_dockers_that_is_the_hosts_memory_is_judged_as_that(scene: &mut Scene) -> Outcome {
    for device in ["/run", "/dev/shm"] {
        let option = format!("device={device}");
        let options = [
            "--opt",
            "type=none",
            "--opt",
            "o=bind",
            "--opt",
            &option,
            "memory",
        ];
        scene
            .docker(&[&["volume", "create"], &options[..]].concat())?
            .ok()?;
        run(scene, &["--volume", "memory:/x"], &["ls", "/x"])?.refused(&["cofferdam:", "forbidden"])?;
        scene.docker(&["volume", "rm", "memory"])?.ok()?;
    }
    // Memory of its own is nobody's else.
    let options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "memory"];
    scene
        .docker(&[&["volume", "create"], &options[..]].concat())?
        .ok()?;
    run(
        scene,
        &["--volume", "memory:/x", "--cap-add", "SYS_PTRACE"],
        &["ls", "/x"],
    )?
    .ok()?;
    scene.docker(&["volume", "rm", "memory"])?.ok()?;
    Ok(())
}

fn a_granted_volume_of_dockers_cannot_be_exchanged(scene: &mut Scene) -> Outcome {
    let other = directory(scene, "others")?.display().to_string();
    scene.docker(&["volume", "create", "mine"])?.ok()?;
    let argv = ["cat", "/data/file"];
    let rule = [&["--allow-mount", "/data", "--"][..], &argv].concat();
    let (owner, reader) = (
        scene.app("owner", "tiny:1", &["--", "true"])?,
        scene.app("mine", "tiny:1", &rule)?,
    );
    scene
        .cofferdam(&["host-path", "allow", &other, "--to", &owner])?
        .ok()?;
    scene
        .cofferdam(&["host-path", "allow", "--docker-volume", "mine", "--to", &reader])?
        .ok()?;
    scene.docker(&["volume", "rm", "mine"])?.ok()?;
    let device = format!("device={other}");
    let options = ["--opt", "type=none", "--opt", "o=bind", "--opt", &device, "mine"];
    scene
        .docker(&[&["volume", "create"], &options[..]].concat())?
        .ok()?;
    run(scene, &["--volume", "mine:/data"], &argv)?
        .refused(&["cofferdam:", &other])?
        .silent_on(&["of the host"])?;
    scene.docker(&["volume", "rm", "mine"])?.ok()?;
    Ok(())
}

fn a_grant_means_what_lay_there_and_nothing_else(scene: &mut Scene) -> Outcome {
    let (path, other) = (directory(scene, "exchanged")?, directory(scene, "another")?);
    let inner = path.join("inner");
    fs::create_dir_all(&inner)?;
    let app = scene.app(
        "meant",
        "tiny:1",
        &[&["--allow-mount", "/x", "--"][..], &READS].concat(),
    )?;
    let text = |path: &std::path::Path| path.display().to_string();
    // Others could put something else there.
    program("chown", &["1000", &text(&path)])?.ok()?;
    let allow = |path: &str| ["host-path", "allow", path, "--to", &app].map(str::to_owned);
    let allowed =
        |path: &std::path::Path| scene.cofferdam(&allow(&text(path)).each_ref().map(String::as_str));
    allowed(&inner)?.refused(&["can be exchanged", &text(&path)])?;
    allowed(&path)?.ok()?;
    // Root puts a link there all the same: what it leads to is not what was granted, and stays anybody's.
    fs::rename(&path, path.with_file_name("away"))?;
    std::os::unix::fs::symlink(&other, &path)?;
    let anybodys = ["cat", "/x/file", "/x/file"];
    run(scene, &["--volume", &format!("{}:/x", text(&other))], &anybodys)?.ok()?;
    fs::remove_file(&path)?;
    fs::rename(path.with_file_name("away"), &path)?;
    run(scene, &["--volume", &format!("{}:/x", text(&path))], &READS)?.ok()?;
    Ok(())
}

fn what_may_only_be_read_is_read_only_all_through(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "through")?;
    let inner = path.join("inner");
    fs::create_dir_all(&inner)?;
    let (outer, inner) = (path.display().to_string(), inner.display().to_string());
    mount(&["-t", "tmpfs", "tmpfs", &inner])?;
    let argv = ["sh", "-c", "touch /x/inner/new || touch /x/new"];
    let app = scene.app(
        "sees",
        "tiny:1",
        &[&["--allow-mount", "/x", "--"][..], &argv].concat(),
    )?;
    let source = ["--volume", &format!("{outer}:/x:ro")];
    let before = run(scene, &source, &argv);
    scene
        .cofferdam(&["host-path", "allow", &outer, "--to", &app, "--read-only"])?
        .ok()?;
    let after = run(scene, &source, &argv);
    let written = fs::read_dir(&inner)?.count();
    fs::remove_file(format!("{inner}/new")).ok();
    program("umount", &[&inner])?.ok()?;
    // Docker's read-only is that of the top alone.
    before?.ok()?;
    after?.refused(&["Read-only file system"])?;
    ensure(written == 1, || format!("{written} files were written"))
}

fn beside_a_volume_both_must_let_processes_be_added(scene: &mut Scene) -> Outcome {
    let path = directory(scene, "both")?.display().to_string();
    let volume = scene.volume("data", &[])?;
    let argv = ["sleep", "1000"];
    let rule = [&["--allow-mount", "/x", "--"][..], &argv].concat();
    let app = scene.app("both", "tiny:1", &rule)?;
    scene.grant(&volume, &app, &["--exec"])?;
    let allow = ["host-path", "allow", &path, "--to", &app];
    scene.cofferdam(&allow)?.ok()?;
    let begin = ["run", "--detach", "--name", "both", "--runtime", "cofferdam"];
    let (data, bound) = (format!("{volume}:/data"), format!("{path}:/x"));
    let line = [
        &begin[..],
        &["--volume", &data, "--volume", &bound, "tiny:1"],
        &argv,
    ]
    .concat();
    scene.docker(&line)?.ok()?;
    let exec = ["exec", "both", "cat", "/x/file"];
    scene
        .docker(&exec)?
        .refused(&["cofferdam:", "adding a process", &path])?;
    scene.cofferdam(&[&allow[..], &["--exec"]].concat())?.ok()?;
    scene.docker(&exec)?.ok()?.says(&["of the host"])?;
    scene.grant(&volume, &app, &[])?;
    scene
        .docker(&exec)?
        .refused(&["cofferdam:", "adding a process", &volume])?;
    scene.docker(&["rm", "--force", "both"])?.ok()?;
    Ok(())
}
