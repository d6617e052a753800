//! A deed's fields as JSON has them, and how they must fit together.

use super::{Deed, DeedClaims};
use crate::document::{Document, FORMAT, refused};
use crate::hex::Hex32;
use crate::public_key::PublicKey;
use cofferdam_model::{
    Access, AppName, ByteSize, ErrorKind, LaunchRule, Owner, Problem, Result, VolumeId, VolumeName,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The highest version: beyond it, readers that keep numbers as doubles would take two versions for one.
const VERSION_MAX: u64 = (1 << 53) - 1;

/// The most recipients, and the longest of them and of the wrapped key, in bytes.
const RECIPIENTS_MAX: usize = 64;
const RECIPIENT_MAX: usize = 4096;
const WRAPPED_MAX: usize = 64 * 1024;

/// What is on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// The kernel's ext4.
    #[default]
    Ext4,
}

/// App may open the volume. Reading is always part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeedGrant {
    /// The app that may open it.
    pub app: AppName,
    /// What a container must be, to be that app.
    pub rule: LaunchRule,
    /// May write.
    pub write: bool,
    /// Processes may be added to the container while it holds the volume.
    pub exec: bool,
    /// Not from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The table in the head of [`deed`](super), field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub format: u64,
    pub version: u64,
    pub volume: VolumeId,
    pub name: VolumeName,
    pub tenant_key: PublicKey,
    pub created: Timestamp,
    pub size: ByteSize,
    pub filesystem: Filesystem,
    pub access: Access,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    pub grants: Vec<DeedGrant>,
    pub(crate) key: KeyRecord,
    /// The key before, while the store is encrypted anew under the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_before: Option<KeyRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Hex32>,
}

/// The field `key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    pub(crate) commitment: Hex32,
    pub(crate) binding: Hex32,
    pub(crate) recipients: Vec<String>,
    pub(crate) wrapped: String,
}

impl Document for Deed {
    const TYPE: &'static str = "application/vnd.cofferdam.deed+json";
    const NAME: &'static str = "deed";
    const REFUSED: ErrorKind = ErrorKind::Corrupt;
    type Record = Record;
    type Claims = DeedClaims;

    fn record(&self) -> &Record {
        &self.record
    }

    fn of_record(record: Record) -> Result<Self> {
        match contradiction(&record) {
            None => Ok(Deed { record }),
            Some(what) => Err(contradicts(&record, &what)),
        }
    }

    fn claims(record: Record) -> DeedClaims {
        DeedClaims {
            volume: record.volume,
            name: record.name,
            tenant_key: record.tenant_key.verifying(),
            version: record.version,
        }
    }
}

fn contradicts(record: &Record, what: &str) -> Problem {
    refused::<Deed>(format!("the deed of {} cannot be: {what}", record.name))
}

/// Why these fields cannot be a deed's.
fn contradiction(record: &Record) -> Option<String> {
    if record.format != FORMAT {
        return Some(format!("its format is {}", record.format));
    }
    if !(1..=VERSION_MAX).contains(&record.version) {
        return Some(format!("its version is {}", record.version));
    }
    if (record.version == 1) != record.previous.is_none() {
        return Some("the first version, and only that, has none before it".to_owned());
    }
    if record.size.get() == 0 {
        return Some("the volume's size is 0".to_owned());
    }
    let unsorted = record
        .grants
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if order(a) >= order(b)));
    if let Some([one, other]) = unsorted {
        return Some(format!(
            "its grants are not sorted or one app has two: {}, {}",
            one.app, other.app
        ));
    }
    let keys = [Some(&record.key), record.key_before.as_ref()];
    keys.into_iter().flatten().find_map(contradiction_of_key)
}

fn contradiction_of_key(key: &KeyRecord) -> Option<String> {
    let fits = |text: &String| {
        (1..=RECIPIENT_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    let distinct: BTreeSet<&String> = key.recipients.iter().collect();
    if distinct.len() != key.recipients.len() || !(1..=RECIPIENTS_MAX).contains(&distinct.len()) {
        return Some(format!(
            "its key needs 1 to {RECIPIENTS_MAX} recipients, none twice"
        ));
    }
    if !key.recipients.iter().all(fits) {
        return Some(format!(
            "a recipient is not 1 to {RECIPIENT_MAX} characters of printable ASCII"
        ));
    }
    if !(1..=WRAPPED_MAX).contains(&key.wrapped.len()) {
        return Some(format!("its wrapped key is not 1 to {WRAPPED_MAX} bytes long"));
    }
    None
}

/// By what grants are sorted: the bytes of the app's name as it is written.
pub(super) fn order(grant: &DeedGrant) -> String {
    grant.app.to_string()
}
