//! An answer's bytes. Small ones have a fixed size and live on the stack: no memory is asked for while a disk is served.

use super::TRANSFER_MAX;
use super::request::InitFlags;

/// Length of `struct fuse_out_header`.
pub const HEADER_LENGTH: usize = 16;

/// The longest small answer: `struct fuse_entry_out`.
const LONGEST: usize = 128;

/// The newest revision of protocol 7 whose structures these are; the kernel takes the lower of both.
const MINOR: u32 = 40;

/// How long the kernel may believe names and attributes, in seconds: they never change.
const FOR_EVER: u64 = u32::MAX as u64;

/// `struct fuse_out_header` before `body` more bytes; `error` is an errno, 0 for success.
#[must_use]
pub fn header(unique: u64, error: i32, body: usize) -> [u8; HEADER_LENGTH] {
    let length = u32::try_from(HEADER_LENGTH.saturating_add(body)).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_ne_bytes();
    let [e, f, g, h] = error.saturating_neg().to_ne_bytes();
    let [i, j, k, l, m, n, o, p] = unique.to_ne_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// What an INIT answer settles besides the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests of asynchronous I/O that the kernel hands out at the same time.
    pub background: u16,
    /// Seconds after which the kernel ends the connection for a request that is not answered, looking every 15 seconds.
    /// Read only with [`InitFlags::REQUEST_TIMEOUT`].
    pub answer_within: u16,
}

/// How the kernel treats an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFlags(u32);

impl OpenFlags {
    /// No page cache; reads and writes arrive as they were made.
    pub const DIRECT_IO: Self = Self(1);
    /// Direct writes that do not lengthen the file may run at the same time (Linux 6.2; older kernels ignore it).
    pub const PARALLEL_DIRECT_WRITES: Self = Self(1 << 6);

    /// All flags that are in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What the kernel is told about a node. It belongs to root and to nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Its number.
    pub node: u64,
    /// Bytes.
    pub size: u64,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
}

