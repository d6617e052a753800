//! The host's own files: a path of the host's is a resource like a volume.

use super::{
    case::{
        Attack,
        Attacker::{Client, Container},
    },
    evidence::Evidence,
    ground::{FOREIGN, Ground, HOST_FILE, HOST_SECRET, IMAGE},
};
use crate::{Outcome, Ran, command::run, failure::During, host::mount};
use std::{os::unix::fs::symlink, path::Path};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "hosts::the_whole_host",
        Client,
        "mounts / into a container",
        "it contains what is sensitive",
        |ground| reads(ground, "/:/x", "/x/etc"),
    )
    .told(&["/"]),
    Attack::new(
        "hosts::etc",
        Client,
        "mounts /etc into a container",
        "it is sensitive",
        |ground| reads(ground, "/etc:/x", "/x"),
    )
    .told(&["/etc"]),
    Attack::new(
        "hosts::one_file_of_etc",
        Client,
        "mounts one file of /etc",
        "it lies in what is sensitive",
        one_file,
    )
    .told(&["/etc"]),
    Attack::new(
        "hosts::dots",
        Client,
        "writes the path with dots in it",
        "it is judged by what it leads to",
        |ground| reads(ground, "/srv/../etc/.:/x", "/x"),
    )
    .told(&["/etc"]),
    Attack::new(
        "hosts::a_link",
        Client,
        "mounts a link to /etc",
        "it is judged by what it leads to",
        a_link,
    )
    .told(&["/etc"]),
    Attack::new(
        "hosts::a_bind_mount",
        Client,
        "mounts a directory on which /etc is mounted as well",
        "it is judged by device and inode, not by name",
        a_bind_mount,
    )
    .told(&[]),
    Attack::new(
        "hosts::a_local_volume_that_is_a_path",
        Client,
        "makes a volume of Docker's own that is a bind mount of /etc",
        "it is judged by what it leads to",
        a_local_volume_that_is_a_path,
    )
    .told(&[]),
    Attack::new(
        "hosts::a_local_volume_that_is_an_overlay",
        Client,
        "makes a volume of Docker's own that is an overlay of /etc",
        "what lies below an overlay is judged as well",
        a_local_volume_that_is_an_overlay,
    )
    .told(&[]),
    Attack::new(
        "hosts::a_copy_from_a_container_that_never_starts",
        Client,
        "makes a container with /etc in it, never starts it, and has Docker copy a file out",
        "no runtime is asked, so only the API can refuse it",
        a_copy_from_a_container_that_never_starts,
    ),
    Attack::new(
        "hosts::the_control_groups",
        Container,
        "is given the host's control groups to write",
        "they are sensitive",
        the_control_groups,
    )
    .told(&["/sys"]),
    Attack::new(
        "hosts::the_first_process_root",
        Client,
        "mounts /proc/1/root/etc",
        "it is judged by what it leads to",
        |ground| reads(ground, "/proc/1/root/etc:/x", "/x"),
    )
    .without_control("the kernel binds nothing that is mounted in another namespace")
    .told(&[]),
    Attack::new(
        "hosts::a_descriptor_of_the_runtimes",
        Client,
        "mounts /proc/self/root/etc, whoever self may be",
        "it is judged by what it leads to",
        |ground| reads(ground, "/proc/self/root/etc:/x", "/x"),
    )
    .told(&[]),
    Attack::new(
        "hosts::all_processes",
        Client,
        "mounts the host's /proc, and looks through a process's root",
        "it leads everywhere",
        |ground| {
            reads_with(
                ground,
                &["--cap-add", "SYS_PTRACE", "--volume", "/proc:/x"],
                "/x/1/root/etc",
            )
        },
    )
    .told(&["/proc"]),
    Attack::new(
        "hosts::the_engines_socket",
        Container,
        "is given Docker's socket, and speaks to it",
        "it is sensitive",
        |ground| asks(ground, "/var/run/docker.sock:/x", "/x", "/_ping", "OK"),
    )
    .told(&["docker.sock"]),
    Attack::new(
        "hosts::the_engines_socket_in_a_directory",
        Container,
        "is given the directory in which that lies",
        "it contains what is sensitive",
        |ground| asks(ground, "/run:/x", "/x/docker.sock", "/_ping", "OK"),
    )
    .told(&["/run"]),
    Attack::new(
        "hosts::our_own_state",
        Client,
        "mounts where the volumes, the registry and the host's keys are",
        "it is sensitive",
        our_own_state,
    )
    .told(&["/var/lib"]),
    Attack::new(
        "hosts::our_own_state_by_another_name",
        Client,
        "mounts the directory that is bound there, by its own name",
        "it is judged by device and inode, not by name",
        |ground| by_another_name(ground, From::Itself),
    )
    .told(&[]),
    Attack::new(
        "hosts::what_contains_our_state_by_another_name",
        Client,
        "mounts the directory above that",
        "it contains what is sensitive",
        |ground| by_another_name(ground, From::Above),
    )
    .told(&[]),
    Attack::new(
        "hosts::the_whole_host_by_runc",
        Client,
        "mounts / into a container that runc starts",
        "what Cofferdam does not see does not have the host",
        the_whole_host_by_runc,
    ),
    Attack::new(
        "hosts::our_own_socket",
        Container,
        "is given the daemon's sockets, and grants itself the volume",
        "they are sensitive",
        our_own_socket,
    )
    .told(&["/run"]),
    Attack::new(
        "hosts::beside_the_volume",
        Client,
        "mounts /etc beside the volume, at a place that the rule allows",
        "a rule's leave is for a place, not for what is sensitive",
        beside_the_volume,
    )
    .told(&["/etc"]),
];

