//! Identities: the secrets that unwrap keys, and the files that they lie in.
//!
//! Such a file is age's own (`age-keygen` makes one, `age -d -i` takes it): lines of text, of which empty ones and
//! those that begin with `#` mean nothing.
//!
//! | line | what |
//! |---|---|
//! | `AGE-SECRET-KEY-1…` | an X25519 identity |
//! | `AGE-PLUGIN-NAME-1…` | an identity that the program `age-plugin-NAME` serves |
//!
//! X25519 identities live in locked memory. Those of plugins do not: they mostly say where in a device a secret is.

use crate::problem::{doing, no_memory};
use crate::recipient::Recipient;
use crate::secret_file;
use age::secrecy::ExposeSecret;
use age::{plugin, x25519};
use cofferdam_linux::memory::Locked;
use cofferdam_model::{Problem, Result};
use std::fmt;
use std::io;
use std::path::Path;

/// What a host's file says first.
const COMMENT: &str =
    "# The identity of this host. Whoever reads it opens the sealed volumes of this host.\n";

/// The identity of a host: what makes it a recipient.
pub struct HostIdentity {
    secret: Locked<x25519::Identity>,
    recipient: Recipient,
}

impl HostIdentity {
    /// Makes a new one, and writes it to a file (mode 0600) that must not be there yet.
    ///
    /// # Errors
    /// `conflict` where the file is there already; `missing` where its directory is not; `unavailable` where no memory
    /// could be locked.
    pub fn make(path: &Path) -> Result<Self> {
        let secret = Locked::make(|| Ok(x25519::Identity::generate())).map_err(no_memory)?;
        let host = Self::of(secret);
        let public = format!("# public key: {}\n", host.recipient);
        let text = host.secret.to_string();
        let parts = [
            COMMENT.as_bytes(),
            public.as_bytes(),
            text.expose_secret().as_bytes(),
            b"\n",
        ];
        secret_file::make(path, "the identity", &parts)?;
        Ok(host)
    }

    /// Reads it from its file, which must belong to whoever runs this and be nobody else's to touch.
    ///
    /// # Errors
    /// `missing`, `denied`, `invalid`, each with what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let mut found = read(path)?.into_iter();
        match (found.next(), found.next()) {
            (Some(Identity::X25519(secret)), None) => Ok(Self::of(secret)),
            _ => Err(Problem::invalid(format!(
                "the identity {} is not one X25519 identity",
                path.display()
            ))
            .remedy("leave one line that begins with AGE-SECRET-KEY-1, and no other identity")),
        }
    }

    fn of(secret: Locked<x25519::Identity>) -> Self {
        let recipient = Recipient::of_x25519(secret.to_public());
        HostIdentity { secret, recipient }
    }

    /// The recipient that this host is.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }
}

impl fmt::Debug for HostIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HostIdentity({})", self.recipient)
    }
}

/// One identity.
pub(crate) enum Identity {
    X25519(Locked<x25519::Identity>),
    Plugin(plugin::Identity),
}

/// What a host unwraps keys with: its own identity, and further ones, in the order in which they are tried.
pub struct Identities {
    host: HostIdentity,
    further: Vec<Identity>,
}

impl Identities {
    /// A host's own only.
    #[must_use]
    pub fn of(host: HostIdentity) -> Self {
        Identities {
            host,
            further: Vec::new(),
        }
    }

    /// These and those of a file: a recovery key, identities of plugins.
    ///
    /// # Errors
    /// As [`HostIdentity::read`].
    pub fn with_file(mut self, path: &Path) -> Result<Self> {
        self.further.extend(read(path)?);
        Ok(self)
    }

    /// The host's own.
    #[must_use]
    pub fn host(&self) -> &HostIdentity {
        &self.host
    }

    /// The X25519 ones, the host's first.
    pub(crate) fn x25519(&self) -> impl Iterator<Item = &x25519::Identity> {
        let further = self.further.iter().filter_map(|identity| match identity {
            Identity::X25519(secret) => Some(&**secret),
            Identity::Plugin(_) => None,
        });
        std::iter::once(&*self.host.secret).chain(further)
    }

    /// Those of plugins.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &plugin::Identity> {
        self.further.iter().filter_map(|identity| match identity {
            Identity::Plugin(identity) => Some(identity),
            Identity::X25519(_) => None,
        })
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identities({:?} and {} more)", self.host, self.further.len())
    }
}

/// All identities of a file, of which there must be at least one.
fn read(path: &Path) -> Result<Vec<Identity>> {
    let shown = path.display();
    let bytes = secret_file::read(path, "the identity")?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::invalid(format!("the identity {shown} is not text")))?;
    if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE ENCRYPTED FILE") {
        return Err(
            Problem::invalid(format!("the identity {shown} is encrypted itself"))
                .remedy(format!("decrypt it first: age -d {shown}")),
        );
    }
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            let at = format_args!("the identity {shown}, line {}", number + 1).to_string();
            found.push(parse(line).map_err(doing(at))?);
        }
    }
    if found.is_empty() {
        return Err(Problem::invalid(format!("there is no identity in {shown}"))
            .remedy("put a line there that begins with AGE-SECRET-KEY-1 or AGE-PLUGIN-"));
    }
    Ok(found)
}

/// One line. The error does not repeat it.
fn parse(line: &str) -> io::Result<Identity> {
    let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if line.starts_with("AGE-PLUGIN-") {
        let identity = line.parse().map_err(wrong)?;
        return Ok(Identity::Plugin(identity));
    }
    Locked::make(|| {
        line.parse()
            .map_err(|_| wrong("it is neither an identity nor a comment"))
    })
    .map(Identity::X25519)
}

#[cfg(test)]
mod tests;
