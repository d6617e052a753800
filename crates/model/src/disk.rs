//! The protocol between the daemon and a disk server (`cofferdam-disk open`), version 1.
//!
//! The server is started with the volume key on its standard input (with `--rotating`, behind it the one before it) and says one [`Started`] on its standard output, as a
//! line of JSON. From then on it listens on a `SOCK_SEQPACKET` unix socket for root alone: one [`Order`] a packet, as JSON,
//! and one [`Answer`] to each, in order. It outlives the daemon that started it; the next one connects again.
//!
//! | order | answer | descriptors in the answer |
//! |---|---|---|
//! | `watch` | `watched`, and from then on any number of `fault` | none |
//! | `root` | `mount` | a detached mount of the filesystem's root |
//! | `data` | `mount` | a detached mount of the directory [`DATA`] in it |
//! | `rotate`, with a pipe that gives 32 bytes, the new key | `rotating`, once the volume is under it; `rotated` where it was already, and nothing is under another | none |
//! | `rotation` | `rotation` | none |
//! | `grow` | `grown` | none |
//! | `close` | `closed`, once the store is closed | none |
//! | `shut` | `closed`, once nothing can be read any more | none |

use crate::Problem;
use serde::{Deserialize, Serialize};

/// What a disk server says once, when it has started or could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Started {
    /// The volume is open, and orders are taken.
    Ready,
    /// It is not.
    Failed(Problem),
}

/// The directory in a sealed volume's filesystem that containers see.
pub const DATA: &str = "data";

/// The longest packet, in bytes.
pub const PACKET_MAX: usize = 64 * 1024;

/// What the daemon wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Tell of what goes wrong from now on.
    Watch,
    /// The whole filesystem, to give it its first content.
    Root,
    /// What containers see.
    Data,
    /// Encrypt everything anew under the key that the pipe beside this gives, while the volume is in use.
    Rotate,
    /// How far that has come.
    Rotation,
    /// Make disk and filesystem larger, to so many bytes, while the volume is in use.
    Grow(u64),
    /// Nobody uses the volume any more: unmount it, close the store in peace, wipe the key, end.
    Close,
    /// Whoever uses the volume: nothing of it may be read or written from now on. Wipe the key, end.
    Shut,
}

/// How far a rotation has come, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Live bytes that are under the key before.
    pub left: u64,
    /// Live bytes.
    pub all: u64,
    /// Those of the former that lie in damaged segments, which are left as they are.
    pub damaged: u64,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// Faults will be told.
    Watched,
    /// Something was found that people should hear of: a block that does not verify, a store that fails.
    Fault {
        /// What, in one sentence.
        what: String,
        /// Whether it is a sign of tampering: bytes that do not verify.
        tampering: bool,
    },
    /// Everything is under that key: none before it is needed any longer.
    Rotated,
    /// The volume is under the new key, and what is under the one before is on its way.
    Rotating,
    /// How far that has come; none where nothing is under another key than the volume's.
    Rotation(Option<Rotation>),
    /// The disk has the size.
    Grown {
        /// Whether its filesystem has it too: else it gets it when the volume is next opened.
        filesystem: bool,
    },
    /// The mount that was asked for is attached.
    Mount,
    /// The volume is closed.
    Closed,
    /// It could not be done.
    Refused(Problem),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_these() {
        assert_eq!(serde_json::to_string(&Order::Watch).unwrap(), r#""watch""#);
        assert_eq!(serde_json::to_string(&Started::Ready).unwrap(), r#""ready""#);
        let fault = Answer::Fault {
            what: "segment 1-2: block 7 does not verify".to_owned(),
            tampering: true,
        };
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), fault);
        assert!(serde_json::from_str::<Order>(r#""open""#).is_err());
    }
}
