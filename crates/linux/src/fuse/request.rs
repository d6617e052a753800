//! Bytes from the kernel → a request. Lengths are checked against the header and against what each request
//! has; nothing is trusted to be there.

/// Length of `struct fuse_in_header`.
const HEADER: usize = 40;

/// How many bytes come before a WRITE's data: `struct fuse_in_header` and `struct fuse_write_in`. Whoever reads
/// requests to so many bytes before a page boundary has the data at the boundary.
pub const WRITE_HEADER_LENGTH: usize = HEADER + 40;

/// `FUSE_INIT_EXT`: the second word of flags is there too.
const INIT_EXT: u64 = 1 << 30;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The number that its answer must carry.
    pub unique: u64,
    /// The file or directory that it is about.
    pub node: u64,
    /// What is wanted.
    pub operation: Operation<'a>,
}

/// What a request wants. Lengths and offsets are bytes, as the kernel sent them: in no way checked against a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// The first request of a connection.
    Init {
        /// The kernel's protocol version, 7 so far.
        major: u32,
        /// Its revision.
        minor: u32,
        /// What the kernel can do.
        flags: InitFlags,
    },
    /// Which node has this name in the directory.
    Lookup {
        /// Without the zero at its end.
        name: &'a [u8],
    },
    /// A node's attributes.
    GetAttributes,
    /// Open the file.
    Open,
    /// Bytes of the file.
    Read {
        /// From here.
        offset: u64,
        /// So many.
        length: u32,
    },
    /// New bytes for the file.
    Write {
        /// From here.
        offset: u64,
        /// These.
        data: &'a [u8],
    },
    /// Everything answered before this must survive a loss of power.
    Fsync,
    /// One descriptor of an open file was closed; no request to store anything.
    Flush,
    /// fallocate(2).
    Allocate {
        /// From here.
        offset: u64,
        /// So many bytes.
        length: u64,
        /// `FALLOC_FL_*`.
        mode: u32,
    },
    /// The open file is closed.
    Release,
    /// Size and free space.
    StatFs,
    /// The kernel forgets a node, or many. Has no answer.
    Forget,
    /// The request with this number need not be answered any more; answering it is right too.
    Interrupt {
        /// Its number.
        unique: u64,
    },
    /// The last request of a connection.
    Destroy,
    /// Any other, by its number.
    Other(u32),
}

/// What the kernel offers at INIT, and what an answer takes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InitFlags(u64);

impl InitFlags {
    /// Reads of one file at the same time.
    pub const ASYNC_READ: Self = Self(1);
    /// Writes of more than a page.
    pub const BIG_WRITES: Self = Self(1 << 5);
    /// Direct I/O that is submitted and waited for later (io_submit(2), the loop device).
    pub const ASYNC_DIRECT_IO: Self = Self(1 << 15);
    /// The answer names the largest transfer.
    pub const MAX_PAGES: Self = Self(1 << 22);
    /// Unanswered requests can be asked for again (`FUSE_NOTIFY_RESEND`, Linux 6.9).
    pub const HAS_RESEND: Self = Self(1 << 39);
    /// The kernel ends a connection that leaves a request unanswered for too long ([`super::Limits::answer_within`], Linux 6.14).
    pub const REQUEST_TIMEOUT: Self = Self(1 << 42);

    /// All flags that are in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// All flags that are in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other`'s are here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The two words of an INIT answer. The second is read only where the first says so.
    pub(super) const fn words(self) -> (u32, u32) {
        let all = if self.0 >> 32 == 0 {
            self.0
        } else {
            self.0 | INIT_EXT
        };
        (all as u32, (all >> 32) as u32)
    }
}

/// Bytes that are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Its number where at least the header could be read: it can be refused then, and the caller does not wait for ever.
    pub unique: Option<u64>,
}

impl<'a> Request<'a> {
    /// Takes one request apart. `bytes` is all that one read from the device returned.
    ///
    /// # Errors
    /// [`Malformed`] where a length does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(bytes);
        let header = Header::parse(&mut fields).ok_or(Malformed { unique: None })?;
        let malformed = Malformed {
            unique: Some(header.unique),
        };
        if usize::try_from(header.length) != Ok(bytes.len()) || header.extension != 0 {
            return Err(malformed);
        }
        let operation = operation(header.opcode, fields).ok_or(malformed)?;
        Ok(Request {
            unique: header.unique,
            node: header.node,
            operation,
        })
    }
}

/// What is used of `struct fuse_in_header`.
struct Header {
    length: u32,
    opcode: u32,
    unique: u64,
    node: u64,
    extension: u16,
}

