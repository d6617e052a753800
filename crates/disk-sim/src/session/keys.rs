//! The keys of a simulated volume, as whoever keeps them remembers them: written down before the volume hears of them.

use crate::Wrong;
use cofferdam_disk::Keys;
use cofferdam_vault::VolumeKey;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyState {
    /// The volume's key: 32 times this.
    key: u8,
    /// That of the one before it, while it is needed.
    previous: Option<u8>,
    /// Whether the volume has said that it is under the new key.
    begun: bool,
}

impl Default for KeyState {
    fn default() -> Self {
        KeyState {
            key: 7,
            previous: None,
            begun: false,
        }
    }
}

impl KeyState {
    /// The volume's key.
    ///
    /// # Errors
    /// No locked memory.
    pub fn key(self) -> Result<VolumeKey, Wrong> {
        key_of(self.key)
    }

    /// What the volume is opened with.
    ///
    /// # Errors
    /// No locked memory.
    pub fn keys(self) -> Result<Keys, Wrong> {
        match self.previous {
            None => self.key().map(Keys::from),
            Some(previous) => Ok(Keys::rotating(self.key()?, key_of(previous)?, self.begun)),
        }
    }

    /// Whether a rotation is not over.
    pub fn is_rotating(self) -> bool {
        self.previous.is_some()
    }

    /// With another key.
    pub(super) fn next(self) -> Self {
        KeyState {
            key: self.key.wrapping_add(1),
            previous: Some(self.key),
            begun: false,
        }
    }

    /// The volume is under the new key.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// Nothing is under the key before.
    pub(super) fn end(&mut self) {
        self.previous = None;
    }
}

fn key_of(byte: u8) -> Result<VolumeKey, Wrong> {
    VolumeKey::take(&mut [byte; 32]).map_err(|error| Wrong::new(error.to_string()))
}
