//! The stolen disk: a volume's directory, without the keys, in the hands of somebody who may also put it back.

use super::{
    case::{
        Attack,
        Attacker::{Process, Thief},
    },
    evidence::Evidence,
    ground::{Ground, IMAGE, secret},
};
use crate::{
    Outcome,
    command::{finish, run},
    failure::ensure,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "disk::reading_it",
        Thief,
        "looks for the secret in the volume's directory",
        "there is ciphertext alone",
        |ground| {
            ground.written()?;
            ground.lies_below(&kept(ground)?)
        },
    ),
    Attack::new(
        "disk::reading_names",
        Thief,
        "looks for the names of files in it",
        "there is ciphertext alone",
        reading_names,
    ),
    Attack::new(
        "disk::reading_it_while_it_is_open",
        Thief,
        "looks for the secret in all that the host keeps, while the volume is open",
        "the data is in no namespace but the container's",
        reading_it_while_it_is_open,
    ),
    Attack::new(
        "disk::as_another_user",
        Process,
        "looks into the container's root through /proc",
        "the kernel lets no other user in",
        as_another_user,
    )
    .without_control("the kernel refuses it beside plain Docker as well"),
    Attack::new(
        "disk::words_of_his_own",
        Thief,
        "changes the secret to one of his own",
        "what was changed is noticed",
        words_of_his_own,
    )
    .told(&[]),
    Attack::new(
        "disk::an_older_copy",
        Thief,
        "puts an older copy of the volume back",
        "an older state is refused",
        an_older_copy,
    )
    .told(&["older"]),
    Attack::new(
        "disk::another_volumes_content",
        Thief,
        "puts the content of another volume in its place",
        "the deed belongs to one volume",
        another_volumes_content,
    )
    .told(&[]),
    Attack::new(
        "disk::a_disk_by_a_key_of_his_own",
        Thief,
        "opens the store by a key of his own",
        "the key is not the volume's",
        a_disk_by_a_key_of_his_own,
    )
    .without_control("a directory of Docker's needs no key"),
];

/// Where the host keeps the volume.
fn kept(ground: &Ground) -> Outcome<PathBuf> {
    if ground.guarded() {
        ground.scene.directory_of(ground.volume())
    } else {
        Ok(PathBuf::from(ground.mountpoint()?))
    }
}

fn reading_names(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let kept = kept(ground)?;
    let names = run("find", &[&kept])?.ok()?;
    let inside = run("grep", &["-rac", "upload.so", &kept.to_string_lossy()])?;
    let seen = names.out.contains("upload.so") || inside.out.lines().any(|line| !line.ends_with(":0"));
    Ok(Evidence::when(seen, "the name of a file was read", names.said()))
}

fn reading_it_while_it_is_open(ground: &mut Ground) -> Outcome<Evidence> {
    ground.held()?;
    let mut evidence = Evidence::default();
    let secret = secret();
    for root in [
        "/var/lib/cofferdam",
        "/var/lib/docker",
        "/run/cofferdam",
        "/run/docker",
    ] {
        // Files alone: beside them lie pipes, at which a reader would wait.
        let line = ["-0", "-r", "grep", "-aHosF", &secret];
        let find = format!(
            "find {root} -type f -size -65536k -print0 | xargs {}",
            line.join(" ")
        );
        evidence = evidence.and(ground.read(&run("sh", &["-c", &find])?));
    }
    Ok(evidence)
}

fn as_another_user(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let pid = ground
        .docker(&["inspect", "--format", "{{.State.Pid}}", &victim])?
        .ok()?
        .text();
    // Root sees it there, so that it is the right place.
    let place = fs::read_to_string(format!("/proc/{pid}/root/data/marker"))?;
    ensure(place.contains(&secret()), || "the secret is elsewhere".to_owned())?;
    let mut evidence = Evidence::default();
    for path in [
        format!("/proc/{pid}/root/data/marker"),
        format!("/proc/{pid}/cwd/data/marker"),
    ] {
        evidence = evidence.and(ground.read(&ground.by_nobody("cat", &[&path])?));
    }
    Ok(evidence)
}

