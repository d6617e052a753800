//! Other hosts: whoever is a recipient of the key takes a volume in, with its grants.

use super::opens_with;
use crate::{
    Outcome, Ran,
    cases::{Scene, cases},
    command::{finish, run, same},
    failure::{During, ensure},
    neighbour::Neighbour,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

cases!("sealed":
    a_host_without_its_identity_opens_nothing,
    a_recovery_key_unwraps_a_volumes_key_without_cofferdam,
    a_volume_moves_to_another_host_with_its_grants,
    a_volume_moves_between_two_hosts_that_run_side_by_side,
    a_host_that_is_no_recipient_does_not_get_it_open,
    who_was_taken_away_as_a_recipient_cannot_open_what_comes_later,
);

fn a_host_without_its_identity_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (identity, aside) = (
        Path::new("/var/lib/cofferdam/keys/host.identity"),
        scene.host.scratch().join("identity"),
    );
    scene.host.daemon.stop()?;
    fs::rename(identity, &aside)
        .or_else(|_| fs::copy(identity, &aside).and_then(|_| fs::remove_file(identity)))?;
    scene.host.daemon.start()?;
    let refused = opens_with(scene, &volume, &["recipient"]);
    scene.host.daemon.stop()?;
    fs::copy(&aside, identity)?;
    scene.host.daemon.start()?;
    refused?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

/// Another host: another registry, other keys, with the same Docker.
struct Elsewhere(PathBuf);

impl Elsewhere {
    /// Has the daemon be that host's.
    fn go(scene: &mut Scene, name: &str) -> Outcome<Self> {
        let state = scene.host.scratch().join(name);
        scene.host.daemon.stop()?;
        scene
            .host
            .settings(&format!("[paths]\nstate = \"{}\"", state.display()))?;
        scene.host.daemon.start()?;
        Ok(Elsewhere(state))
    }

    /// And this one's again.
    fn leave(scene: &mut Scene) -> Outcome {
        scene.host.daemon.stop()?;
        scene.host.settings("")?;
        scene.host.daemon.start()
    }

    fn recipient(scene: &Scene) -> Outcome<String> {
        let status = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
        let recipient = status.get("recipient").and_then(Value::as_str);
        Ok(recipient.during("this host's recipient")?.to_owned())
    }

    /// Copies a volume's directory there and has it adopted; the daemon is that host's.
    fn adopt(&self, scene: &Scene, directory: &Path) -> Outcome {
        self.try_to_adopt(scene, directory)?.ok().map(drop)
    }

    /// The same where this host is no recipient: it stays closed, and leaves nothing.
    fn cannot_adopt(&self, scene: &Scene, directory: &Path) -> Outcome {
        self.try_to_adopt(scene, directory)?.refused(&["recipient"])?;
        let listed = scene.cofferdam(&["--json", "volume", "ls"])?.ok()?.json()?;
        same("volumes", listed.as_array().map(Vec::len), Some(0))
    }

    fn try_to_adopt(&self, scene: &Scene, directory: &Path) -> Outcome<Ran> {
        let incoming = self.0.join("incoming");
        let copy = ["-a", &directory.to_string_lossy(), &incoming.to_string_lossy()];
        run("cp", &copy)?.ok()?;
        scene.cofferdam(&["volume", "adopt", &incoming.to_string_lossy()])
    }
}

/// Does something as another host, and comes back whatever came of it.
fn elsewhere(scene: &mut Scene, name: &str, work: impl FnOnce(&mut Scene, &Elsewhere) -> Outcome) -> Outcome {
    let there = Elsewhere::go(scene, name)?;
    let outcome = work(scene, &there);
    Elsewhere::leave(scene)?;
    outcome
}

fn a_volume_moves_to_another_host_with_its_grants(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    let mut recipient = String::new();
    elsewhere(scene, "host-b", |scene, _| {
        recipient = Elsewhere::recipient(scene)?;
        Ok(())
    })?;
    let shared = scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &recipient])?
        .ok()?;
    shared.says(&[&recipient])?;
    elsewhere(scene, "host-b", |scene, there| {
        there.adopt(scene, &directory)?;
        // Nothing was granted here: the grant has come with the volume, and so has the app.
        scene
            .run_usual(&volume)?
            .ok()?
            .says(&["1000 was here\n1000 was here"])?;
        scene
            .run(&volume, &[], "tiny:1", &["sh", "-c", "cat /data/log"])?
            .refused(&["cofferdam:", "argv differs"])?;
        let app = scene.named("app");
        // Its tenant's key is where it was.
        scene
            .cofferdam(&["revoke", &volume, &app])?
            .refused(&["is not on this host"])?;
        scene.nothing_is_held()
    })
}

