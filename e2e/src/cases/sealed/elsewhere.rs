//! A tenant that keeps its own key: what it owns is signed where the key is, and this host can sign nothing in its name.

use super::{opens_with, rotating::wrapped};
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{run, same},
    failure::ensure,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

cases!("sealed":
    a_tenants_own_key_signs_volumes_grants_and_tickets,
    a_host_without_the_tenants_key_can_sign_nothing,
    a_tenants_own_key_signs_recipients,
    a_tenants_own_key_signs_a_rotation,
    another_key_signs_nothing,
    an_unsigned_volume_leaves_nothing,
    an_app_may_go_although_another_tenant_granted_it_something,
    a_volume_whose_owner_no_deed_names_keeps_its_content_when_it_moves,
);

/// A recovery key that nobody has the secret of here.
const RECOVERY: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// A tenant of this name whose key is a file that the host does not know of.
struct Elsewhere {
    tenant: String,
    key: PathBuf,
    _place: tempfile::TempDir,
}

impl Elsewhere {
    fn new(scene: &Scene) -> Outcome<Self> {
        let tenant = format!("{}z", scene.named("").trim_end_matches('.'));
        let place = tempfile::tempdir()?;
        let (key, public) = (place.path().join("tenant.key"), place.path().join("tenant.pub"));
        make_key(&key, &public)?;
        scene
            .cofferdam(&["tenant", "create", &tenant, "--key", text(&public)])?
            .ok()?;
        Ok(Elsewhere {
            tenant,
            key,
            _place: place,
        })
    }

    fn named(&self, label: &str) -> String {
        format!("{}.{label}", self.tenant)
    }

    /// A volume and an app that is `tiny:1`, with a signed grant.
    fn usual(&self, scene: &Scene) -> Outcome<(String, String)> {
        let (volume, app) = (self.named("data"), self.named("app"));
        let create = [
            "volume",
            "create",
            &volume,
            "--size",
            "64M",
            "--yes",
            "--sign-with",
            text(&self.key),
        ];
        scene.cofferdam(&create)?.ok()?.says(&["signed version 1"])?;
        scene
            .cofferdam(&["app", "create", &app, "--image", "tiny:1"])?
            .ok()?;
        let grant = ["grant", &volume, &app, "--yes", "--sign-with", text(&self.key)];
        scene.cofferdam(&grant)?.ok()?.says(&["signed version 2", &app])?;
        Ok((volume, app))
    }

    /// Signs away what its app was granted, and ends it.
    fn end_signing(self, scene: &Scene) -> Outcome {
        let remove = ["app", "rm", &self.named("app"), "--sign-with", text(&self.key)];
        scene.cofferdam(&remove)?.ok()?;
        self.end(scene)
    }

    fn end(self, scene: &Scene) -> Outcome {
        for volume in [self.named("data"), self.named("second")] {
            let removed = scene.cofferdam(&["volume", "rm", &volume, "--yes"])?;
            ensure(
                removed.is_ok() || removed.said().contains("does not exist"),
                || removed.said(),
            )?;
        }
        for app in [self.named("app"), self.named("other")] {
            let removed = scene.cofferdam(&["app", "rm", &app])?;
            ensure(
                removed.is_ok() || removed.said().contains("does not exist"),
                || removed.said(),
            )?;
        }
        scene.cofferdam(&["tenant", "rm", &self.tenant])?.ok().map(drop)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn make_key(key: &Path, public: &Path) -> Outcome {
    run(
        "openssl",
        &["genpkey", "-algorithm", "ed25519", "-out", text(key)],
    )?
    .ok()?;
    run(
        "openssl",
        &["pkey", "-in", text(key), "-pubout", "-out", text(public)],
    )?
    .ok()
    .map(drop)
}

fn a_tenants_own_key_signs_volumes_grants_and_tickets(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, app) = tenant.usual(scene)?;
    scene
        .cofferdam(&["tenant", "show", &tenant.tenant])?
        .ok()?
        .says(&["kept elsewhere"])?;
    scene.run_usual(&volume)?.ok()?;
    // Again, from what it holds: its owner is known without a deed that says so.
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    scene.run_usual(&volume)?.ok()?;
    let key = text(&tenant.key).to_owned();
    let again = scene
        .cofferdam(&["grant", &volume, &app, "--yes", "--sign-with", &key])?
        .ok()?;
    again.says(&["nothing had to be signed"])?;
    let grow = ["volume", "grow", &volume, "--size", "30G", "--sign-with", &key];
    scene.cofferdam(&grow)?.ok()?.says(&["signed version 3"])?;
    scene
        .cofferdam(&grow)?
        .ok()?
        .says(&["nothing had to be signed"])?;
    let revoke = ["revoke", &volume, &app, "--sign-with", &key];
    scene.cofferdam(&revoke)?.ok()?.says(&["signed version 4"])?;
    opens_with(scene, &volume, &["no grant"])?;
    let other = tenant.named("other");
    let image = ["app", "create", &other, "--image", "tiny:1", "--require-ticket"];
    scene.cofferdam(&image)?.ok()?;
    scene.cofferdam(&["app", "rm", &app])?.ok()?;
    scene
        .cofferdam(&["grant", &volume, &other, "--yes", "--sign-with", &key])?
        .ok()?;
    let ticket = scene
        .cofferdam(&["ticket", "issue", &other, "--sign-with", &key])?
        .ok()?;
    let handed = format!("COFFERDAM_TICKET={}", ticket.out.trim());
    scene
        .run(&volume, &["--user", "1000", "--env", &handed], "tiny:1", &[])?
        .ok()?;
    scene
        .cofferdam(&["revoke", &volume, &other, "--sign-with", &key])?
        .ok()?;
    tenant.end(scene)
}

fn a_host_without_the_tenants_key_can_sign_nothing(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, app) = tenant.usual(scene)?;
    let second = tenant.named("second");
    let acts: [&[&str]; 8] = [
        &["volume", "create", &second],
        &["volume", "rotate", &volume],
        &["volume", "share", &volume, "--recipient", RECOVERY],
        &["volume", "grow", &volume, "--size", "30G"],
        &["grant", &volume, &app, "--read-only"],
        &["revoke", &volume, &app],
        &["ticket", "issue", &app],
        &["app", "rm", &app],
    ];
    for act in acts {
        scene
            .cofferdam(act)?
            .refused(&["is not on this host", "--sign-with"])?;
    }
    scene.run_usual(&volume)?.ok()?;
    let key = text(&tenant.key).to_owned();
    scene.cofferdam(&["app", "rm", &app, "--sign-with", &key])?.ok()?;
    opens_with(scene, &volume, &["no app"])?;
    tenant.end(scene)
}

