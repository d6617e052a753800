//! The wrapping of a sealed volume's key for those who may have it.
//!
//! A sealed volume has one key. At rest it exists only wrapped, in the volume's deed, as one `age` file
//! (age-encryption.org/v1, armored) with a copy for each [`Recipient`]: hosts, a tenant's recovery key, age plugins
//! (TPM, YubiKey), keys in PKCS#11 tokens. [`wrap`] makes the file; [`unwrap`] opens it with the [`Identities`] of a
//! host. The `age` program opens it as well, so a recovery key is of use where Cofferdam is not.
//!
//! ```text
//!  volume key ──▶ payload, under the file key ◀── copy of the file key for host A   (age, X25519)
//!                                              ◀── copy for the recovery key         (age, X25519)
//!                                              ◀── copy for a YubiKey                (age plugin)
//!                                              ◀── copy for a key in a token         (Provider)
//! ```
//!
//! age's header MAC, under the file key, covers all copies together: none can be added, taken away or changed by who
//! has not unwrapped one.
//!
//! What this crate does not do: say who made a file. Whoever knows a recipient can wrap another key for it, so the
//! deed is signed, and the key that comes out is compared with the volume's commitment (`cofferdam_vault`). Nor does it
//! keep keys, or ask a person anything: what needs a PIN from a keyboard fails.

mod file_key;
mod identity;
mod payload;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod plugin;
mod problem;
mod provider;
mod recipient;
mod secret_file;
mod token_key;
mod unwrap;
mod wiped;
mod wrap;
mod wrapped;

pub use file_key::FileKey;
pub use identity::{HostIdentity, Identities};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11, Pkcs11Settings};
pub use provider::{Provider, Providers};
pub use recipient::Recipient;
pub use unwrap::unwrap;
pub use wrap::{RECIPIENTS_MAX, wrap};
pub use wrapped::{STANZAS_MAX, WRAPPED_MAX, WrappedKey};
