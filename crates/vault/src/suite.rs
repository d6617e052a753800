//! Which cipher a segment is sealed with.

/// A suite as it is stored in formats. The code goes into the derivation of the segment's key, so a segment
/// cannot be passed off as one of another suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags. Code 1.
    Aes256Gcm,
}

impl Suite {
    /// The code in formats.
    pub fn code(self) -> u8 {
        match self {
            Suite::Aes256Gcm => 1,
        }
    }

    /// The suite of a code, where there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Suite::Aes256Gcm),
            _ => None,
        }
    }
}
