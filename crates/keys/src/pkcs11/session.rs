//! Sessions with one token: found by its label, logged in to with the PIN of a file.

use super::fault::{login, saying};
use crate::secret_file;
use cofferdam_model::{Problem, Result};
use cryptoki::context::{Function, Pkcs11 as Library};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a key that is made.
const KEY: u64 = 32;

/// One token, and how to log in to it.
pub(super) struct Token {
    label: String,
    pin_file: PathBuf,
    /// The token has said that the PIN is wrong.
    refused: AtomicBool,
}

impl Token {
    pub(super) fn new(label: String, pin_file: PathBuf) -> Self {
        Token {
            label,
            pin_file,
            refused: AtomicBool::new(false),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// A session that can use keys.
    pub(super) fn readable(&self, library: &Library) -> Result<LoggedIn> {
        self.open(library, Library::open_ro_session)
    }

    /// A session that can make keys, too.
    pub(super) fn writable(&self, library: &Library) -> Result<LoggedIn> {
        self.open(library, Library::open_rw_session)
    }

    fn open(
        &self,
        library: &Library,
        open: fn(&Library, Slot) -> cryptoki::error::Result<Session>,
    ) -> Result<LoggedIn> {
        let (slot, facts) = self.find(library)?;
        let session = open(library, slot).map_err(saying("opening a session with the token"))?;
        self.log_in(&session, &facts)?;
        Ok(LoggedIn(session))
    }

    fn find(&self, library: &Library) -> Result<(Slot, TokenInfo)> {
        let slots = library
            .get_slots_with_token()
            .map_err(saying("looking for tokens"))?;
        let mut found = slots.into_iter().filter_map(|slot| {
            let facts = library.get_token_info(slot).ok()?;
            (facts.label() == self.label).then_some((slot, facts))
        });
        match (found.next(), found.next()) {
            (Some(token), None) => Ok(token),
            (None, _) => Err(Problem::missing(format!("there is no token {}", self.label))
                .remedy("plug it in, or correct its label in the settings")),
            (Some(_), Some(_)) => Err(Problem::conflict(format!(
                "there are two tokens with the label {}",
                self.label
            ))
            .remedy("give one of them another label")),
        }
    }

    /// Login is the token's state for this whole process, so another thread may have been first. It ends with the last
    /// session.
    fn log_in(&self, session: &Session, facts: &TokenInfo) -> Result<()> {
        if self.refused.load(Ordering::Acquire) {
            return Err(login::refused_before(&self.label, &self.pin_file));
        }
        if facts.user_pin_locked() {
            return Err(login::locked(&self.label));
        }
        if facts.user_pin_final_try() {
            return Err(login::last_try(&self.label));
        }
        let pin = self.pin()?;
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, Function::Login)) => Ok(()),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                self.refused.store(true, Ordering::Release);
                Err(login::wrong_pin(&self.label, &self.pin_file))
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(login::locked(&self.label)),
            Err(error) => Err(saying("logging in to the token")(error)),
        }
    }

    fn pin(&self) -> Result<AuthPin> {
        let bytes = secret_file::read(&self.pin_file, "the PIN file")?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        match std::str::from_utf8(line) {
            Ok(pin) if !pin.is_empty() && !pin.contains(char::is_control) => Ok(AuthPin::new(Box::from(pin))),
            _ => Err(Problem::invalid(format!(
                "the PIN file {} is not one line",
                self.pin_file.display()
            ))
            .remedy("write the user PIN into it and nothing else")),
        }
    }
}

/// A session that is logged in; closed on drop.
pub(super) struct LoggedIn(Session);

impl LoggedIn {
    pub(super) fn raw(&self) -> &Session {
        &self.0
    }

    /// The one AES key of this label.
    pub(super) fn find(&self, label: &str) -> Result<ObjectHandle> {
        match self.all(label)?.as_slice() {
            [key] => Ok(*key),
            [] => Err(Problem::missing(format!("the token has no AES key {label}"))
                .remedy("correct the object in the recipient, or make the key")),
            _ => Err(
                Problem::conflict(format!("the token has two AES keys with the label {label}"))
                    .remedy("give one of them another label"),
            ),
        }
    }

    /// Makes an AES key that stays in the token.
    pub(super) fn make(&self, label: &str) -> Result<()> {
        if !self.all(label)?.is_empty() {
            return Err(
                Problem::conflict(format!("the token has an AES key {label} already"))
                    .remedy("use it, or choose another label"),
            );
        }
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(KEY.into()),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ];
        self.0
            .generate_key(&Mechanism::AesKeyGen, &template)
            .map(drop)
            .map_err(saying("making a key in the token"))
    }

    fn all(&self, label: &str) -> Result<Vec<ObjectHandle>> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        self.0
            .find_objects(&template)
            .map_err(saying("looking for a key in the token"))
    }
}