/// In the control the secret itself; in the sealed store, where nobody can find it, a byte in every block of everything.
fn words_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    if !ground.guarded() {
        fs::write(kept(ground)?.join("marker"), "word-of-the-thief\n")?;
        let ran = ground.run(&[], IMAGE, &["cat", "/data/marker"])?;
        return Ok(Evidence::when(
            ran.out.contains("thief"),
            "the victim took it for its own",
            ran.said(),
        ));
    }
    let store = kept(ground)?.join("store");
    for entry in fs::read_dir(&store)?.flatten() {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        let mut bytes = fs::read(&path)?;
        for block in bytes.chunks_mut(512) {
            if let Some(byte) = block.last_mut() {
                *byte ^= 1;
            }
        }
        fs::write(&path, bytes)?;
    }
    let ran = ground.run(&[], IMAGE, &[])?;
    Ok(ground.started(&ran))
}

fn an_older_copy(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let kept = kept(ground)?;
    let store = if ground.guarded() {
        kept.join("store")
    } else {
        kept
    };
    let copy = ground.place("copies")?.join("older");
    copied(&store, &copy)?;
    ground.run(&[], IMAGE, &[])?.ok()?;
    if ground.guarded() {
        ground.scene.nothing_is_held()?;
    }
    fs::remove_dir_all(&store)?;
    copied(&copy, &store)?;
    let ran = ground.run(&[], IMAGE, &[])?;
    // Its log had a line before; who accepts the older state begins it anew.
    let evidence = ground.started(&ran);
    accept(ground)?;
    Ok(evidence)
}

/// So that the volume can be removed again.
fn accept(ground: &Ground) -> Outcome {
    if ground.guarded() {
        let line = ["volume", "accept-rollback", ground.volume(), "--yes"];
        ground.scene.cofferdam(&line)?.ok()?;
    }
    Ok(())
}

fn another_volumes_content(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ours = kept(ground)?;
    if !ground.guarded() {
        fs::write(ours.join("log"), "line of another volume\n")?;
        let ran = ground.run(&[], IMAGE, &[])?;
        return Ok(ground.started(&ran));
    }
    let other = ground.scene.volume("other", &["--size", "64M"])?;
    ground.scene.grant(&other, "payments.app", &[])?;
    let theirs = ground.scene.directory_of(&other)?;
    let (aside, own) = (ours.join("aside"), ours.join("store"));
    fs::rename(&own, &aside)?;
    fs::rename(theirs.join("store"), &own)?;
    let ran = ground.run(&[], IMAGE, &[]);
    fs::rename(&own, theirs.join("store"))?;
    fs::rename(&aside, &own)?;
    Ok(ground.started(&ran?))
}

fn a_disk_by_a_key_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let store = kept(ground)?.join("store");
    let place = ground.place("keys")?;
    let (key, mine) = (place.join("key"), place.join("disk"));
    let host = &ground.scene.host;
    let disk = |verb: &str, at: &Path, more: &[&str]| {
        let (at, key) = (at.to_string_lossy(), key.to_string_lossy());
        let line = [&[verb, &at, "--key-file", &key], more].concat();
        finish(&host.command("cofferdam-disk", &line))
    };
    disk("create", &mine, &["--size", "64M", "--new-key"])?.ok()?;
    disk("check", &mine, &[])?.ok()?;
    let ran = disk("check", &store, &[])?;
    Ok(Evidence::when(ran.is_ok(), "it opened", ran.said()))
}

fn copied(from: &Path, to: &Path) -> Outcome {
    run("cp", &["-a", &from.to_string_lossy(), &to.to_string_lossy()])?
        .ok()
        .map(drop)
}
