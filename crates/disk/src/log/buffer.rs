//! Memory for records: a fixed number of aligned buffers, taken once and used again.

use crate::geometry::RECORD_BUFFER;

/// What the memory of a direct write must begin at a multiple of.
pub(crate) const BUFFER_ALIGN: usize = 4096;

/// 1 MiB that begins at a page.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buffer")
    }
}

impl Buffer {
    /// Fresh memory, zeroed.
    pub fn new() -> Self {
        Self::with_capacity(RECORD_BUFFER)
    }

    /// Fresh memory of another size, zeroed.
    pub fn with_capacity(bytes: usize) -> Self {
        let bytes = vec![0; bytes + BUFFER_ALIGN];
        // On the platforms that there are, this is never usize::MAX: bytes have every alignment.
        let start = bytes.as_ptr().align_offset(BUFFER_ALIGN).min(BUFFER_ALIGN);
        Buffer { bytes, start }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(self.start..self.start + self.bytes.len() - BUFFER_ALIGN)
            .unwrap_or_default()
    }

    /// All of it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.bytes.len() - BUFFER_ALIGN;
        self.bytes
            .get_mut(self.start..self.start + length)
            .unwrap_or_default()
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Buffers that wait for use.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Vec<Buffer>,
    #[cfg(feature = "judge")]
    total: usize,
}

impl Pool {
    pub(crate) fn new(count: usize) -> Self {
        let count = count.max(2);
        Pool {
            free: (0..count).map(|_| Buffer::new()).collect(),
            #[cfg(feature = "judge")]
            total: count,
        }
    }

    pub(crate) fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    pub(crate) fn give_back(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// How many wait for use.
    #[cfg(feature = "judge")]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// How many there are.
    #[cfg(feature = "judge")]
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_page_and_are_whole() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.bytes().as_ptr().align_offset(BUFFER_ALIGN), 0);
        assert_eq!(buffer.bytes_mut().len(), RECORD_BUFFER);
    }
}
