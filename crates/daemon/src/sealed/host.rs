//! The host's own keys: made where they are missing, kept for root alone. Further identities, and a token, are in the settings.
//!
//! ```text
//! keys/                     0700 root
//! ├── host.identity         what this host unwraps volume keys with (age)
//! ├── recovery.recipients   further recipients of every new volume, a line each; the operator's to write
//! ├── ledger.key            signs the ledger's checkpoints (Ed25519, PEM)
//! └── tenants/
//!     └── <tenant>.key      signs the tenant's deeds, where the host keeps its key (Ed25519, PEM)
//! ```

use cofferdam_deed::pem;
use cofferdam_keys::{HostIdentity, Identities, Pkcs11, Pkcs11Settings, Providers, Recipient, WrappedKey};
use cofferdam_linux::file::{open_trusted, read_limited, write_durably};
use cofferdam_model::settings::{KeySettings, TokenSettings};
use cofferdam_model::{ErrorKind, Problem, Result, TenantName};
use cofferdam_vault::{SigningKey, VolumeKey};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const IDENTITY: &str = "host.identity";
const RECOVERY: &str = "recovery.recipients";
const LEDGER: &str = "ledger.key";
const TENANTS: &str = "tenants";

/// The longest file of a key, in bytes.
const LENGTH_MAX: usize = 64 << 10;

/// The keys.
pub(crate) struct HostKeys {
    path: PathBuf,
    directory: OwnedFd,
    tenants: OwnedFd,
    identities: Identities,
    providers: Providers,
}

impl HostKeys {
    /// The keys at `path`; the directory and the host's identity are made where they are missing.
    ///
    /// # Errors
    /// `denied` where somebody else may read them; `corrupt` where one cannot be read; as the system says.
    pub(crate) fn open(path: &Path, settings: &KeySettings) -> Result<Self> {
        let directory = directory(CWD, path)?;
        let tenants = directory_in(&directory, TENANTS)?;
        let identity = identity(&path.join(IDENTITY))?;
        Ok(HostKeys {
            path: path.to_owned(),
            directory,
            tenants,
            identities: settings
                .identities
                .iter()
                .try_fold(Identities::of(identity), |all, file| all.with_file(file))?,
            providers: match &settings.pkcs11 {
                Some(token) => Providers::none().with(Box::new(provider(token)))?,
                None => Providers::none(),
            },
        })
    }

    /// What others wrap a key for, so that this host can unwrap it.
    pub(crate) fn recipient(&self) -> &Recipient {
        self.identities.host().recipient()
    }

