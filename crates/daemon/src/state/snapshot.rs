//! The registry in memory, indexed for the questions that are asked.

use super::{Change, Record};
use cofferdam_deed::{PublicKey, TicketId};
use cofferdam_model::api::{Decision, Member};
use cofferdam_model::{
    AppName, Attachment, ContainerId, DecisionId, Measurement, Problem, Result, Sha256, TenantName, Volume,
    VolumeId, VolumeName,
};
use cofferdam_policy::Facts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many decisions are kept.
pub(crate) const DECISIONS_KEPT: u64 = 1000;

/// A tenant, as the registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantRecord {
    pub(crate) name: TenantName,
    pub(crate) created: Timestamp,
    /// The key that verifies its deeds; none until it owns the first sealed volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PublicKey>,
    /// Who may act for it, besides the operator.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) members: BTreeSet<Member>,
}

/// A decision that is kept no longer, or never was.
pub(crate) fn not_kept(id: DecisionId) -> Problem {
    Problem::missing(format!("decision {id} is not kept"))
        .remedy(format!("the last {DECISIONS_KEPT} are: cofferdam why"))
}

/// Everything that is known.
#[derive(Default)]
pub(crate) struct Snapshot {
    tenants: BTreeMap<TenantName, TenantRecord>,
    volumes: BTreeMap<VolumeName, Volume>,
    facts: Facts,
    /// Counts the changes of apps and grants: a decision is only as good as the facts it was taken from.
    facts_version: u64,
    leases: BTreeMap<ContainerId, BTreeMap<usize, Attachment>>,
    measured: BTreeMap<ContainerId, Measurement>,
    ended: BTreeMap<ContainerId, Sha256>,
    decisions: BTreeMap<u64, Decision>,
    making: BTreeSet<VolumeId>,
    removing: BTreeSet<VolumeId>,
    used_tickets: BTreeMap<TicketId, Timestamp>,
}

