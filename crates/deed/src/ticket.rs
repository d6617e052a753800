//! Tickets: tell two tenants that run the same image apart. A tenant signs that a launch of an image is a certain app of
//! his; who starts the container hands the ticket over in an annotation or an environment variable.
//!
//! A ticket is the base64url (RFC 4648, section 5, without padding) of an [`Envelope`], at most 8 KiB of
//! text. Payload type `application/vnd.cofferdam.ticket+json`; the fields, in this order, in the canonical form of
//! [`document`](crate::document):
//!
//! | field | value |
//! |---|---|
//! | `format` | 1 |
//! | `id` | 32 lower-case hexadecimal digits, 128 random bits |
//! | `app` | `tenant.name`; the tenant is who signs |
//! | `image` | digest of the image's config, `sha256:` and 64 digits |
//! | `issued` | when it was signed; before that, less 60 s for clocks that differ, it does not hold |
//! | `until` | an instant from which on it does not hold, after `issued` by at most 366 days |
//! | `host` | optional: the one host for which it holds, by its age recipient or its name; 1 to 4096 printable ASCII characters |
//! | `once` | boolean: it is good for one launch |
//!
//! A ticket proves what the tenant wanted, not what runs: the measurement does that. Nor is it a secret that proves who
//! holds it: whoever sees it can start the same image of the same app. That it is used only once, callers have to see
//! to, by remembering ids until `until`.

mod signed;

pub use signed::{SignedTicket, VerifiedTicket};

use crate::document::{Document, FORMAT, encode, refused};
use crate::envelope::{Envelope, being_made};
use cofferdam_model::{AppName, ErrorKind, Problem, Result, Sha256, TenantName};
use cofferdam_vault::SigningKey;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest ticket, in characters.
pub const TICKET_MAX: usize = 8 * 1024;

/// The longest time that a ticket holds.
const LIFE_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The longest host, in bytes.
const HOST_MAX: usize = 4096;

/// What a ticket says. That somebody has signed it, [`SignedTicket`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    // INVARIANT: fits together, as `contradiction` has it.
    record: Record,
}

/// A ticket to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// Its id, from 128 random bits.
    pub id: TicketId,
    /// The app that the launch shall be.
    pub app: AppName,
    /// The digest of the image's config.
    pub image: Sha256,
    /// Now.
    pub issued: Timestamp,
    /// Not from this instant on.
    pub until: Timestamp,
    /// The one host for which it holds: its age recipient or its name.
    pub host: Option<String>,
    /// Good for one launch.
    pub once: bool,
}

/// What a ticket says of itself **without any proof**: to find out which tenant's key to check it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketClaims {
    /// The tenant whose key it claims to be signed by.
    pub tenant: TenantName,
    /// The app that it claims to be of.
    pub app: AppName,
}

/// A ticket's id: 128 random bits, 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketId(u128);

impl TicketId {
    /// An id from 128 random bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        TicketId(bits)
    }
}

impl TryFrom<String> for TicketId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u128::from_str_radix(&text, 16) {
            Ok(bits) if digits && text.len() == 32 => Ok(TicketId(bits)),
            _ => Err(Problem::invalid("not a ticket's id")),
        }
    }
}

impl From<TicketId> for String {
    fn from(id: TicketId) -> String {
        id.to_string()
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The table in the module's head, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub format: u64,
    pub id: TicketId,
    pub app: AppName,
    pub image: Sha256,
    pub issued: Timestamp,
    pub until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub once: bool,
}

impl Ticket {
    /// A ticket, to be signed.
    ///
    /// # Errors
    /// `invalid` where it would end before it begins or more than 366 days later, or the host is no name.
    pub fn new(new: NewTicket) -> Result<Self> {
        Self::of_record(Record {
            format: FORMAT,
            id: new.id,
            app: new.app,
            image: new.image,
            issued: new.issued,
            until: new.until,
            host: new.host,
            once: new.once,
        })
        .map_err(being_made)
    }

    /// The ticket, signed by the key of the app's tenant.
    ///
    /// # Errors
    /// `invalid` where it would be too long.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedTicket> {
        let envelope = Envelope::sign(encode(&self.record)?, key).map_err(being_made)?;
        SignedTicket::of(envelope).map_err(being_made)
    }
}

impl Document for Ticket {
    const TYPE: &'static str = "application/vnd.cofferdam.ticket+json";
    const NAME: &'static str = "ticket";
    const REFUSED: ErrorKind = ErrorKind::Denied;
    type Record = Record;
    type Claims = TicketClaims;

    fn record(&self) -> &Record {
        &self.record
    }

    fn of_record(record: Record) -> Result<Self> {
        match contradiction(&record) {
            None => Ok(Ticket { record }),
            Some(what) => Err(refused::<Ticket>(format!(
                "the ticket for {} cannot be: {what}",
                record.app
            ))),
        }
    }

    fn claims(record: Record) -> TicketClaims {
        TicketClaims {
            tenant: record.app.tenant().clone(),
            app: record.app,
        }
    }
}

/// Why these fields cannot be a ticket's.
fn contradiction(record: &Record) -> Option<String> {
    if record.format != FORMAT {
        return Some(format!("its format is {}", record.format));
    }
    let life = record.until.duration_since(record.issued);
    if life <= SignedDuration::ZERO {
        return Some("it ends before it begins".to_owned());
    }
    if life > LIFE_MAX {
        return Some("it would hold for more than 366 days".to_owned());
    }
    let fits =
        |host: &String| (1..=HOST_MAX).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_graphic());
    if !record.host.as_ref().is_none_or(fits) {
        return Some("its host is neither an age recipient nor a host's name".to_owned());
    }
    None
}