/// Recipients come and go, by deeds that are signed elsewhere; what the key is wrapped in stays good.
fn a_tenants_own_key_signs_recipients(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, _) = tenant.usual(scene)?;
    scene.run_usual(&volume)?.ok()?;
    let key = text(&tenant.key).to_owned();
    let share = [
        "volume",
        "share",
        &volume,
        "--recipient",
        RECOVERY,
        "--sign-with",
        &key,
    ];
    let shared = scene.cofferdam(&share)?.ok()?;
    shared.says(&["signed version 3", &format!("wrapped for {RECOVERY}")])?;
    scene
        .cofferdam(&share)?
        .ok()?
        .says(&["nothing had to be signed"])?;
    let shown = scene.cofferdam(&["volume", "show", &volume])?.ok()?;
    shown.says(&[RECOVERY])?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    scene.run_usual(&volume)?.ok()?;
    let unshare = [
        "volume",
        "unshare",
        &volume,
        "--recipient",
        RECOVERY,
        "--sign-with",
        &key,
    ];
    scene.cofferdam(&unshare)?.ok()?.says(&["signed version 4"])?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .silent_on(&[RECOVERY])?;
    scene.run_usual(&volume)?.ok()?;
    tenant.end_signing(scene)
}

/// The beginning of a rotation is signed, and its end; between the two the daemon may be started anew, and waits.
fn a_tenants_own_key_signs_a_rotation(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, _) = tenant.usual(scene)?;
    scene.run_usual(&volume)?.ok()?;
    let before = wrapped(scene, &volume)?;
    let key = text(&tenant.key).to_owned();
    let rotate = ["volume", "rotate", &volume, "--sign-with", &key];
    let whole = scene.cofferdam(&rotate)?.ok()?;
    whole.says(&["is encrypted anew; the key before is forgotten"])?;
    let one = wrapped(scene, &volume)?;
    ensure(one != before && one.ends_with("False"), || one.clone())?;
    scene.run_usual(&volume)?.ok()?;
    let two_keys = |scene: &Scene| {
        let two = wrapped(scene, &volume)?;
        ensure(two.ends_with("True"), || two.clone())
    };
    // In two sittings, with the daemon started anew between them.
    let begun = scene.cofferdam(&[&rotate[..], &["--detach"]].concat())?.ok()?;
    begun.says(&["is being encrypted anew"])?;
    two_keys(scene)?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    scene.run_usual(&volume)?.ok()?;
    two_keys(scene)?;
    let ended = scene.cofferdam(&rotate)?.ok()?;
    ended.says(&["the key before is forgotten"])?;
    let other = wrapped(scene, &volume)?;
    ensure(other != one && other.ends_with("False"), || other.clone())?;
    let ran = scene.run_usual(&volume)?.ok()?;
    same("lines in the log", ran.out.lines().count(), 4)?;
    tenant.end_signing(scene)
}