impl Snapshot {
    /// Takes one change in.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(record) => self.put(record.clone()),
            Change::Delete(key) => self.delete(key),
        }
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Tenant(tenant) => drop(self.tenants.insert(tenant.name.clone(), tenant)),
            Record::Volume(volume) => drop(self.volumes.insert(volume.name.clone(), *volume)),
            Record::App(app) => {
                self.facts_version += 1;
                self.facts.insert_app(*app);
            }
            Record::Grant(grant) => {
                self.facts_version += 1;
                self.facts.insert_grant(&grant);
            }
            Record::HostPathGrant(grant) => {
                self.facts_version += 1;
                self.facts.insert_host_path_grant(&grant);
            }
            Record::Lease { mount, attachment } => {
                self.leases
                    .entry(attachment.container.clone())
                    .or_default()
                    .insert(mount, *attachment);
            }
            Record::Measured(measurement) => {
                drop(self.measured.insert(measurement.container.clone(), *measurement))
            }
            Record::Ended { container, layer } => drop(self.ended.insert(container, layer)),
            Record::Decision(decision) => drop(self.decisions.insert(decision.id.0, *decision)),
            Record::Making(id) => drop(self.making.insert(id)),
            Record::Removing(id) => drop(self.removing.insert(id)),
            Record::UsedTicket { id, until } => drop(self.used_tickets.insert(id, until)),
        }
    }

    fn delete(&mut self, key: &str) {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        match kind {
            "tenant" => self.tenants.retain(|name, _| name.as_str() != rest),
            "volume" => drop(rest.parse().map(|name: VolumeName| self.volumes.remove(&name))),
            "app" => {
                self.facts_version += 1;
                drop(rest.parse().map(|name: AppName| self.facts.remove_app(&name)));
            }
            "grant" => {
                self.facts_version += 1;
                if let Some((Ok(volume), Ok(app))) = rest
                    .split_once('/')
                    .map(|(volume, app)| (volume.parse(), app.parse()))
                {
                    self.facts.remove_grant(&volume, &app);
                }
            }
            "host-path" => {
                self.facts_version += 1;
                if let Some((Ok(app), Ok(path))) = rest
                    .split_once('/')
                    .map(|(app, path)| (app.parse(), path.parse()))
                {
                    self.facts.remove_host_path_grant(&path, &app);
                }
            }
            "lease" => self.delete_lease(rest),
            "measured" => drop(rest.parse().map(|id: ContainerId| self.measured.remove(&id))),
            "ended" => drop(rest.parse().map(|id: ContainerId| self.ended.remove(&id))),
            "decision" => drop(u64::from_str_radix(rest, 16).map(|id| self.decisions.remove(&id))),
            "making" => drop(VolumeId::try_from(rest.to_owned()).map(|id| self.making.remove(&id))),
            "removing" => drop(VolumeId::try_from(rest.to_owned()).map(|id| self.removing.remove(&id))),
            "ticket" => drop(TicketId::try_from(rest.to_owned()).map(|id| self.used_tickets.remove(&id))),
            _ => {}
        }
    }

    fn delete_lease(&mut self, rest: &str) {
        let Some((Ok(container), Ok(mount))) = rest
            .rsplit_once('/')
            .map(|(id, mount)| (id.parse::<ContainerId>(), mount.parse::<usize>()))
        else {
            return;
        };
        if let Some(held) = self.leases.get_mut(&container) {
            held.remove(&mount);
            if held.is_empty() {
                self.leases.remove(&container);
            }
        }
    }

    /// Apps and grants, as the policy wants them.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Changes with every app and grant.
    pub(crate) fn facts_version(&self) -> u64 {
        self.facts_version
    }

    /// All tenants, by name.
    pub(crate) fn tenants(&self) -> impl ExactSizeIterator<Item = &TenantRecord> {
        self.tenants.values()
    }

    /// The tenant of this name.
    ///
    /// # Errors
    /// `missing` where there is none.
    pub(crate) fn tenant(&self, name: &TenantName) -> Result<&TenantRecord> {
        self.tenants.get(name).ok_or_else(|| {
            Problem::missing(format!("tenant {name} does not exist"))
                .remedy(format!("make it with: cofferdam tenant create {name}"))
        })
    }

    /// All volumes, by name.
    pub(crate) fn volumes(&self) -> impl ExactSizeIterator<Item = &Volume> {
        self.volumes.values()
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// `missing` where there is none.
    pub(crate) fn volume(&self, name: &VolumeName) -> Result<&Volume> {
        self.volumes.get(name).ok_or_else(|| {
            Problem::missing(format!("volume {name} does not exist"))
                .remedy(format!("make it with: cofferdam volume create {name}"))
        })
    }

    /// Every lease.
    pub(crate) fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        self.leases.values().flat_map(BTreeMap::values)
    }

    /// A container's leases, with the number of the mount.
    pub(crate) fn held_by(&self, container: &ContainerId) -> impl Iterator<Item = (usize, &Attachment)> {
        self.leases
            .get(container)
            .into_iter()
            .flatten()
            .map(|(mount, attachment)| (*mount, attachment))
    }

    /// The containers that have ended and may start again, with their own layers' fingerprints.
    pub(crate) fn ended(&self) -> &BTreeMap<ContainerId, Sha256> {
        &self.ended
    }

    /// Who holds a volume.
    pub(crate) fn holders_of<'a>(&'a self, volume: &'a VolumeName) -> impl Iterator<Item = &'a Attachment> {
        self.attachments()
            .filter(move |attachment| attachment.volume == *volume)
    }

    /// What a container that holds a lease was measured to be.
    pub(crate) fn measurement(&self, container: &ContainerId) -> Option<&Measurement> {
        self.measured.get(container)
    }

    /// The decisions that are kept, newest first.
    pub(crate) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.values().rev()
    }

    /// One decision.
    ///
    /// # Errors
    /// `missing` where it is not kept any more, or never was.
    pub(crate) fn decision(&self, id: DecisionId) -> Result<&Decision> {
        self.decisions.get(&id.0).ok_or_else(|| not_kept(id))
    }

    /// The id of the decision that is taken next.
    pub(crate) fn next_decision(&self) -> DecisionId {
        DecisionId(
            self.decisions
                .last_key_value()
                .map_or(1, |(last, _)| last.saturating_add(1)),
        )
    }

    /// Volumes whose store is being made, or was when an earlier daemon ended.
    pub(crate) fn making(&self) -> impl Iterator<Item = &VolumeId> {
        self.making.iter()
    }

    /// Whether a ticket that was good for one launch has had it.
    pub(crate) fn is_used(&self, ticket: TicketId) -> bool {
        self.used_tickets.contains_key(&ticket)
    }

    /// Used tickets that do not hold any more, so that nobody has to remember them.
    pub(crate) fn stale_tickets(&self, now: Timestamp) -> impl Iterator<Item = TicketId> {
        self.used_tickets
            .iter()
            .filter(move |(_, until)| **until <= now)
            .map(|(id, _)| *id)
    }

    /// Volumes whose data is still to be deleted.
    pub(crate) fn removing(&self) -> impl Iterator<Item = &VolumeId> {
        self.removing.iter()
    }
}