fn seen(ran: &Ran) -> Evidence {
    Evidence::seen(ran, HOST_SECRET)
}

/// The host's secret file, in the directory that is /etc inside.
fn reads(ground: &mut Ground, volume: &str, etc: &str) -> Outcome<Evidence> {
    reads_with(ground, &["--volume", volume], etc)
}

pub(super) fn reads_with(ground: &Ground, options: &[&str], etc: &str) -> Outcome<Evidence> {
    let name = Path::new(HOST_FILE)
        .file_name()
        .during("a name")?
        .to_string_lossy();
    let ran = ground.run_bare(options, "tiny:1", &["cat", &format!("{etc}/{name}")])?;
    Ok(seen(&ran))
}

fn one_file(ground: &mut Ground) -> Outcome<Evidence> {
    let ran = ground.run_bare(
        &["--volume", &format!("{HOST_FILE}:/x")],
        "tiny:1",
        &["cat", "/x"],
    )?;
    Ok(seen(&ran))
}

fn a_link(ground: &mut Ground) -> Outcome<Evidence> {
    let link = ground.place("links")?.join("innocent");
    symlink("/etc", &link)?;
    reads(ground, &format!("{}:/x", link.display()), "/x")
}

fn a_bind_mount(ground: &mut Ground) -> Outcome<Evidence> {
    let innocent = ground.place("innocent")?;
    let innocent = innocent.to_string_lossy().into_owned();
    mount(&["--bind", "/etc", &innocent])?;
    let evidence = reads(ground, &format!("{innocent}:/x"), "/x");
    run("umount", &["--lazy", &innocent])?.ok()?;
    evidence
}

fn a_local_volume_that_is_a_path(ground: &mut Ground) -> Outcome<Evidence> {
    let options = ["--opt", "type=none", "--opt", "o=bind", "--opt", "device=/etc"];
    let made = ground.docker(&[&["volume", "create"], &options[..], &["innocent"]].concat())?;
    if !made.is_ok() {
        return Ok(seen(&made));
    }
    let evidence = reads(ground, "innocent:/x", "/x");
    ground.scene.host.remove_containers()?;
    ground.docker(&["volume", "rm", "innocent"])?.ok()?;
    evidence
}

fn a_local_volume_that_is_an_overlay(ground: &mut Ground) -> Outcome<Evidence> {
    let other = ground.place("below")?;
    let layers = format!("o=lowerdir=/etc:{}", other.display());
    let options = [
        "--opt",
        "type=overlay",
        "--opt",
        "device=overlay",
        "--opt",
        &layers,
    ];
    let made = ground.docker(&[&["volume", "create"], &options[..], &["innocent"]].concat())?;
    if !made.is_ok() {
        return Ok(seen(&made));
    }
    let evidence = reads(ground, "innocent:/x", "/x");
    ground.scene.host.remove_containers()?;
    ground.docker(&["volume", "rm", "innocent"])?.ok()?;
    evidence
}