impl Header {
    fn parse(fields: &mut Fields<'_>) -> Option<Self> {
        let header = Header {
            length: fields.u32()?,
            opcode: fields.u32()?,
            unique: fields.u64()?,
            node: fields.u64()?,
            extension: {
                fields.skip(12)?; // uid, gid, pid
                fields.u16()?
            },
        };
        fields.skip(2)?;
        Some(header)
    }
}

/// The part after the header, by the request's number (`enum fuse_opcode`).
fn operation(opcode: u32, mut fields: Fields<'_>) -> Option<Operation<'_>> {
    let operation = match opcode {
        1 => return lookup(fields),
        2 => {
            fields.skip(8)?;
            Operation::Forget
        }
        3 => {
            fields.skip(16)?;
            Operation::GetAttributes
        }
        14 => {
            fields.skip(8)?;
            Operation::Open
        }
        15 => read(&mut fields)?,
        16 => return write(fields),
        17 => Operation::StatFs,
        18 => {
            fields.skip(24)?;
            Operation::Release
        }
        20 => {
            fields.skip(16)?;
            Operation::Fsync
        }
        25 => {
            fields.skip(24)?;
            Operation::Flush
        }
        26 => return init(fields),
        36 => Operation::Interrupt {
            unique: fields.u64()?,
        },
        38 => Operation::Destroy,
        42 => {
            let count = usize::try_from(fields.u32()?).ok()?;
            fields.skip(4)?;
            fields.skip(count.checked_mul(16)?)?;
            Operation::Forget
        }
        43 => allocate(&mut fields)?,
        other => return Some(Operation::Other(other)),
    };
    fields.0.is_empty().then_some(operation)
}

fn lookup(fields: Fields<'_>) -> Option<Operation<'_>> {
    let name = fields.0.strip_suffix(&[0])?;
    (!name.contains(&0)).then_some(Operation::Lookup { name })
}

/// `struct fuse_read_in`.
fn read<'a>(fields: &mut Fields<'_>) -> Option<Operation<'a>> {
    fields.skip(8)?; // the open file's number
    let (offset, length) = (fields.u64()?, fields.u32()?);
    fields.skip(20)?; // flags, lock owner
    Some(Operation::Read { offset, length })
}

/// `struct fuse_write_in` and the data, of exactly the length that it states.
fn write(mut fields: Fields<'_>) -> Option<Operation<'_>> {
    fields.skip(8)?; // the open file's number
    let (offset, length) = (fields.u64()?, fields.u32()?);
    fields.skip(20)?; // flags, lock owner
    let data = fields.0;
    (usize::try_from(length) == Ok(data.len())).then_some(Operation::Write { offset, data })
}

/// `struct fuse_init_in`, which has grown twice; what is missing is zero.
fn init<'a>(mut fields: Fields<'_>) -> Option<Operation<'a>> {
    let (major, minor) = (fields.u32()?, fields.u32()?);
    fields.skip(4)?; // read-ahead
    let low = u64::from(fields.u32()?);
    let high = match low & INIT_EXT {
        0 => 0,
        _ => u64::from(fields.u32()?),
    };
    Some(Operation::Init {
        major,
        minor,
        flags: InitFlags(high << 32 | low),
    })
}

/// `struct fuse_fallocate_in`.
fn allocate<'a>(fields: &mut Fields<'_>) -> Option<Operation<'a>> {
    fields.skip(8)?; // the open file's number
    let (offset, length, mode) = (fields.u64()?, fields.u64()?, fields.u32()?);
    fields.skip(4)?;
    Some(Operation::Allocate { offset, length, mode })
}

