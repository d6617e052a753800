//! What each test stands on.

use e2e::{
    Outcome,
    disk::{Place, Volume},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Against hangs only.
const LIMIT: Duration = Duration::from_secs(420);

/// The program under test.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cofferdam-disk"))
}

/// Runs a test in a place of its own.
pub(crate) fn alone(test: impl FnOnce(&Place) -> Outcome + Send + 'static) {
    if let Err(failure) = Place::with(Path::new(env!("CARGO_TARGET_TMPDIR")), LIMIT, test) {
        panic!("{failure}");
    }
}

/// A new volume with an ext4 on it.
pub(crate) fn volume(place: &Place, size: &str) -> Outcome<Volume> {
    Volume::create(place, &program(), size)
}
