//! PKCS#11 tokens as a provider: file keys wrapped under an AES key that never leaves its token.
//!
//! The body of a stanza `cofferdam-pkcs11`:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | 1: AES-GCM |
//! | 1 | 12 | nonce |
//! | 13 | 16 | the file key, encrypted |
//! | 29 | 16 | its tag |
//!
//! The additional data is `cofferdam pkcs11 v1`, a zero byte and the recipient's text: what this key encrypts for
//! another purpose, or what another key encrypts for this one, does not verify.
//!
//! **Why AES-GCM.** SoftHSM 2.6 and the usual network and card HSMs both have `CKM_AES_GCM`, with additional data, on
//! plain bytes. AES key wrap binds no purpose, and works on key objects: the file key would have to become one and be
//! read out again, which many tokens forbid. RSA-OAEP has SHA-1 only and no label in SoftHSM 2.6. The price is tokens
//! without AES (PIV cards, YubiKeys, TPMs), which age plugins serve. The nonce is random, and is read back after
//! encrypting, for some tokens put in one of their own. A key is good for 2^32 wrappings (NIST SP 800-38D).
//!
//! **What an attacker's deed can do.** A stanza names a token and a key. Only the token of the settings is ever logged
//! in to, and no PIN is tried twice once a token has refused it, nor where one more wrong PIN would lock the token: so
//! nobody can have tokens locked by asking.
//!
//! The module is code that runs in this process, with all its rights: it must be root's own. What this does not do:
//! keep sessions open (each call logs in), speak to pin pads, or replace or destroy keys.

mod fault;
mod module;
mod session;

use crate::file_key::FileKey;
use crate::problem::doing;
use crate::provider::Provider;
use crate::recipient::Recipient;
use crate::token_key::{SCHEME, TokenKey};
use crate::wiped::Wiped;
use cofferdam_model::{Problem, Result};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use fault::{saying, undecryptable};
use module::Module;
use rustix::rand::GetRandomFlags;
use serde::{Deserialize, Serialize};
use session::Token;
use std::path::PathBuf;

/// The version of the body: AES-GCM.
const AES_GCM: u8 = 1;

const NONCE: usize = 12;
const TAG_BITS: u64 = 128;
const SEALED: usize = 16 + 16;

/// Where a host's token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Settings {
    /// The token's library, absolute, and root's own.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the user PIN of that token, in one line, that nobody else may touch.
    pub pin_file: PathBuf,
}

/// The provider of `pkcs11:` recipients, for the keys of one token.
pub struct Pkcs11 {
    module: Module,
    token: Token,
}

impl Pkcs11 {
    /// The provider; nothing is loaded before it is needed.
    #[must_use]
    pub fn new(settings: Pkcs11Settings) -> Self {
        Pkcs11 {
            module: Module::at(settings.module),
            token: Token::new(settings.token, settings.pin_file),
        }
    }

    /// Makes an AES-256 key in the token, which cannot be read out of it, under the label that `recipient` names.
    ///
    /// # Errors
    /// `invalid` where it names no key of this token; `conflict` where there is one of this label already; as
    /// [`Provider::wrap`].
    pub fn make_key(&self, recipient: &Recipient) -> Result<()> {
        let key = self.named(recipient.as_str())?;
        self.token.writable(&self.module.load()?)?.make(&key.object)
    }

    /// The key that a reference names, which must be in this token.
    fn named(&self, reference: &str) -> Result<TokenKey> {
        let key: TokenKey = reference.parse()?;
        if key.token != self.token.label() {
            return Err(Problem::missing(format!(
                "{reference} is in another token than this host's, {}",
                self.token.label()
            ))
            .remedy("name a key of this host's token, or set up the other token in the settings"));
        }
        Ok(key)
    }
}

impl Provider for Pkcs11 {
    fn scheme(&self) -> &str {
        SCHEME
    }

    fn wrap(&self, reference: &str, file_key: &FileKey) -> Result<Vec<u8>> {
        let key = self.named(reference)?;
        let session = self.token.readable(&self.module.load()?)?;
        let handle = session.find(&key.object)?;
        let bound = additional_data(reference);
        let mut nonce = random_nonce()?;
        let sealed = GcmParams::new(&mut nonce, &bound, TAG_BITS.into())
            .and_then(|params| {
                let mechanism = Mechanism::AesGcm(params);
                session.raw().encrypt(&mechanism, handle, file_key.as_bytes())
            })
            .map_err(saying("wrapping a key"))?;
        if sealed.len() != SEALED {
            return Err(Problem::unavailable(format!(
                "the token made {} bytes of a file key, and not {SEALED}",
                sealed.len()
            ))
            .remedy("use a token whose CKM_AES_GCM takes nonces of 96 bits and tags of 128"));
        }
        Ok([&[AES_GCM][..], &nonce, &sealed].concat())
    }

    fn unwrap(&self, reference: &str, wrapped: &[u8]) -> Result<Option<FileKey>> {
        let key: TokenKey = reference.parse()?;
        if key.token != self.token.label() {
            return Ok(None);
        }
        let (mut nonce, sealed) = split(wrapped)?;
        let session = self.token.readable(&self.module.load()?)?;
        let handle = session.find(&key.object)?;
        let bound = additional_data(reference);
        let opened = GcmParams::new(&mut nonce, &bound, TAG_BITS.into())
            .and_then(|params| session.raw().decrypt(&Mechanism::AesGcm(params), handle, sealed))
            .map(Wiped::take)
            .map_err(undecryptable(reference))?;
        let Ok(mut bytes) = <[u8; 16]>::try_from(&*opened) else {
            return Err(Problem::corrupt(format!(
                "the copy for {reference} is no file key"
            )));
        };
        FileKey::take(&mut bytes).map(Some)
    }
}

fn split(wrapped: &[u8]) -> Result<([u8; NONCE], &[u8])> {
    wrapped
        .strip_prefix(&[AES_GCM])
        .and_then(|rest| rest.split_first_chunk::<NONCE>())
        .filter(|(_, sealed)| sealed.len() == SEALED)
        .map(|(nonce, sealed)| (*nonce, sealed))
        .ok_or_else(|| {
            Problem::corrupt("the copy for a token has a form that this version does not know")
                .remedy("open the volume with the version of Cofferdam that wrote it")
        })
}

fn additional_data(reference: &str) -> Vec<u8> {
    [b"cofferdam pkcs11 v1\0", reference.as_bytes()].concat()
}

fn random_nonce() -> Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    loop {
        match rustix::rand::getrandom(&mut nonce, GetRandomFlags::empty()) {
            Ok(NONCE) => return Ok(nonce),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(doing("getting random bits")(error.into())),
        }
    }
}
