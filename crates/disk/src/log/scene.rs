//! A log for tests, and a store that forgets everything.

use super::{Action, Found, Haste, Log, Memory, map::Map, segments::Segments};
use crate::{
    format::head::{CheckpointAt, Head, Mark},
    geometry::{Geometry, Lsn, MIN_SEGMENT, SegmentName, TAG},
    keys::Ring,
};
use cofferdam_vault::{Suite, VolumeKey};
use std::sync::Arc;

const NOTHING: Mark = Mark {
    lsn: Lsn(0),
    tag: [0; TAG],
};

/// A new volume's.
pub(super) fn log(blocks: u64, buffers: usize) -> Log {
    log_of(Geometry::new(blocks, MIN_SEGMENT, 512).unwrap(), buffers)
}

/// A new volume's of this geometry.
pub(super) fn log_of(geometry: Geometry, buffers: usize) -> Log {
    let blocks = geometry.blocks;
    let key = Arc::new(VolumeKey::take(&mut [7; 32]).unwrap());
    let keys = Ring::from(key);
    let segment = SegmentName {
        epoch: 0,
        sequence: 0,
    };
    let found = Found {
        head: Head {
            suite: Suite::Aes256Gcm,
            geometry,
            clean: false,
            volume: [1; 16],
            epoch: 1,
            generation: 0,
            next_sequence: 1,
            checkpoint: CheckpointAt {
                segment,
                offset: 0,
                bytes: 0,
                mark: NOTHING,
            },
            end: NOTHING,
            rotation: None,
        },
        map: Map::new(blocks, &[], 100),
        segments: Segments::new(geometry, [1; 16], Suite::Aes256Gcm, keys.clone()),
        last: NOTHING,
        next_sequence: 1,
        unproven: Vec::new(),
    };
    Log::resume(keys, found, Memory { buffers, pages: 100 }, None)
}

/// Does one action on a store that forgets everything.
pub(super) fn act(log: &mut Log, haste: Haste) -> bool {
    if log.wants_salt() {
        log.offer_salt([3; 32]);
    }
    match log.next_action(haste).unwrap() {
        None => return false,
        Some(Action::Make { slot, .. }) => log.made(slot, true),
        Some(Action::Append { lsn, buffer, .. }) => log.appended(lsn, buffer),
        Some(Action::Sync { upto, .. }) => log.synced(upto),
        Some(Action::ReplaceHead { .. }) => log.head_replaced().unwrap(),
        Some(Action::Delete { slot, .. }) => log.deleted(slot),
    }
    true
}
