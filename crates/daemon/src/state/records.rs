//! The registry's records: which key each has, and what lies under it (JSON).
//!
//! | key | value |
//! |---|---|
//! | `tenant/<tenant>` | [`TenantRecord`] |
//! | `app/<app>` | [`App`] |
//! | `volume/<volume>` | [`Volume`] |
//! | `grant/<volume>/<app>` | [`Grant`] |
//! | `host-path/<app>/<path>` | [`HostPathGrant`] |
//! | `lease/<container>/<mount>` | [`Attachment`] |
//! | `measured/<container>` | [`Measurement`] of a container that holds a lease, without its environment |
//! | `ended/<container>` | the fingerprint of the own layer of a container that held a volume, when it ended |
//! | `decision/<16 hexadecimal digits>` | [`Decision`] |
//! | `making/<volume id>` | nothing: the volume's store is being made, and nobody has seen it yet |
//! | `removing/<volume id>` | nothing: the volume's data is still to be deleted |
//! | `ticket/<ticket id>` | when a ticket that was good for one launch, and has had it, ends: an instant |

use super::TenantRecord;
use cofferdam_deed::TicketId;
use cofferdam_model::api::Decision;
use cofferdam_model::{
    App, AppName, Attachment, ContainerId, DecisionId, Grant, HostPath, HostPathGrant, Measurement, Problem,
    Result, Sha256, TenantName, Volume, VolumeId, VolumeName,
};
use jiff::Timestamp;

/// One record of the registry.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Tenant(TenantRecord),
    App(Box<App>),
    Volume(Box<Volume>),
    Grant(Grant),
    HostPathGrant(Box<HostPathGrant>),
    Lease {
        mount: usize,
        attachment: Box<Attachment>,
    },
    Measured(Box<Measurement>),
    Ended {
        container: ContainerId,
        layer: Sha256,
    },
    Decision(Box<Decision>),
    Making(VolumeId),
    Removing(VolumeId),
    UsedTicket {
        id: TicketId,
        until: Timestamp,
    },
}

/// One thing that shall be different.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// This record, whether or not there was one under its key.
    Put(Record),
    /// No record under this key.
    Delete(String),
}

/// The key of a tenant.
pub(crate) fn tenant_key(name: &TenantName) -> String {
    format!("tenant/{name}")
}

/// The key of an app.
pub(crate) fn app_key(name: &AppName) -> String {
    format!("app/{name}")
}

/// The key of a volume.
pub(crate) fn volume_key(name: &VolumeName) -> String {
    format!("volume/{name}")
}

/// The key of a grant.
pub(crate) fn grant_key(volume: &VolumeName, app: &AppName) -> String {
    format!("grant/{volume}/{app}")
}

/// The key of a grant on a host path.
pub(crate) fn host_path_key(path: &HostPath, app: &AppName) -> String {
    format!("host-path/{app}/{path}")
}

/// The key of a lease.
pub(crate) fn lease_key(container: &ContainerId, mount: usize) -> String {
    format!("lease/{container}/{mount}")
}

/// The key of a measurement.
pub(crate) fn measured_key(container: &ContainerId) -> String {
    format!("measured/{container}")
}

/// The key of a container that has ended.
pub(crate) fn ended_key(container: &ContainerId) -> String {
    format!("ended/{container}")
}

/// The key of a decision; they sort by age.
pub(crate) fn decision_key(id: DecisionId) -> String {
    format!("decision/{:016x}", id.0)
}

/// The key of a volume that is being made.
pub(crate) fn making_key(id: &VolumeId) -> String {
    format!("making/{id}")
}

/// The key of a volume that is being removed.
pub(crate) fn removing_key(id: &VolumeId) -> String {
    format!("removing/{id}")
}

/// The key of a ticket that was used.
pub(crate) fn ticket_key(id: TicketId) -> String {
    format!("ticket/{id}")
}

impl Record {
    /// Where the record lies.
    pub(crate) fn key(&self) -> String {
        match self {
            Record::Tenant(tenant) => tenant_key(&tenant.name),
            Record::App(app) => app_key(&app.name),
            Record::Volume(volume) => volume_key(&volume.name),
            Record::Grant(grant) => grant_key(&grant.volume, &grant.app),
            Record::HostPathGrant(grant) => host_path_key(&grant.path, &grant.app),
            Record::Lease { mount, attachment } => lease_key(&attachment.container, *mount),
            Record::Measured(measurement) => measured_key(&measurement.container),
            Record::Ended { container, .. } => ended_key(container),
            Record::Decision(decision) => decision_key(decision.id),
            Record::Making(id) => making_key(id),
            Record::Removing(id) => removing_key(id),
            Record::UsedTicket { id, .. } => ticket_key(*id),
        }
    }

