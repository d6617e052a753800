//! Deed and registry, written by hand on the stolen disk.

use super::{
    case::{Attack, Attacker::Thief},
    evidence::Evidence,
    ground::{FOREIGN, Ground, IMAGE},
};
use crate::{Outcome, command::run};
use std::fs;

/// Why none of these has a control.
const NONE: &str = "plain Docker has neither deeds nor a registry of grants";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "deeds::a_changed_deed",
        Thief,
        "changes a byte of the deed",
        "its signature does not hold",
        a_changed_deed,
    )
    .without_control(NONE)
    .told(&["deed"]),
    Attack::new(
        "deeds::an_older_deed",
        Thief,
        "puts back the deed by which the app could still write",
        "an older one is refused",
        an_older_deed,
    )
    .without_control(NONE)
    .told(&["older"]),
    Attack::new(
        "deeds::no_deed",
        Thief,
        "takes the deed away",
        "without a deed nothing opens",
        no_deed,
    )
    .without_control(NONE)
    .told(&["deed"]),
    Attack::new(
        "deeds::another_volumes_deed",
        Thief,
        "puts the deed of a volume of his in its place",
        "a deed belongs to one volume",
        another_volumes_deed,
    )
    .without_control(NONE)
    .told(&["deed"]),
    Attack::new(
        "deeds::a_grant_in_the_registry",
        Thief,
        "writes himself a grant into the registry",
        "the tenant has not signed it",
        a_grant_in_the_registry,
    )
    .without_control(NONE)
    .told(&["deed"]),
    Attack::new(
        "deeds::a_rule_in_the_registry",
        Thief,
        "changes the image of the victim's app in the registry",
        "the rule is in the deed as well",
        a_rule_in_the_registry,
    )
    .without_control(NONE)
    .told(&[]),
    Attack::new(
        "deeds::a_volume_in_the_registry",
        Thief,
        "has a volume of his own point to the victim's data",
        "the deed names its volume",
        a_volume_in_the_registry,
    )
    .without_control(NONE)
    .told(&[]),
    Attack::new(
        "deeds::a_plain_volume_in_the_registry",
        Thief,
        "makes a plain volume of the sealed one in the registry",
        "the disk says otherwise",
        a_plain_volume_in_the_registry,
    )
    .without_control(NONE)
    .told(&["sealed"]),
];

fn a_changed_deed(ground: &mut Ground) -> Outcome<Evidence> {
    with_deed(ground, |bytes| {
        let at = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
    })
}

/// The deed is changed, the victim's own command run, and the deed put back.
fn with_deed(ground: &mut Ground, change: impl FnOnce(&mut Vec<u8>)) -> Outcome<Evidence> {
    ground.written()?;
    let path = ground.scene.directory_of(ground.volume())?.join("deed.json");
    let good = fs::read(&path)?;
    let mut bytes = good.clone();
    change(&mut bytes);
    fs::write(&path, bytes)?;
    let ran = ground.run(&[], IMAGE, &[]);
    fs::write(&path, good)?;
    Ok(ground.started(&ran?))
}

fn an_older_deed(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let path = ground.scene.directory_of(ground.volume())?.join("deed.json");
    let older = fs::read(&path)?;
    ground
        .scene
        .cofferdam(&["revoke", ground.volume(), "payments.app"])?
        .ok()?;
    ground
        .scene
        .cofferdam(&["grant", ground.volume(), "payments.app", "--read-only"])?
        .ok()?;
    let newer = fs::read(&path)?;
    fs::write(&path, older)?;
    let ran = ground.run(&[], IMAGE, &[]);
    fs::write(&path, newer)?;
    Ok(ground.started(&ran?))
}

fn no_deed(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let path = ground.scene.directory_of(ground.volume())?.join("deed.json");
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside)?;
    let ran = ground.run(&[], IMAGE, &[]);
    fs::rename(&aside, &path)?;
    Ok(ground.started(&ran?))
}

