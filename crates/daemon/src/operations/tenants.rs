//! Tenants: owners of apps and volumes. The tenant `default` always exists.

use crate::daemon::Daemon;
use crate::state::{Change, Record, Snapshot, TenantRecord, tenant_key};
use cofferdam_deed::PublicKey;
use cofferdam_model::api::{NewTenant, Tenant};
use cofferdam_model::{Problem, Result, TenantName};
use jiff::Timestamp;
use std::sync::PoisonError;

/// The changes that make the tenant `default` where it is missing and wanted.
pub(super) fn with_tenant(known: &Snapshot, name: &TenantName) -> Result<Vec<Change>> {
    match known.tenant(name) {
        Ok(_) => Ok(Vec::new()),
        Err(_) if *name == TenantName::default_tenant() => Ok(vec![Change::Put(Record::Tenant(fresh(name)))]),
        Err(missing) => Err(missing),
    }
}

fn fresh(name: &TenantName) -> TenantRecord {
    TenantRecord {
        name: name.clone(),
        created: Timestamp::now(),
        key: None,
    }
}

fn shown(known: &Snapshot, record: &TenantRecord) -> Tenant {
    Tenant {
        name: record.name.clone(),
        created: record.created,
        apps: known
            .facts()
            .apps()
            .filter(|app| *app.name.tenant() == record.name)
            .count(),
        volumes: known
            .volumes()
            .filter(|volume| *volume.name.tenant() == record.name)
            .count(),
    }
}

/// Has a tenant a key with which its deeds are signed: its own, or one that the host keeps for it.
pub(super) fn with_key(daemon: &Daemon, name: &TenantName) -> Result<()> {
    let _turn = daemon.tenant_keys.lock().unwrap_or_else(PoisonError::into_inner);
    if daemon
        .state
        .now()
        .tenant(name)
        .is_ok_and(|tenant| tenant.key.is_some())
    {
        return Ok(());
    }
    let key = match daemon.keys.tenant(name)? {
        Some(key) => key,
        None => daemon.keys.make_tenant(name)?,
    };
    let public = PublicKey::from(key.verifying());
    daemon.state.change(|known| {
        let tenant = match known.tenant(name) {
            Ok(tenant) => tenant.clone(),
            Err(missing) if *name != TenantName::default_tenant() => return Err(missing),
            Err(_) => fresh(name),
        };
        if tenant.key.is_some() {
            return Ok((Vec::new(), ())); // Somebody else was here first.
        }
        let tenant = TenantRecord {
            key: Some(public),
            ..tenant
        };
        Ok((vec![Change::Put(Record::Tenant(tenant))], ()))
    })
}

/// Makes a tenant; one that exists is answered with.
pub(crate) fn create_tenant(daemon: &Daemon, new: &NewTenant) -> Result<Tenant> {
    daemon.state.change(|known| match known.tenant(&new.name) {
        Ok(record) => Ok((Vec::new(), shown(known, record))),
        Err(_) => {
            let record = fresh(&new.name);
            Ok((
                vec![Change::Put(Record::Tenant(record.clone()))],
                shown(known, &record),
            ))
        }
    })
}

/// All tenants.
pub(crate) fn tenants(daemon: &Daemon) -> Result<Vec<Tenant>> {
    let known = daemon.state.now();
    Ok(known.tenants().map(|record| shown(&known, record)).collect())
}

/// One tenant.
pub(crate) fn tenant(daemon: &Daemon, name: &TenantName) -> Result<Tenant> {
    let known = daemon.state.now();
    known.tenant(name).map(|record| shown(&known, record))
}

/// Removes a tenant that owns nothing, and the key that the host kept for it.
pub(crate) fn remove_tenant(daemon: &Daemon, name: &TenantName) -> Result<Tenant> {
    let _turn = daemon.tenant_keys.lock().unwrap_or_else(PoisonError::into_inner);
    let removed = daemon.state.change(|known| {
        let tenant = shown(known, known.tenant(name)?);
        if tenant.apps + tenant.volumes > 0 {
            return Err(Problem::conflict(format!(
                "tenant {name} still owns {} apps and {} volumes",
                tenant.apps, tenant.volumes
            ))
            .remedy("remove them first"));
        }
        Ok((vec![Change::Delete(tenant_key(name))], tenant))
    })?;
    daemon.keys.destroy_tenant(name)?;
    Ok(removed)
}
