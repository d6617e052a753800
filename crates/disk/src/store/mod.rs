//! Where segments and the head lie. [`Store`] is what the engine needs of it; [`Directory`] is the one for a
//! directory of a filesystem.

mod around;
mod claim;
mod directory;
mod handles;
mod head_file;
mod pace;
mod spares;

pub use claim::Claim;
pub use directory::{Access, Directory};
pub use pace::time_of_sync;

use crate::geometry::SegmentName;
use std::io;

/// A place for segments and one head.
///
/// Nothing here is trusted: whatever a store answers is verified above. What it must do is keep what was synced.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Makes a segment of `bytes` bytes that begins with `header`; its space is reserved, its name on stable storage.
    ///
    /// # Errors
    /// `StorageFull` where there is no room; others as the store has them.
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()>;

    /// Writes at an offset of a segment. Offset and length are multiples of the alignment, the memory begins at a page.
    ///
    /// # Errors
    /// As the store has them. The bytes may have been written in part.
    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()>;

    /// Brings everything that was written to a segment to stable storage.
    ///
    /// # Errors
    /// As the store has them; then nothing is known of what was written since the last sync.
    fn sync(&self, name: SegmentName) -> io::Result<()>;

    /// Reads `length` bytes at an offset of a segment into `memory`, which must have room for 8 KiB more; answers
    /// where in it they begin.
    ///
    /// # Errors
    /// `NotFound` where there is no such segment, `UnexpectedEof` where it is too short; others as the store has them.
    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize>;

    /// Deletes a segment; one that is not there is no error. Where fewer than `spares` files wait to be used again, its
    /// file may be one of them.
    ///
    /// # Errors
    /// As the store has them.
    fn delete(&self, name: SegmentName, spares: usize) -> io::Result<()>;

    /// Gives back what is kept for speed alone, but for so many spare files: nothing has happened for a while.
    fn shrink(&self, _spares: usize) {}

    /// All segments.
    ///
    /// # Errors
    /// As the store has them.
    fn list(&self) -> io::Result<Vec<SegmentName>>;

    /// The head, where there is one.
    ///
    /// # Errors
    /// As the store has them.
    fn head(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the head on stable storage, whole or not at all, if it is `expected` (none: if there is none). Answers
    /// whether it was.
    ///
    /// # Errors
    /// As the store has them; then the head is the old one or the new one.
    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool>;

    /// Whether the head is still the one that this store last read or put there. Cheap: asked at every flush.
    ///
    /// # Errors
    /// As the store has them.
    fn head_is_ours(&self) -> io::Result<bool>;
}
