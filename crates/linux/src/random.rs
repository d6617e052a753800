//! Random numbers out of the kernel.

use rustix::rand::{GetRandomFlags, getrandom};
use std::io;

/// 128 random bits, that nobody can guess.
///
/// # Errors
/// As getrandom(2).
pub fn bits() -> io::Result<u128> {
    let mut bytes = [0; 16];
    // The kernel gives up to 256 bytes whole (getrandom(2)).
    if getrandom(&mut bytes, GetRandomFlags::empty())? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(u128::from_ne_bytes(bytes))
}
