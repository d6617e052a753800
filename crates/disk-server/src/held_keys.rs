//! The keys that workers are started with, as the supervisor holds them: one, or two while the volume is rotated.

use cofferdam_disk::Keys;
use cofferdam_vault::VolumeKey;
use std::{fs::File, io, os::fd::OwnedFd};

/// See the module.
#[derive(Debug)]
pub(crate) struct HeldKeys {
    key: VolumeKey,
    previous: Option<VolumeKey>,
    begun: bool,
}

impl HeldKeys {
    /// One key, or that of a rotation and the one before it.
    pub(crate) fn new(key: VolumeKey, previous: Option<VolumeKey>, begun: bool) -> Self {
        HeldKeys { key, previous, begun }
    }

    /// Reads what [`Self::hand_over`] wrote.
    ///
    /// # Errors
    /// As [`VolumeKey::read`].
    pub(crate) fn read(source: OwnedFd, rotation: Option<bool>) -> io::Result<Self> {
        let source = File::from(source);
        match rotation {
            None => Ok(Self::new(VolumeKey::read(source)?, None, false)),
            Some(begun) => {
                let (key, previous) = VolumeKey::read_two(source)?;
                Ok(Self::new(key, Some(previous), begun))
            }
        }
    }

    /// Writes them out: for a worker alone.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn hand_over(&self, sink: &File) -> io::Result<()> {
        self.key.write(sink)?;
        self.previous
            .as_ref()
            .map_or(Ok(()), |previous| previous.write(sink))
    }

    /// Whether there are two, and then whether the volume has said that it is under the new one.
    pub(crate) fn rotation(&self) -> Option<bool> {
        self.previous.as_ref().map(|_| self.begun)
    }

    /// Whether this is the volume's key already.
    pub(crate) fn has(&self, key: &VolumeKey) -> bool {
        self.key.is_same(key)
    }

    /// From here on the volume is to be under this key.
    pub(crate) fn rotate(&mut self, key: VolumeKey) {
        self.previous = Some(std::mem::replace(&mut self.key, key));
        self.begun = false;
    }

    /// The volume is under the new key.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// Nothing is under the key before, which is wiped.
    pub(crate) fn end_rotation(&mut self) {
        self.previous = None;
    }

    /// As the engine takes them.
    pub(crate) fn into_keys(self) -> Keys {
        match self.previous {
            None => self.key.into(),
            Some(previous) => Keys::rotating(self.key, previous, self.begun),
        }
    }
}