/// What follows an answer's header.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Body {
    /// Nothing: success without a word.
    #[must_use]
    pub const fn empty() -> Self {
        Body {
            bytes: [0; LONGEST],
            length: 0,
        }
    }

    /// `struct fuse_init_out`, for transfers of up to [`TRANSFER_MAX`].
    #[must_use]
    pub fn init(flags: InitFlags, limits: Limits) -> Self {
        let (low, high) = flags.words();
        let transfer = u32::try_from(TRANSFER_MAX).unwrap_or(u32::MAX);
        let pages = u16::try_from(TRANSFER_MAX / 4096).unwrap_or(u16::MAX);
        Body::empty()
            .u32(7)
            .u32(MINOR)
            .u32(transfer) // read-ahead, which direct I/O does not use
            .u32(low)
            .u16(limits.background)
            .u16(limits.background)
            .u32(transfer)
            .u32(1) // granularity of times
            .u16(pages)
            .u16(0) // alignment of mappings
            .u32(high)
            .u32(0) // stacked filesystems
            .u16(limits.answer_within)
            .zeroes(22)
    }

    /// `struct fuse_entry_out`.
    #[must_use]
    pub fn entry(attributes: Attributes) -> Self {
        Body::empty()
            .u64(attributes.node)
            .u64(0) // generation
            .u64(FOR_EVER)
            .u64(FOR_EVER)
            .zeroes(8)
            .attributes_of(attributes)
    }

    /// `struct fuse_attr_out`.
    #[must_use]
    pub fn attributes(attributes: Attributes) -> Self {
        Body::empty().u64(FOR_EVER).zeroes(8).attributes_of(attributes)
    }

    /// `struct fuse_open_out`.
    #[must_use]
    pub fn opened(flags: OpenFlags) -> Self {
        Body::empty().u64(0).u32(flags.0).u32(0)
    }

    /// `struct fuse_write_out`.
    #[must_use]
    pub fn written(length: u32) -> Self {
        Body::empty().u32(length).u32(0)
    }

    /// `struct fuse_statfs_out` of a full filesystem of `blocks` blocks of `block_size` bytes.
    #[must_use]
    pub fn statfs(blocks: u64, block_size: u32) -> Self {
        Body::empty()
            .u64(blocks)
            .zeroes(32) // free blocks, files
            .u32(block_size)
            .u32(255) // longest name
            .u32(block_size)
            .zeroes(28)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// `struct fuse_attr`.
    fn attributes_of(self, attributes: Attributes) -> Self {
        self.u64(attributes.node)
            .u64(attributes.size)
            .u64(attributes.size / 512)
            .zeroes(36) // times
            .u32(attributes.mode)
            .u32(1) // links
            .zeroes(12) // owner, group, device
            .u32(4096)
            .u32(0)
    }

    fn u16(self, value: u16) -> Self {
        self.append(&value.to_ne_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.append(&value.to_ne_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.append(&value.to_ne_bytes())
    }

    fn zeroes(self, count: usize) -> Self {
        Body {
            length: self.length.saturating_add(count),
            ..self
        }
    }

    fn append(mut self, more: &[u8]) -> Self {
        let end = self.length.saturating_add(more.len());
        debug_assert!(end <= LONGEST, "a small answer is too long");
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(more);
        }
        self.length = end;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_their_structures_lengths() {
        let node = Attributes {
            node: 2,
            size: 4096,
            mode: 0o100_600,
        };
        let init = Body::init(
            InitFlags::ASYNC_READ,
            Limits {
                background: 9,
                answer_within: 120,
            },
        );
        for (body, length) in [
            (Body::empty(), 0),
            (init, 64),
            (Body::entry(node), 128),
            (Body::attributes(node), 104),
            (Body::opened(OpenFlags::DIRECT_IO), 16),
            (Body::written(4096), 8),
            (Body::statfs(7, 4096), 80),
        ] {
            assert_eq!(body.as_bytes().len(), length);
        }
    }

    #[test]
    fn fields_lie_where_the_kernel_reads_them() {
        let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        let init = Body::init(
            InitFlags::HAS_RESEND,
            Limits {
                background: 9,
                answer_within: 120,
            },
        );
        let init = init.as_bytes();
        assert_eq!((word(init, 0), word(init, 4)), (7, MINOR));
        assert_eq!(word(init, 12), 1 << 30, "flags: INIT_EXT");
        assert_eq!(
            word(init, 16),
            9 << 16 | 9,
            "max_background, congestion_threshold"
        );
        assert_eq!(word(init, 20), 1 << 20, "max_write");
        assert_eq!(word(init, 28), 256, "max_pages");
        assert_eq!(word(init, 32), 1 << 7, "flags2");
        assert_eq!(word(init, 40), 120, "request_timeout");
        let entry = Body::entry(Attributes {
            node: 2,
            size: 8192,
            mode: 0o100_600,
        });
        let entry = entry.as_bytes();
        assert_eq!((word(entry, 0), word(entry, 40)), (2, 2), "node and inode");
        assert_eq!((word(entry, 48), word(entry, 56)), (8192, 16), "size and blocks");
        assert_eq!(
            (word(entry, 100), word(entry, 104)),
            (0o100_600, 1),
            "mode and links"
        );
        assert_eq!(word(entry, 120), 4096, "block size");
        let statfs = Body::statfs(7, 4096);
        assert_eq!(
            (word(statfs.as_bytes(), 0), word(statfs.as_bytes(), 40)),
            (7, 4096)
        );
    }

    #[test]
    fn a_header_carries_length_error_and_number() {
        let bytes = header(0x1122_3344_5566_7788, 5, 4096);
        assert_eq!(bytes[..4], 4112_u32.to_ne_bytes());
        assert_eq!(bytes[4..8], (-5_i32).to_ne_bytes());
        assert_eq!(bytes[8..], 0x1122_3344_5566_7788_u64.to_ne_bytes());
    }
}
