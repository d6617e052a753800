//! Tenants: owners of apps and volumes. The tenant `default` always exists.

use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, Snapshot, TenantRecord, tenant_key};
use cofferdam_deed::PublicKey;
use cofferdam_model::api::{Member, NewTenant, Tenant};
use cofferdam_model::{Problem, Result, TenantName};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// The changes that make the tenant `default` where it is missing and wanted.
pub(super) fn with_tenant(known: &Snapshot, name: &TenantName) -> Result<Vec<Change>> {
    match known.tenant(name) {
        Ok(_) => Ok(Vec::new()),
        Err(_) if *name == TenantName::default_tenant() => Ok(vec![Change::Put(Record::Tenant(fresh(name)))]),
        Err(missing) => Err(missing),
    }
}

/// A tenant as others see it; whether its key is here is looked at on the disk.
fn with_place_of_key(daemon: &Daemon, tenant: Tenant) -> Tenant {
    let key_kept = sealed::keeps_key(daemon, &daemon.state.now(), &tenant.name).unwrap_or(false);
    Tenant { key_kept, ..tenant }
}

fn fresh(name: &TenantName) -> TenantRecord {
    TenantRecord {
        name: name.clone(),
        created: Timestamp::now(),
        key: None,
        members: BTreeSet::new(),
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
        members: record.members.iter().cloned().collect(),
        key: record.key.map(|key| key.to_string()),
        key_kept: false,
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

/// Makes a tenant; one that exists with the same key, or whose key was not asked for, is answered with.
pub(crate) fn create_tenant(daemon: &Daemon, new: &NewTenant) -> Result<Tenant> {
    let key: Option<PublicKey> = new.key.as_deref().map(str::parse).transpose()?;
    let _turn = daemon.tenant_keys.lock().unwrap_or_else(PoisonError::into_inner);
    if daemon.state.now().tenant(&new.name).is_err() {
        // One that is left of an earlier tenant of this name must not sign for this one.
        daemon.keys.destroy_tenant(&new.name)?;
    }
    let made = daemon.state.change(|known| match known.tenant(&new.name) {
        Ok(record) if key.is_none() || record.key == key => Ok((Vec::new(), shown(known, record))),
        Ok(record) => Err(Problem::conflict(format!(
            "tenant {} exists already, {}",
            new.name,
            if record.key.is_some() {
                "with another key"
            } else {
                "and was made without a key of its own"
            }
        ))
        .remedy("take another name; a tenant's key cannot be changed")),
        Err(_) => {
            let record = TenantRecord {
                key,
                ..fresh(&new.name)
            };
            Ok((
                vec![Change::Put(Record::Tenant(record.clone()))],
                shown(known, &record),
            ))
        }
    })?;
    Ok(with_place_of_key(daemon, made))
}

/// All tenants.
pub(crate) fn tenants(daemon: &Daemon) -> Result<Vec<Tenant>> {
    let known = daemon.state.now();
    Ok(known.tenants().map(|record| shown(&known, record)).collect())
}

/// One tenant.
pub(crate) fn tenant(daemon: &Daemon, name: &TenantName) -> Result<Tenant> {
    let known = daemon.state.now();
    let tenant = known.tenant(name).map(|record| shown(&known, record))?;
    drop(known);
    Ok(with_place_of_key(daemon, tenant))
}

/// Has a user of this host act for a tenant; one who does already is left as he is.
///
/// # Errors
/// `missing` where there is no such tenant or user.
pub(crate) fn add_member(daemon: &Daemon, name: &TenantName, user: &str) -> Result<Tenant> {
    let member = user_of_this_host(user)?;
    change_members(daemon, name, |members| {
        members.retain(|other| other.uid != member.uid);
        members.insert(member);
        Ok(())
    })
}

/// Has a user act for a tenant no longer. He need not exist any more.
///
/// # Errors
/// `missing` where there is no such tenant or member.
pub(crate) fn remove_member(daemon: &Daemon, name: &TenantName, user: &str) -> Result<Tenant> {
    change_members(daemon, name, |members| {
        let before = members.len();
        members.retain(|member| member.user != user && member.uid.to_string() != user);
        if members.len() < before {
            return Ok(());
        }
        Err(
            Problem::missing(format!("{} is no member of tenant {name}", user.escape_debug()))
                .remedy(format!("see who is: cofferdam tenant show {name}")),
        )
    })
}

fn change_members(
    daemon: &Daemon,
    name: &TenantName,
    change: impl FnOnce(&mut BTreeSet<Member>) -> Result<()>,
) -> Result<Tenant> {
    daemon.state.change(|known| {
        let mut record = known.tenant(name)?.clone();
        change(&mut record.members)?;
        let tenant = shown(known, &record);
        Ok((vec![Change::Put(Record::Tenant(record))], tenant))
    })
}

/// A user by his name in `/etc/passwd` (passwd(5)), or by his number.
fn user_of_this_host(user: &str) -> Result<Member> {
    let unknown = || {
        Problem::missing(format!("this host has no user {}", user.escape_debug()))
            .remedy("give a name out of /etc/passwd, or a user's number, as id -u shows it")
    };
    let users = std::fs::read_to_string("/etc/passwd").map_err(|_| unknown())?;
    let uid = match user.bytes().all(|byte| byte.is_ascii_digit()) {
        true => user.parse().ok(),
        false => number_of(&users, user),
    };
    match uid.ok_or_else(unknown)? {
        0 => Err(Problem::invalid(
            "root is the operator, and needs to be nobody's member",
        )),
        uid => Ok(Member {
            uid,
            user: user.to_owned(),
        }),
    }
}

fn number_of(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() == Some(name) {
            fields.nth(1)?.parse().ok()
        } else {
            None
        }
    })
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
    super::unsigned::forget_unsigned(daemon, |volume, _| volume.tenant() == name);
    daemon.keys.destroy_tenant(name)?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nodd:x\n";
        assert_eq!(number_of(users, "alice"), Some(1000));
        for name in ["alic", "odd", "", "x", "/home/alice"] {
            assert_eq!(number_of(users, name), None, "{name:?}");
        }
    }

    #[test]
    fn root_is_nobodys_member() {
        assert!(user_of_this_host("root").is_err());
        assert!(user_of_this_host("0").is_err());
        assert!(user_of_this_host("no such user").is_err());
        assert_eq!(user_of_this_host("4711").unwrap().uid, 4711);
    }
}
