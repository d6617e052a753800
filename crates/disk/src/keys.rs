//! Which key is whose: the head's, each segment's. A volume has one key; while it is rotated, two.
//!
//! A rotation begins with one replacement of the head: from then on the head is under the new key, and so is every segment
//! whose sequence is not below the one that the head names. Those below are under the previous key, until cleaning has moved all
//! that is alive in them and the head no longer speaks of them.

use crate::{
    fault::{Fault, Outcome},
    geometry::SegmentName,
};
use cofferdam_vault::VolumeKey;
use std::sync::Arc;

/// The keys with which a volume is opened.
#[derive(Debug, Clone)]
pub struct Keys {
    key: Arc<VolumeKey>,
    previous: Option<Arc<VolumeKey>>,
    begun: bool,
}

impl From<VolumeKey> for Keys {
    fn from(key: VolumeKey) -> Self {
        Keys {
            key: Arc::new(key),
            previous: None,
            begun: false,
        }
    }
}

impl Keys {
    /// The keys of a volume that is rotated from `previous` to `key`. Where it is known to have `begun`, a head under the
    /// previous key is an older one; where it is not, opening begins it.
    pub fn rotating(key: VolumeKey, previous: VolumeKey, begun: bool) -> Self {
        Keys {
            key: Arc::new(key),
            previous: Some(Arc::new(previous)),
            begun,
        }
    }

    /// Which of them a head with this commitment is under.
    ///
    /// # Errors
    /// [`Fault::WrongKey`].
    pub(crate) fn of_head(&self, volume: &[u8; 16], commitment: &[u8; 32]) -> Outcome<&Arc<VolumeKey>> {
        [Some(&self.key), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.commitment(volume) == *commitment)
            .ok_or(Fault::WrongKey)
    }

    /// What lies under which key, by a head that is verified: it is under `key`, its rotation is this, with this commitment to the
    /// key before.
    ///
    /// # Errors
    /// [`Fault::WrongKey`], [`Fault::PreviousKey`] where that is missing, [`Fault::Corrupt`] where the head is older than the
    /// rotation.
    pub(crate) fn ring(
        &self,
        key: &Arc<VolumeKey>,
        volume: &[u8; 16],
        rotation: Option<u64>,
        before: &[u8; 32],
    ) -> Outcome<Ring> {
        let alone = Ring::from(Arc::clone(key));
        if !Arc::ptr_eq(key, &self.key) {
            return match rotation {
                // It would be under three.
                Some(_) => Err(Fault::WrongKey),
                None if self.begun => Err(Fault::corrupt(
                    "the head",
                    "it is under the key that the volume had before; an older head has been put back",
                )),
                None => Ok(alone),
            };
        }
        match (rotation, &self.previous) {
            (None, _) => Ok(alone),
            (Some(_), None) => Err(Fault::PreviousKey),
            (Some(_), Some(previous)) if previous.commitment(volume) != *before => Err(Fault::WrongKey),
            (Some(below), Some(previous)) => Ok(Ring {
                previous: Some(Previous {
                    key: Arc::clone(previous),
                    below,
                }),
                ..alone
            }),
        }
    }

    /// The key that the volume is still to be rotated to, where the head is not under it.
    pub(crate) fn wanted(&self, ring: &Ring) -> Option<Arc<VolumeKey>> {
        (!Arc::ptr_eq(&self.key, &ring.key)).then(|| Arc::clone(&self.key))
    }
}

/// The key of the head, and of each segment.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    key: Arc<VolumeKey>,
    previous: Option<Previous>,
}

#[derive(Debug, Clone)]
struct Previous {
    key: Arc<VolumeKey>,
    /// The first sequence that is under the other key.
    below: u64,
}

impl Ring {
    /// The volume's key, which is the head's.
    pub(crate) fn key(&self) -> &VolumeKey {
        &self.key
    }

    /// The key of a segment.
    pub(crate) fn of(&self, name: SegmentName) -> &VolumeKey {
        match &self.previous {
            Some(previous) if name.sequence < previous.below => &previous.key,
            _ => &self.key,
        }
    }

    /// The key before this one, while something is under it.
    pub(crate) fn previous(&self) -> Option<&VolumeKey> {
        self.previous.as_ref().map(|previous| &*previous.key)
    }

    /// With another key for everything from this sequence on.
    pub(crate) fn turned(&self, key: Arc<VolumeKey>, below: u64) -> Self {
        Ring {
            key,
            previous: Some(Previous {
                key: Arc::clone(&self.key),
                below,
            }),
        }
    }

    /// Without the previous key, which nothing is under any more.
    pub(crate) fn alone(&self) -> Self {
        Ring {
            key: Arc::clone(&self.key),
            previous: None,
        }
    }
}

impl From<Arc<VolumeKey>> for Ring {
    fn from(key: Arc<VolumeKey>) -> Self {
        Ring { key, previous: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [3; 16];

    fn key(byte: u8) -> VolumeKey {
        VolumeKey::take(&mut [byte; 32]).unwrap()
    }

    fn commitment(byte: u8) -> [u8; 32] {
        key(byte).commitment(&ID)
    }

    fn fit(keys: &Keys, head: u8, rotation: Option<u64>, before: u8) -> Outcome<Ring> {
        let key = keys.of_head(&ID, &commitment(head))?;
        keys.ring(key, &ID, rotation, &commitment(before))
    }

    #[test]
    fn each_segment_has_the_key_that_its_number_says() {
        let ring = fit(&Keys::rotating(key(2), key(1), true), 2, Some(7), 1).unwrap();
        let of = |sequence| ring.of(SegmentName { epoch: 1, sequence }).commitment(&ID);
        assert_eq!((of(6), of(7)), (commitment(1), commitment(2)));
        assert_eq!(
            ring.alone()
                .of(SegmentName {
                    epoch: 1,
                    sequence: 6
                })
                .commitment(&ID),
            commitment(2)
        );
    }

    #[test]
    fn a_rotation_that_has_not_begun_is_wanted_and_one_that_has_does_not_go_back() {
        let waits = Keys::rotating(key(2), key(1), false);
        let ring = fit(&waits, 1, None, 0).unwrap();
        assert!(waits.wanted(&ring).is_some());
        let ring = fit(&waits, 2, Some(7), 1).unwrap();
        assert!(waits.wanted(&ring).is_none());
        let begun = Keys::rotating(key(2), key(1), true);
        assert!(matches!(fit(&begun, 1, None, 0), Err(Fault::Corrupt { .. })));
    }

    #[test]
    fn keys_that_do_not_fit_are_refused() {
        let both = Keys::rotating(key(2), key(1), false);
        assert!(matches!(fit(&both, 3, None, 0), Err(Fault::WrongKey)));
        assert!(matches!(fit(&both, 2, Some(7), 3), Err(Fault::WrongKey)));
        // A head that is under the key before, and speaks of yet another one.
        assert!(matches!(fit(&both, 1, Some(7), 3), Err(Fault::WrongKey)));
        assert!(matches!(
            fit(&Keys::from(key(2)), 2, Some(7), 1),
            Err(Fault::PreviousKey)
        ));
        assert!(matches!(
            fit(&Keys::from(key(2)), 1, None, 0),
            Err(Fault::WrongKey)
        ));
    }
}