fn another_volumes_deed(ground: &mut Ground) -> Outcome<Evidence> {
    ground.scene.volume("his", &["--size", "64M"])?;
    let his = fs::read(ground.scene.directory_of("payments.his")?.join("deed.json"))?;
    with_deed(ground, |bytes| *bytes = his)
}

/// An app of his own that prints the secret.
fn his_app(ground: &Ground) -> Outcome<String> {
    ground.scene.app("his", FOREIGN, &[])
}

fn a_grant_in_the_registry(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let app = his_app(ground)?;
    let volume = ground.volume();
    forge(
        ground,
        &format!("grant/{volume}/{app}"),
        &format!("app/{app}"),
        &format!("old = dict(volume='{volume}', app='{app}', write=True, exec=False)"),
    )?;
    let ran = ground.run(&[], FOREIGN, &[])?;
    Ok(ground.read(&ran))
}

fn a_rule_in_the_registry(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let app = his_app(ground)?;
    forge(
        ground,
        "app/payments.app",
        &format!("app/{app}"),
        "old['name'] = 'payments.app'",
    )?;
    let ran = ground.run(&[], FOREIGN, &[])?;
    Ok(ground.read(&ran))
}

fn a_volume_in_the_registry(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let app = his_app(ground)?;
    let his = ground.scene.volume("his", &["--size", "64M"])?;
    ground.scene.grant(&his, &app, &[])?;
    let victims = ground.scene.directory_of(ground.volume())?;
    let own = ground.scene.directory_of(&his)?;
    let name = |path: &std::path::Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let key = format!("volume/{his}");
    let point = |at: String| format!("old['id'] = '{at}'");
    forge(ground, &key, &key, &point(name(&victims)))?;
    let mount = format!("{his}:/data");
    let ran = ground.run_bare(&["--volume", &mount], FOREIGN, &[]);
    forge(ground, &key, &key, &point(name(&own)))?;
    Ok(ground.read(&ran?))
}

fn a_plain_volume_in_the_registry(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let key = format!("volume/{}", ground.volume());
    forge(
        ground,
        &key,
        &key,
        "keep = old.pop('sealed'); old.pop('owner', None); open('/run/kept', 'w').write(json.dumps(keep))",
    )?;
    let ran = ground.run(&[], IMAGE, &[]);
    forge(ground, &key, &key, "old['sealed'] = json.load(open('/run/kept'))")?;
    Ok(ground.started(&ran?))
}

/// Puts a record into the registry by hand, as who has its file can: what `edit`, a line of Python, makes of the value
/// `old`, which lies under `from`, under `key`.
fn forge(ground: &mut Ground, key: &str, from: &str, edit: &str) -> Outcome {
    let script = format!(
        "import json, sqlite3\n\
         db = sqlite3.connect('/var/lib/cofferdam/registry.sqlite')\n\
         for (table,) in db.execute(\"select name from sqlite_master where type='table'\").fetchall():\n\
         \x20   columns = [row[1] for row in db.execute(f'pragma table_info({{table}})')]\n\
         \x20   if 'key' in columns and 'value' in columns:\n\
         \x20       row = db.execute(f'select * from {{table}} where key = ?', ['{from}']).fetchone()\n\
         \x20       values = dict(zip(columns, row))\n\
         \x20       old = json.loads(values['value'])\n\
         \x20       {edit}\n\
         \x20       values['key'], values['value'] = '{key}', json.dumps(old).encode()\n\
         \x20       marks = ','.join('?' for _ in columns)\n\
         \x20       db.execute(f'insert or replace into {{table}} values ({{marks}})', [values[c] for c in columns])\n\
         \x20       db.commit()\n\
         \x20       print('written')\n"
    );
    let daemon = &mut ground.scene.host.daemon;
    daemon.stop()?;
    let written = run("python3", &["-c", &script]);
    daemon.start()?;
    written?.ok()?.says(&["written"]).map(drop)
}
