//! A volume that comes from elsewhere: its directory is taken in, and its deed says whose it is and who may open it.
//!
//! What is trusted is the deed's signature, and that the volume's key confirms it. A host that is no recipient of the key takes
//! nothing in.

use super::apps;
use super::volumes::volume;
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, Snapshot, TenantRecord};
use cofferdam_deed::{DeedGrant, PublicKey, SignedDeed};
use cofferdam_model::api::{Adopt, VolumeDetail};
use cofferdam_model::{App, Epoch, Grant, Maker, Problem, Result, Volume};
use jiff::Timestamp;
use tracing::info;

/// Takes a volume in, with its tenant, its grants and the apps that they name.
pub(crate) fn adopt_volume(daemon: &Daemon, adopt: &Adopt) -> Result<VolumeDetail> {
    let foreign = daemon.sealed.look_at(&adopt.path)?;
    let name = sealed::claimed_name(foreign.deed())?;
    // The placeholder comes before the volume: one without the other would be a path to nothing.
    daemon.change_placeholders().add(&name)?;
    let adopted = daemon.state.change(|known| {
        let deed = sealed::read_foreign(daemon, known, foreign.deed())?;
        let changes = coming_of(known, &deed)?;
        daemon.sealed.take_in(&foreign, deed.volume())?;
        Ok((changes, ()))
    });
    super::volumes::settle_placeholder(daemon, &name)?;
    adopted?;
    info!(volume = %name, "adopted");
    volume(daemon, &name)
}

/// What taking in a volume changes in the registry.
fn coming_of(known: &Snapshot, deed: &SignedDeed) -> Result<Vec<Change>> {
    let name = deed.name();
    if known.volume(name).is_ok() || known.volumes().any(|volume| volume.id == *deed.volume()) {
        return Err(
            Problem::conflict(format!("this host has a volume {name} already"))
                .remedy("a volume lives on one host at a time: remove the one that is not wanted any more"),
        );
    }
    let mut changes = tenant(known, deed)?;
    for grant in deed.grants() {
        changes.extend(granted(known, deed, grant)?);
    }
    changes.push(Change::Put(Record::Volume(Box::new(Volume {
        name: name.clone(),
        id: deed.volume().clone(),
        sealed: Some(sealed::remembered(deed, None)),
        size: Some(deed.size()),
        access: deed.access(),
        maker: Maker::Admin,
        created: deed.created(),
        owner: deed.owner(),
        epoch: Epoch::default(),
        used: None,
        ephemeral: false,
    }))));
    Ok(changes)
}

/// The tenant, with the key that has signed. One that is known has that key, or reading the deed had failed.
fn tenant(known: &Snapshot, deed: &SignedDeed) -> Result<Vec<Change>> {
    let name = deed.name().tenant();
    let record = match known.tenant(name) {
        Ok(tenant) if tenant.key.is_some() => return Ok(Vec::new()),
        Ok(tenant) => tenant.clone(),
        Err(_) => TenantRecord {
            name: name.clone(),
            created: Timestamp::now(),
            key: None,
            members: Default::default(),
        },
    };
    Ok(vec![Change::Put(Record::Tenant(TenantRecord {
        key: Some(PublicKey::from(deed.tenant_key())),
        ..record
    }))])
}

fn granted(known: &Snapshot, deed: &SignedDeed, grant: &DeedGrant) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    match known.facts().app(&grant.app) {
        Some(app) if app.rule == grant.rule => {}
        Some(app) => {
            return Err(Problem::conflict(format!(
                "app {} has another launch rule on this host (image {}) than by the deed of {}",
                app.name,
                app.rule.image,
                deed.name()
            ))
            .remedy(format!(
                "remove it: cofferdam app rm {}; it comes with the volume",
                app.name
            )));
        }
        None if grant.app.tenant() != deed.name().tenant() => {
            return Err(Problem::conflict(format!(
                "the deed of {} grants it to {}, an app of another tenant that this host does not know",
                deed.name(),
                grant.app
            ))
            .remedy(format!("make that app first: cofferdam app create {}", grant.app)));
        }
        None => {
            apps::sane(&grant.rule)?;
            changes.push(Change::Put(Record::App(Box::new(App {
                name: grant.app.clone(),
                image_reference: grant.rule.image.to_string(),
                rule: grant.rule.clone(),
                created: Timestamp::now(),
            }))));
        }
    }
    changes.push(Change::Put(Record::Grant(Grant {
        volume: deed.name().clone(),
        app: grant.app.clone(),
        write: grant.write,
        exec: grant.exec,
        until: grant.until,
    })));
    Ok(changes)
}