fn a_copy_from_a_container_that_never_starts(ground: &mut Ground) -> Outcome<Evidence> {
    let line = [
        "create",
        "--runtime",
        ground.runtime(),
        "--volume",
        "/etc:/x",
        "tiny:1",
    ];
    let made = ground.docker(&line)?;
    if !made.is_ok() {
        return Ok(seen(&made));
    }
    let container = made.text();
    let name = Path::new(HOST_FILE)
        .file_name()
        .during("a name")?
        .to_string_lossy();
    let ran = ground.docker(&["cp", &format!("{container}:/x/{name}"), "-"])?;
    Ok(seen(&ran))
}

fn the_control_groups(ground: &mut Ground) -> Outcome<Evidence> {
    let script = "for group in /x /x/*; do mkdir $group/of-the-attacker && rmdir $group/of-the-attacker && echo made && exit; done 2>/dev/null";
    let ran = ground.run_bare(
        &["--volume", "/sys/fs/cgroup:/x"],
        "tiny:1",
        &["sh", "-c", script],
    )?;
    Ok(Evidence::when(
        ran.out.contains("made"),
        "a control group was made",
        ran.said(),
    ))
}

/// Whether a socket answers from inside a container.
fn asks(ground: &mut Ground, volume: &str, socket: &str, path: &str, answer: &str) -> Outcome<Evidence> {
    let ran = ground.run_bare(&["--volume", volume], FOREIGN, &["/bin/ask", socket, path])?;
    Ok(Evidence::when(
        ran.out.contains(answer),
        "the socket answered",
        ran.said(),
    ))
}

fn our_own_state(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let (volume, script) = if ground.guarded() {
        (
            "/var/lib/cofferdam:/x",
            "cat /x/keys/*; ls /x/volumes; [ -r /x/registry.sqlite ] && echo readable",
        )
    } else {
        (
            "/var/lib/docker/volumes:/x",
            "cat /x/*/_data/marker && echo readable",
        )
    };
    let ran = ground.run_bare(&["--volume", volume], "tiny:1", &["sh", "-c", script])?;
    let readable = ran.out.contains("readable");
    // Not what it printed: there are keys in it.
    let said = if readable { String::new() } else { ran.said() };
    Ok(Evidence::when(readable, "the state was read", said))
}

#[derive(Clone, Copy)]
enum From {
    Itself,
    Above,
}

/// The private host's state lies in its scratch directory, and is bound where a host expects it.
fn by_another_name(ground: &mut Ground, seen_from: From) -> Outcome<Evidence> {
    ground.written()?;
    let real = ground
        .scene
        .host
        .scratch()
        .join(if ground.guarded() { "cofferdam" } else { "docker" });
    let name = real.file_name().during("a name")?.to_string_lossy().into_owned();
    let (source, inside) = match seen_from {
        From::Itself => (real.as_path(), "/x".to_owned()),
        From::Above => (ground.scene.host.scratch(), format!("/x/{name}")),
    };
    let file = if ground.guarded() {
        "registry.sqlite"
    } else {
        "volumes/payments-data/_data/marker"
    };
    let words = format!("[ -r {inside}/{file} ] && echo readable");
    let mount = format!("{}:/x", source.display());
    let ran = ground.run_bare(&["--volume", &mount], "tiny:1", &["sh", "-c", &words])?;
    Ok(Evidence::when(
        ran.out.contains("readable"),
        "the state was read",
        ran.said(),
    ))
}

fn the_whole_host_by_runc(ground: &mut Ground) -> Outcome<Evidence> {
    let path = format!("/x{HOST_FILE}");
    let ran = ground.run_by_runc(&["--volume", "/:/x"], "tiny:1", &["cat", &path])?;
    Ok(seen(&ran))
}

fn our_own_socket(ground: &mut Ground) -> Outcome<Evidence> {
    if !ground.guarded() {
        return asks(ground, "/run:/x", "/x/docker.sock", "/volumes", "Volumes");
    }
    asks(
        ground,
        "/run/cofferdam:/x",
        "/x/admin.sock",
        "/v1/volumes",
        "200 OK",
    )
}

fn beside_the_volume(ground: &mut Ground) -> Outcome<Evidence> {
    ground.with_rule(&["--allow-mount", "/extra"]);
    ground.written()?;
    let ran = ground.run(&["--volume", "/etc:/extra"], IMAGE, &[])?;
    Ok(ground.started(&ran))
}