/// Bytes that are still to be read; numbers have this machine's order of bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with a header that states its true length.
    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = Vec::new();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(opcode.to_ne_bytes());
        bytes.extend(77_u64.to_ne_bytes()); // unique
        bytes.extend(2_u64.to_ne_bytes()); // node
        bytes.extend([0; 16]); // uid, gid, pid, extension, padding
        bytes.extend(body);
        bytes
    }

    fn operation_of(bytes: &[u8]) -> Operation<'_> {
        Request::parse(bytes).unwrap().operation
    }

    /// `fuse_read_in` and `fuse_write_in` begin alike.
    fn transfer(offset: u64, length: u32) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.extend(offset.to_ne_bytes());
        body.extend(length.to_ne_bytes());
        body.extend([0; 20]);
        body
    }

    #[test]
    fn every_known_request_is_read() {
        let read = request(15, &transfer(8192, 4096));
        assert_eq!(
            Request::parse(&read).unwrap(),
            Request {
                unique: 77,
                node: 2,
                operation: Operation::Read {
                    offset: 8192,
                    length: 4096
                }
            }
        );
        let write = request(16, &[transfer(4096, 3), b"abc".to_vec()].concat());
        assert_eq!(write.len(), WRITE_HEADER_LENGTH + 3);
        assert_eq!(
            operation_of(&write),
            Operation::Write {
                offset: 4096,
                data: b"abc"
            }
        );
        assert_eq!(
            operation_of(&request(1, b"disk\0")),
            Operation::Lookup { name: b"disk" }
        );
        let mut punch = vec![0; 8];
        punch.extend(4096_u64.to_ne_bytes());
        punch.extend(12288_u64.to_ne_bytes());
        punch.extend(3_u32.to_ne_bytes());
        punch.extend([0; 4]);
        let expected = Operation::Allocate {
            offset: 4096,
            length: 12288,
            mode: 3,
        };
        assert_eq!(operation_of(&request(43, &punch)), expected);
        assert_eq!(
            operation_of(&request(36, &9_u64.to_ne_bytes())),
            Operation::Interrupt { unique: 9 }
        );
        for (opcode, length, expected) in [
            (2, 8, Operation::Forget),
            (3, 16, Operation::GetAttributes),
            (14, 8, Operation::Open),
            (17, 0, Operation::StatFs),
            (18, 24, Operation::Release),
            (20, 16, Operation::Fsync),
            (25, 24, Operation::Flush),
            (38, 0, Operation::Destroy),
            (22, 11, Operation::Other(22)),
        ] {
            assert_eq!(operation_of(&request(opcode, &vec![0; length])), expected);
        }
    }

    #[test]
    fn init_is_read_with_and_without_its_second_word() {
        let words = |flags: u32, more: &[u8]| {
            let mut body = Vec::new();
            for word in [7, 31, 0, flags] {
                body.extend(word.to_ne_bytes());
            }
            body.extend(more);
            request(26, &body)
        };
        let old = words(1, &[]);
        assert_eq!(
            operation_of(&old),
            Operation::Init {
                major: 7,
                minor: 31,
                flags: InitFlags::ASYNC_READ
            }
        );
        let new = words(1 << 30, &[&(1_u32 << 7).to_ne_bytes()[..], &[0; 44]].concat());
        let Operation::Init { flags, .. } = operation_of(&new) else {
            panic!("not an INIT");
        };
        assert!(flags.contains(InitFlags::HAS_RESEND));
        assert!(!flags.contains(InitFlags::ASYNC_READ));
        assert!(
            Request::parse(&words(1 << 30, &[])).is_err(),
            "the second word is announced and missing"
        );
    }

    #[test]
    fn flags_above_the_first_word_announce_themselves() {
        assert_eq!(InitFlags::ASYNC_READ.words(), (1, 0));
        let (low, high) = InitFlags::HAS_RESEND.with(InitFlags::ASYNC_READ).words();
        assert_eq!((low, high), (1 | 1 << 30, 1 << 7));
        assert_eq!(
            InitFlags::HAS_RESEND.both(InitFlags::ASYNC_READ),
            InitFlags::default()
        );
    }

    #[test]
    fn a_request_that_is_cut_anywhere_is_malformed() {
        for bytes in [
            request(15, &transfer(0, 4096)),
            request(16, &[transfer(0, 4), b"data".to_vec()].concat()),
            request(42, &[&1_u32.to_ne_bytes()[..], &[0; 20]].concat()),
        ] {
            assert!(Request::parse(&bytes).is_ok());
            for end in 0..bytes.len() {
                let cut = &bytes[..end];
                let unique = Request::parse(cut).unwrap_err().unique;
                assert_eq!(unique, (end >= HEADER).then_some(77));
                // The same with a header that is honest about the cut.
                if end >= HEADER {
                    let mut honest = cut.to_vec();
                    honest[..4].copy_from_slice(&u32::try_from(end).unwrap().to_ne_bytes());
                    assert!(Request::parse(&honest).is_err(), "cut at {end}");
                }
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_malformed() {
        let long = [transfer(0, 3), b"data".to_vec()].concat();
        let huge = [transfer(0, u32::MAX), b"data".to_vec()].concat();
        let many = [&u32::MAX.to_ne_bytes()[..], &[0; 20]].concat();
        for (opcode, body) in [
            (16, long),
            (16, huge),
            (42, many),
            (1, b"disk".to_vec()),
            (1, b"di\0sk\0".to_vec()),
            (1, Vec::new()),
            (20, vec![0; 17]),
            (38, vec![0; 1]),
            (26, vec![0; 15]),
        ] {
            assert_eq!(
                Request::parse(&request(opcode, &body)),
                Err(Malformed { unique: Some(77) })
            );
        }
        let mut extended = request(17, &[]);
        extended[36] = 1;
        assert!(Request::parse(&extended).is_err());
    }
}
