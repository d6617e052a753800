//! What unwraps a volume's key besides the host's own identity: a key in a PKCS#11 token (a real SoftHSM), a further identity.

use super::opens_with;
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{finish, run},
    failure::{During, ensure},
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

cases!("sealed":
    a_key_in_a_token_opens_what_the_hosts_identity_does_not,
    a_further_identity_opens_what_the_hosts_does_not,
);

const RECIPIENT: &str = "pkcs11:token=Volumes;object=host1";

const IDENTITY: &str = "/var/lib/cofferdam/keys/host.identity";

/// Takes the host's identity away, so that the daemon makes itself another; puts it back.
struct Lost(PathBuf);

impl Lost {
    fn identity(scene: &Scene) -> Outcome<Self> {
        let aside = scene.host.scratch().join("identity-aside");
        fs::copy(IDENTITY, &aside)?;
        fs::remove_file(IDENTITY)?;
        Ok(Lost(aside))
    }

    fn found(self) -> Outcome {
        fs::copy(&self.0, IDENTITY)?;
        fs::remove_file(&self.0)?;
        Ok(())
    }
}

fn secret(path: &Path, text: &str) -> Outcome {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o600))?)
}

/// The module, wherever the distribution puts it.
fn module() -> Outcome<String> {
    let found = run(
        "sh",
        &[
            "-c",
            "ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/softhsm/libsofthsm2.so 2>/dev/null | head -1",
        ],
    )?;
    let path = found.text();
    ensure(!path.is_empty(), || {
        "there is no SoftHSM; install softhsm2".to_owned()
    })?;
    Ok(path)
}

fn a_key_in_a_token_opens_what_the_hosts_identity_does_not(scene: &mut Scene) -> Outcome {
    let place = tempfile::tempdir()?;
    let (conf, pin) = (place.path().join("conf"), place.path().join("pin"));
    let tokens = place.path().join("tokens");
    fs::create_dir(&tokens)?;
    fs::write(
        &conf,
        format!(
            "directories.tokendir = {}\nobjectstore.backend = file\n",
            tokens.display()
        ),
    )?;
    secret(&pin, "271828\n")?;
    let mut init = std::process::Command::new("softhsm2-util");
    init.args([
        "--init-token",
        "--free",
        "--label",
        "Volumes",
        "--so-pin",
        "31415926",
        "--pin",
        "271828",
    ]);
    finish(init.env("SOFTHSM2_CONF", &conf))?.ok()?;
    scene.host.settings(&format!(
        "[keys.pkcs11]\nmodule = \"{}\"\ntoken = \"Volumes\"\npin_file = \"{}\"",
        module()?,
        pin.display()
    ))?;
    let mut make = scene.host.command("cofferdamd", &["--make-token-key", RECIPIENT]);
    finish(make.env("SOFTHSM2_CONF", &conf))?
        .ok()?
        .says(&["volume share"])?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start_with(&[("SOFTHSM2_CONF", &conf)])?;
    let volume = scene.usual()?;
    let share = ["volume", "share", &volume, "--recipient", RECIPIENT];
    scene.cofferdam(&share)?.ok()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    scene.host.daemon.stop()?;
    let lost = Lost::identity(scene)?;
    let opened = with_the_token_alone(scene, &volume, &conf);
    if scene.host.daemon.runs() {
        scene.host.daemon.stop()?;
    }
    lost.found()?;
    scene.host.settings("")?;
    scene.host.daemon.start()?;
    opened?;
    // Without a token in the settings, the host's own identity does as ever.
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn with_the_token_alone(scene: &mut Scene, volume: &str, conf: &Path) -> Outcome {
    scene.host.daemon.start_with(&[("SOFTHSM2_CONF", conf)])?;
    scene.run_usual(volume)?.ok()?;
    scene.nothing_is_held()?;
    scene.host.daemon.stop()?;
    // The token is away: the daemon runs, and opens nothing that only the token unwraps.
    scene
        .host
        .daemon
        .start_with(&[("SOFTHSM2_CONF", Path::new("/nowhere"))])?;
    opens_with(scene, volume, &[])
}

fn a_further_identity_opens_what_the_hosts_does_not(scene: &mut Scene) -> Outcome {
    let place = tempfile::tempdir()?;
    let file = place.path().join("recovery.identity");
    let made = run("age-keygen", &[] as &[&str])?.ok()?;
    secret(&file, &made.out)?;
    let recipient = made
        .out
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .during("age-keygen's public key")?
        .to_owned();
    let volume = scene.usual()?;
    scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &recipient])?
        .ok()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    scene.host.daemon.stop()?;
    let lost = Lost::identity(scene)?;
    let opened = with_identities(scene, &volume, &file);
    if scene.host.daemon.runs() {
        scene.host.daemon.stop()?;
    }
    lost.found()?;
    scene.host.settings("")?;
    scene.host.daemon.start()?;
    opened
}

fn with_identities(scene: &mut Scene, volume: &str, file: &Path) -> Outcome {
    scene.host.daemon.start()?;
    opens_with(scene, volume, &["recipient"])?;
    scene.host.daemon.stop()?;
    scene
        .host
        .settings(&format!("[keys]\nidentities = [\"{}\"]", file.display()))?;
    // Not while others can read it.
    fs::set_permissions(file, Permissions::from_mode(0o644))?;
    let said = scene.host.daemon.start_in_vain()?;
    ensure(said.contains("recovery.identity"), || said.clone())?;
    fs::set_permissions(file, Permissions::from_mode(0o600))?;
    scene.host.daemon.start()?;
    scene.run_usual(volume)?.ok()?;
    scene.nothing_is_held()
}