    /// The record as bytes.
    ///
    /// # Errors
    /// `internal` where it cannot be written, which no record of ours is.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let encoded = match self {
            Record::Tenant(tenant) => serde_json::to_vec(tenant),
            Record::App(app) => serde_json::to_vec(app),
            Record::Volume(volume) => serde_json::to_vec(volume),
            Record::Grant(grant) => serde_json::to_vec(grant),
            Record::HostPathGrant(grant) => serde_json::to_vec(grant),
            Record::Lease { attachment, .. } => serde_json::to_vec(attachment),
            Record::Measured(measurement) => serde_json::to_vec(measurement),
            Record::Ended { layer, .. } => serde_json::to_vec(layer),
            Record::Decision(decision) => serde_json::to_vec(decision),
            Record::Making(_) | Record::Removing(_) => Ok(b"{}".to_vec()),
            Record::UsedTicket { until, .. } => serde_json::to_vec(until),
        };
        encoded.map_err(|error| Problem::internal(format!("cannot write the record {}: {error}", self.key())))
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// `corrupt` where key and bytes make no record, or do not fit each other.
    pub(crate) fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        let wrong = |error: serde_json::Error| Problem::corrupt(error.to_string());
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let record = match kind {
            "tenant" => Record::Tenant(serde_json::from_slice(bytes).map_err(wrong)?),
            "app" => Record::App(Box::new(serde_json::from_slice(bytes).map_err(wrong)?)),
            "volume" => Record::Volume(Box::new(serde_json::from_slice(bytes).map_err(wrong)?)),
            "grant" => Record::Grant(serde_json::from_slice(bytes).map_err(wrong)?),
            "host-path" => Record::HostPathGrant(Box::new(serde_json::from_slice(bytes).map_err(wrong)?)),
            "lease" => {
                let mount = rest.rsplit_once('/').and_then(|(_, mount)| mount.parse().ok());
                let mount =
                    mount.ok_or_else(|| Problem::corrupt("a lease without the number of its mount"))?;
                Record::Lease {
                    mount,
                    attachment: Box::new(serde_json::from_slice(bytes).map_err(wrong)?),
                }
            }
            "measured" => Record::Measured(Box::new(serde_json::from_slice(bytes).map_err(wrong)?)),
            "ended" => Record::Ended {
                container: rest.parse()?,
                layer: serde_json::from_slice(bytes).map_err(wrong)?,
            },
            "decision" => Record::Decision(Box::new(serde_json::from_slice(bytes).map_err(wrong)?)),
            "making" => Record::Making(VolumeId::try_from(rest.to_owned())?),
            "removing" => Record::Removing(VolumeId::try_from(rest.to_owned())?),
            "ticket" => Record::UsedTicket {
                id: TicketId::try_from(rest.to_owned())?,
                until: serde_json::from_slice(bytes).map_err(wrong)?,
            },
            _ => {
                return Err(
                    Problem::corrupt("no such kind of record").remedy("it may come from a newer Cofferdam")
                );
            }
        };
        if record.key() == key {
            Ok(record)
        } else {
            Err(Problem::corrupt(format!(
                "the record belongs under {}",
                record.key()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_lies_under_its_own_key_only() {
        let tenant = Record::Tenant(TenantRecord {
            name: "a".parse().unwrap(),
            created: jiff::Timestamp::UNIX_EPOCH,
            key: None,
            members: Default::default(),
        });
        let bytes = tenant.encode().unwrap();
        assert!(Record::decode("tenant/a", &bytes).is_ok());
        for key in ["tenant/b", "app/a", "x/a", "lease/a", "removing/../x"] {
            assert!(Record::decode(key, &bytes).is_err(), "{key}");
        }
    }

    #[test]
    fn no_name_can_leave_its_key() {
        let hostile: std::result::Result<VolumeName, _> = "a/b".parse();
        assert!(hostile.is_err());
        let id: ContainerId = "a+b".parse().unwrap();
        assert_eq!(lease_key(&id, 3), "lease/a+b/3");
    }
}