fn another_key_signs_nothing(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, app) = tenant.usual(scene)?;
    let place = tempfile::tempdir()?;
    let (key, public) = (place.path().join("other.key"), place.path().join("other.pub"));
    make_key(&key, &public)?;
    let second = tenant.named("second");
    let acts: [&[&str]; 5] = [
        &["volume", "rotate", &volume, "--sign-with", text(&key)],
        &[
            "volume",
            "share",
            &volume,
            "--recipient",
            RECOVERY,
            "--sign-with",
            text(&key),
        ],
        &["volume", "create", &second, "--yes", "--sign-with", text(&key)],
        &[
            "grant",
            &volume,
            &app,
            "--exec",
            "--yes",
            "--sign-with",
            text(&key),
        ],
        &["revoke", &volume, &app, "--sign-with", text(&key)],
    ];
    for act in acts {
        scene.cofferdam(act)?.refused(&["is to be signed by key"])?;
    }
    // A ticket can be signed by anybody; it proves nothing.
    scene
        .cofferdam(&["ticket", "issue", &app, "--sign-with", text(&key)])?
        .ok()?;
    scene
        .cofferdam(&["tenant", "create", &tenant.tenant, "--key", text(&public)])?
        .refused(&["exists already", "another key"])?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .cofferdam(&["revoke", &volume, &app, "--sign-with", text(&tenant.key)])?
        .ok()?;
    tenant.end(scene)
}

fn an_unsigned_volume_leaves_nothing(scene: &mut Scene) -> Outcome {
    use crate::{daemon::ADMIN, host::STATE, http::request};
    let tenant = Elsewhere::new(scene)?;
    let kept = || {
        let entries = fs::read_dir(Path::new(STATE).join("volumes"))?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        names.collect::<std::io::Result<BTreeSet<_>>>()
    };
    let before = kept()?;
    let body = format!(
        r#"{{"act":{{"create":{{"name":"{}","size":67108864}}}}}}"#,
        tenant.named("data")
    );
    let drafted = request(Path::new(ADMIN), "POST", "/v1/deeds", body.as_bytes())?;
    ensure(drafted.status == 200 && drafted.body.contains("sign"), || {
        format!("{drafted:?}")
    })?;
    ensure(!kept()?.is_subset(&before), || "nothing waits".to_owned())?;
    scene
        .cofferdam(&["volume", "show", &tenant.named("data")])?
        .refused(&["does not exist"])?;
    // Something else under the tenant's own signature is not taken, and what waited is gone.
    let forged = format!(
        r#"{{"act":{{"create":{{"name":"{}","size":67108864}}}},"deed":"e30="}}"#,
        tenant.named("data")
    );
    let refused = request(Path::new(ADMIN), "POST", "/v1/deeds", forged.as_bytes())?;
    ensure((400..=500).contains(&refused.status), || format!("{refused:?}"))?;
    let again = request(Path::new(ADMIN), "POST", "/v1/deeds", body.as_bytes())?;
    ensure(again.status == 200, || format!("{again:?}"))?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    let left: BTreeSet<_> = kept()?.difference(&before).cloned().collect();
    ensure(left.is_empty(), || {
        format!("of an unsigned volume is left: {left:?}")
    })?;
    tenant.end(scene)
}

/// What another tenant grants is his; it must not bind the app's owner.
fn an_app_may_go_although_another_tenant_granted_it_something(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, own) = tenant.usual(scene)?;
    let app = scene.app("app", "tiny:1", &[])?;
    let key = text(&tenant.key).to_owned();
    let grant = ["grant", &volume, &app, "--yes", "--sign-with", &key];
    scene.cofferdam(&grant)?.ok()?;
    scene.cofferdam(&["app", "rm", &app])?.ok()?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .silent_on(&[&app])?;
    // Made anew, it has nothing of what was granted to the one before.
    scene.app("app", "tiny:1", &[])?;
    scene
        .cofferdam(&["revoke", &volume, &own, "--sign-with", &key])?
        .ok()?;
    opens_with(scene, &volume, &[])?;
    tenant.end(scene)
}

/// The deed names no owner, since the host could not sign one; so the volume has to say itself that it is not new.
fn a_volume_whose_owner_no_deed_names_keeps_its_content_when_it_moves(scene: &mut Scene) -> Outcome {
    let tenant = Elsewhere::new(scene)?;
    let (volume, app) = tenant.usual(scene)?;
    scene.run_usual(&volume)?.ok()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    // As it would come from another host: the directory, and a registry that knows nothing of it.
    let kept = scene.directory_of(&volume)?;
    let moved = kept.with_file_name("moved-elsewhere");
    run("cp", &["-a", text(&kept), text(&moved)])?.ok()?;
    scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    let incoming = Path::new("/var/lib/cofferdam/incoming");
    fs::create_dir_all(incoming)?;
    let arrived = incoming.join(kept.file_name().unwrap_or_default());
    fs::rename(&moved, &arrived)?;
    scene.cofferdam(&["volume", "adopt", text(&arrived)])?.ok()?;
    let ran = scene.run_usual(&volume)?.ok()?;
    same("lines in the log", ran.out.lines().count(), 3)?;
    scene
        .cofferdam(&["revoke", &volume, &app, "--sign-with", text(&tenant.key)])?
        .ok()?;
    tenant.end(scene)
}
