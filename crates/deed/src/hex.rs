//! 32 bytes as 64 lower-case hexadecimal digits, without the `sha256:` that OCI puts in front.

use cofferdam_model::{Problem, Result, Sha256};
use serde::{Deserialize, Serialize};

/// 32 bytes that are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hex32(pub(crate) [u8; 32]);

impl TryFrom<String> for Hex32 {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        format!("sha256:{text}")
            .parse::<Sha256>()
            .map(|digest| Hex32(*digest.as_bytes()))
            .map_err(|_| Problem::invalid("not 64 lower-case hexadecimal digits"))
    }
}

impl From<Hex32> for String {
    fn from(bytes: Hex32) -> String {
        Sha256::from_bytes(bytes.0).hex()
    }
}
