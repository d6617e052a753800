//! Nothing but the deed that the tenant has signed opens a volume, whatever the registry says.

use super::opens_with;
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::run,
};
use std::{fs, path::PathBuf};

cases!("sealed":
    a_deed_that_was_changed_opens_nothing,
    an_older_deed_opens_nothing,
    a_registry_that_lies_grants_nothing,
    a_registry_that_lies_drops_no_ticket,
    a_registry_that_lies_lets_nobody_exec,
    a_registry_that_lies_shares_no_exclusive_volume,
    a_registry_that_lies_makes_no_plain_volume_of_a_sealed_one,
);

/// The deed as JSON.
fn deed(scene: &Scene, volume: &str) -> Outcome<(PathBuf, Vec<u8>)> {
    let path = scene.directory_of(volume)?.join("deed.json");
    let bytes = fs::read(&path)?;
    Ok((path, bytes))
}

fn a_deed_that_was_changed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (path, bytes) = deed(scene, &volume)?;
    let mut changed = bytes.clone();
    let at = changed.len() / 2;
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1;
    }
    fs::write(&path, &changed)?;
    opens_with(scene, &volume, &["deed"])?;
    fs::remove_file(&path)?;
    opens_with(scene, &volume, &["has no deed"])?;
    fs::write(&path, &bytes)?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn an_older_deed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (path, granted) = deed(scene, &volume)?;
    let app = scene.named("app");
    scene.cofferdam(&["revoke", &volume, &app])?.ok()?;
    scene.grant(&volume, &app, &["--read-only"])?;
    // The one in which the app might write.
    fs::write(&path, &granted)?;
    opens_with(scene, &volume, &["an older one was put back"])?;
    // Even where the operator accepts it, it gives back no right that was taken.
    scene
        .cofferdam(&["volume", "accept-rollback", &volume, "--yes"])?
        .ok()?;
    scene
        .run_usual(&volume)?
        .says(&["Read-only file system"])
        .map(drop)
}

/// Puts a record into the registry by hand, as who has its file can: what `edit`, a line of Python, makes of the value `old`, which
/// lies under `from`, under `key`.
pub(super) fn forge(scene: &mut Scene, key: &str, from: &str, edit: &str) -> Outcome {
    let entry = format!(
        "import json, sqlite3\n\
         db = sqlite3.connect('/var/lib/cofferdam/registry.sqlite')\n\
         tables = [row[0] for row in db.execute(\"select name from sqlite_master where type='table'\")]\n\
         for table in tables:\n\
         \x20   columns = [row[1] for row in db.execute(f'pragma table_info({{table}})')]\n\
         \x20   if 'key' in columns and 'value' in columns:\n\
         \x20       row = db.execute(f\"select * from {{table}} where key = '{from}'\").fetchone()\n\
         \x20       values = dict(zip(columns, row))\n\
         \x20       old = json.loads(values['value'])\n\
         \x20       {edit}\n\
         \x20       values['key'], values['value'] = '{key}', json.dumps(old).encode()\n\
         \x20       marks = ','.join('?' for _ in columns)\n\
         \x20       db.execute(f'insert or replace into {{table}} values ({{marks}})', [values[c] for c in columns])\n\
         \x20       db.commit()\n\
         \x20       print('written')\n"
    );
    scene.host.daemon.stop()?;
    let written = run("python3", &["-c", &entry]);
    scene.host.daemon.start()?;
    written?.ok()?.says(&["written"]).map(drop)
}

fn forge_grant(scene: &mut Scene, volume: &str, app: &str, exec: &str) -> Outcome {
    let grant = format!("old = dict(volume='{volume}', app='{app}', write=True, exec={exec})");
    forge(
        scene,
        &format!("grant/{volume}/{app}"),
        &format!("app/{app}"),
        &grant,
    )
}

/// Whoever can write the registry can give himself every grant there; the deed, which he cannot sign, still says no.
fn a_registry_that_lies_grants_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let app = scene.app("app", "tiny:1", &[])?;
    forge_grant(scene, &volume, &app, "False")?;
    let shown = scene.cofferdam(&["volume", "show", &volume])?.ok()?;
    shown.says(&[&app])?;
    opens_with(scene, &volume, &["the deed of", "grants", "nothing"])
}

/// The app's rule is in the deed, and with it that a ticket is required.
fn a_registry_that_lies_drops_no_ticket(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let app = scene.app("app", "tiny:1", &["--require-ticket"])?;
    scene.grant(&volume, &app, &[])?;
    opens_with(scene, &volume, &["it brings no ticket"])?;
    let key = format!("app/{app}");
    forge(scene, &key, &key, "old['rule'].pop('ticket')")?;
    opens_with(scene, &volume, &["the deed of"])
}

fn a_registry_that_lies_lets_nobody_exec(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let keeper = scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    forge_grant(scene, &volume, &keeper, "True")?;
    scene
        .docker(&["exec", &holder, "cat", "/data/log"])?
        .refused(&["cofferdam:", "the deed of"])?;
    scene.grant(&volume, &keeper, &["--exec"])?;
    scene.docker(&["exec", &holder, "cat", "/data/log"])?.ok()?;
    Ok(())
}

fn a_registry_that_lies_shares_no_exclusive_volume(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let key = format!("volume/{volume}");
    forge(scene, &key, &key, "old['access'] = 'shared'")?;
    opens_with(scene, &volume, &["another access", "than its deed"])
}

fn a_registry_that_lies_makes_no_plain_volume_of_a_sealed_one(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let key = format!("volume/{volume}");
    // Without an owner it would be a plain volume that nobody has opened yet, and be tidied away at the daemon's start.
    forge(scene, &key, &key, "del old['sealed'], old['owner']")?;
    let (path, _) = deed(scene, &volume)?;
    opens_with(scene, &volume, &["a sealed one on the disk"])?;
    fs::metadata(path)?;
    Ok(())
}