    /// Whom a new volume's key is wrapped for: this host, and who shall be able to recover it.
    ///
    /// # Errors
    /// `invalid` for a line that is no recipient.
    pub(crate) fn recipients(&self) -> Result<Vec<Recipient>> {
        let mut all = vec![self.recipient().clone()];
        let path = self.path.join(RECOVERY);
        let bytes = match open_trusted(&path).and_then(|file| read_limited(file, LENGTH_MAX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            bytes => bytes.map_err(|error| unusable(&path, &error))?,
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Problem::invalid(format!("{} is no text", path.display())))?;
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                let recipient = line
                    .parse()
                    .map_err(|problem: Problem| problem.context(path.display()))?;
                all.push(recipient);
            }
        }
        Ok(all)
    }

    /// A volume key, wrapped.
    ///
    /// # Errors
    /// As the recipients' plugins and providers.
    pub(crate) fn wrap(&self, key: &VolumeKey, recipients: &[Recipient]) -> Result<WrappedKey> {
        cofferdam_keys::wrap(key, recipients, &self.providers)
    }

    /// A volume key, unwrapped.
    ///
    /// # Errors
    /// `denied` where this host is no recipient.
    pub(crate) fn unwrap(&self, wrapped: &WrappedKey) -> Result<VolumeKey> {
        cofferdam_keys::unwrap(wrapped, &self.identities, &self.providers)
    }

    /// The key that signs the ledger's checkpoints; made where it is missing.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn ledger(&self) -> Result<SigningKey> {
        match self.read(self.directory.as_fd(), LEDGER)? {
            Some(key) => Ok(key),
            None => self.make(self.directory.as_fd(), LEDGER),
        }
    }

    /// The key with which a tenant's deeds are signed; none where the host does not keep it.
    ///
    /// # Errors
    /// `corrupt` where it cannot be read.
    pub(crate) fn tenant(&self, name: &TenantName) -> Result<Option<SigningKey>> {
        self.read(self.tenants.as_fd(), &format!("{name}.key"))
    }

    /// A new key for a tenant that has none.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn make_tenant(&self, name: &TenantName) -> Result<SigningKey> {
        self.make(self.tenants.as_fd(), &format!("{name}.key"))
    }

    /// Destroys a tenant's key. One that is not there is no error.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn destroy_tenant(&self, name: &TenantName) -> Result<()> {
        match rustix::fs::unlinkat(&self.tenants, format!("{name}.key"), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(unusable(&self.path.join(TENANTS), &error.into())),
        }
    }

    fn read(&self, directory: BorrowedFd<'_>, name: &str) -> Result<Option<SigningKey>> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file.map_err(|error| unusable(&path, &error.into()))?,
        };
        let facts = rustix::fs::fstat(&file).map_err(|error| unusable(&path, &error.into()))?;
        if facts.st_uid != 0 || facts.st_mode & 0o077 != 0 {
            return Err(
                Problem::denied(format!("the key {name} can be read or written by others")).remedy(format!(
                    "give it to root alone: chown root {0}; chmod 600 {0}",
                    path.display()
                )),
            );
        }
        pem::read_private(File::from(file))
            .map(Some)
            .map_err(|problem| problem.context(format_args!("the key {name}")))
    }

    fn make(&self, directory: BorrowedFd<'_>, name: &str) -> Result<SigningKey> {
        let fail = |error: io::Error| unusable(&self.path.join(name), &error);
        let key = SigningKey::generate().map_err(fail)?;
        pem::write_private(&key, |text| write_durably(directory, name, text, 0o600)).map_err(fail)?;
        Ok(key)
    }
}

/// Makes an AES-256 key in the token of the settings, under the label that a recipient names; it never leaves the token.
///
/// # Errors
/// `invalid` where there is no token in the settings, or the recipient names no key of it; `conflict` where it has one of this
/// label already; as the token says.
pub(crate) fn make_token_key(settings: &KeySettings, recipient: &Recipient) -> Result<()> {
    let token = settings.pkcs11.as_ref().ok_or_else(|| {
        Problem::invalid("the settings name no PKCS#11 token").remedy("set up [keys.pkcs11] in the settings")
    })?;
    provider(token).make_key(recipient)
}

/// Nothing is loaded and nobody logged in before a key of the token is needed, so a token that is away keeps nothing else.
fn provider(token: &TokenSettings) -> Pkcs11 {
    Pkcs11::new(Pkcs11Settings {
        module: token.module.clone(),
        token: token.token.clone(),
        pin_file: token.pin_file.clone(),
    })
}

/// The host's identity, made where it is missing.
fn identity(path: &Path) -> Result<HostIdentity> {
    match HostIdentity::read(path) {
        Err(problem) if problem.kind == ErrorKind::Missing => HostIdentity::make(path),
        identity => identity,
    }
}

fn directory(parent: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let fail = |error: Errno| unusable(path, &error.into());
    match rustix::fs::mkdirat(parent, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(fail(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(parent, path, flags, Mode::empty()).map_err(fail)?;
    rustix::fs::fchmod(&opened, Mode::RWXU).map_err(fail)?;
    Ok(opened)
}

fn directory_in(parent: &OwnedFd, name: &str) -> Result<OwnedFd> {
    directory(parent.as_fd(), Path::new(name))
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    Problem::unavailable(format!("cannot use the keys at {}: {error}", path.display()))
}
