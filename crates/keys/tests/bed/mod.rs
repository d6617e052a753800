//! What the tests share: hosts, keys to wrap, and a provider in a drawer.
#![allow(dead_code, reason = "not every test uses all of it")]

use cofferdam_keys::{FileKey, HostIdentity, Identities, Provider, Providers, Recipient};
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use std::path::Path;
use std::sync::Mutex;

/// A host that was just set up.
pub(crate) fn host() -> Identities {
    let directory = tempfile::tempdir().unwrap();
    Identities::of(HostIdentity::make(&directory.path().join("identity")).unwrap())
}

/// What a host is known by.
pub(crate) fn recipient(host: &Identities) -> Recipient {
    host.host().recipient().clone()
}

/// A volume key of bytes that do not repeat.
pub(crate) fn key() -> VolumeKey {
    VolumeKey::take(&mut std::array::from_fn(|index| index as u8 ^ 0xa5)).unwrap()
}

/// The bytes of a volume key.
pub(crate) fn bytes(key: &VolumeKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes).unwrap();
    bytes
}

/// A file of one's own that nobody else may touch.
pub(crate) fn secret_file(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A provider that keeps file keys itself and gives out where they lie.
#[derive(Default)]
pub(crate) struct Drawer {
    pub(crate) keys: Mutex<Vec<(String, [u8; 16])>>,
    pub(crate) stuck: bool,
}

impl Provider for Drawer {
    fn scheme(&self) -> &str {
        "pkcs11"
    }

    fn wrap(&self, reference: &str, file_key: &FileKey) -> Result<Vec<u8>> {
        let mut keys = self.keys.lock().unwrap();
        keys.push((reference.to_owned(), *file_key.as_bytes()));
        Ok(vec![keys.len() as u8 - 1])
    }

    fn unwrap(&self, reference: &str, wrapped: &[u8]) -> Result<Option<FileKey>> {
        if self.stuck {
            return Err(Problem::unavailable("the drawer is stuck"));
        }
        let keys = self.keys.lock().unwrap();
        let found = wrapped.first().and_then(|place| keys.get(usize::from(*place)));
        match found.filter(|(owner, _)| owner == reference) {
            Some((_, key)) => FileKey::take(&mut key.clone()).map(Some),
            None => Ok(None),
        }
    }
}

/// A drawer as the only provider.
pub(crate) fn drawer() -> Providers {
    Providers::none().with(Box::new(Drawer::default())).unwrap()
}