/// Two daemons at once, each with a registry, an identity and a Docker of its own, in network and mount namespaces of their own.
fn a_volume_moves_between_two_hosts_that_run_side_by_side(scene: &mut Scene) -> Outcome {
    let neighbour = Neighbour::raise(scene.host)?;
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let status = neighbour.run(&["cofferdam", "--json", "status"])?.ok()?.json()?;
    let theirs = status
        .get("recipient")
        .and_then(Value::as_str)
        .during("its recipient")?
        .to_owned();
    ensure(theirs != Elsewhere::recipient(scene)?, || {
        "it has our identity".to_owned()
    })?;
    // Not for it: it stays closed there.
    carry(scene, &neighbour, &volume, "too-early")?.refused(&["recipient"])?;
    scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &theirs])?
        .ok()?;
    carry(scene, &neighbour, &volume, "in-time")?.ok()?;
    // The grant is for one image, byte for byte: the neighbour's own of that name is another one.
    let archive = neighbour.state().join("tiny.tar");
    scene
        .docker(&["save", "--output", &archive.to_string_lossy(), "tiny:1"])?
        .ok()?;
    let mount = format!("{volume}:/data");
    let there = [
        "docker",
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "--user",
        "1000",
        "--volume",
        &mount,
        "tiny:1",
    ];
    neighbour.run(&there)?.refused(&["image differs"])?;
    neighbour
        .run(&["docker", "load", "--input", "/var/lib/cofferdam/tiny.tar"])?
        .ok()?;
    let ran = neighbour.run(&there)?.ok()?;
    same("lines in the log there", ran.out.lines().count(), 2)?;
    // From here on they are two volumes, and each host has its own.
    same(
        "lines in the log here",
        scene.run_usual(&volume)?.ok()?.out.lines().count(),
        2,
    )?;
    let ran = neighbour.run(&there)?.ok()?;
    same("lines in the log there", ran.out.lines().count(), 3)?;
    neighbour.end()
}

/// Copies a volume to the neighbour and has it taken in there.
fn carry(scene: &Scene, neighbour: &Neighbour, volume: &str, name: &str) -> Outcome<Ran> {
    let directory = scene.directory_of(volume)?;
    let copy = neighbour.state().join(name);
    run(
        "cp",
        &["-a", &directory.to_string_lossy(), &copy.to_string_lossy()],
    )?
    .ok()?;
    neighbour.run(&[
        "cofferdam",
        "volume",
        "adopt",
        &format!("/var/lib/cofferdam/{name}"),
    ])
}

fn a_host_that_is_no_recipient_does_not_get_it_open(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    elsewhere(scene, "host-c", |scene, there| {
        there.cannot_adopt(scene, &directory)
    })
}

fn who_was_taken_away_as_a_recipient_cannot_open_what_comes_later(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    let mut recipient = String::new();
    elsewhere(scene, "host-d", |scene, _| {
        recipient = Elsewhere::recipient(scene)?;
        Ok(())
    })?;
    scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &recipient])?
        .ok()?;
    scene
        .cofferdam(&["volume", "unshare", &volume, "--recipient", &recipient])?
        .ok()?;
    let ours = Elsewhere::recipient(scene)?;
    scene
        .cofferdam(&["volume", "unshare", &volume, "--recipient", &ours])?
        .refused(&["is this host"])?;
    elsewhere(scene, "host-d", |scene, there| {
        there.cannot_adopt(scene, &directory)
    })?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

/// The key that comes out is tried on the store itself.
fn a_recovery_key_unwraps_a_volumes_key_without_cofferdam(scene: &mut Scene) -> Outcome {
    let recovery = scene.host.scratch().join("recovery.key");
    let identity = recovery.to_string_lossy().into_owned();
    run("age-keygen", &["-o", &identity])?.ok()?;
    let recipient = run("age-keygen", &["-y", &identity])?.ok()?.text();
    let recipients = Path::new("/var/lib/cofferdam/keys/recovery.recipients");
    fs::write(recipients, format!("# kept in the safe\n{recipient}\n"))?;
    let volume = scene.volume("data", &["--size", "64M"]);
    fs::remove_file(recipients)?;
    let volume = volume?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .says(&[&recipient])?;
    let directory = scene.directory_of(&volume)?;
    let unwrap = format!(
        "import base64, json, subprocess, sys\n\
         deed = json.load(open('{}/deed.json'))\n\
         deed = json.loads(base64.b64decode(deed['payload']))\n\
         key = subprocess.run(['age', '-d', '-i', '{identity}'], input=deed['key']['wrapped'].encode(), stdout=subprocess.PIPE, check=True)\n\
         sys.exit(subprocess.run(['cofferdam-disk', 'check', '{}/store', '--key-file', '-'], input=key.stdout).returncode)\n",
        directory.display(),
        directory.display()
    );
    finish(&scene.host.command("python3", &["-c", unwrap.as_str()]))?
        .ok()?
        .says(&["sound"])?;
    Ok(())
}
