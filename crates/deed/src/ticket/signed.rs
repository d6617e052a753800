//! A ticket as it is handed over, and whether it is good for a launch.

use super::{TICKET_MAX, Ticket, TicketClaims, TicketId};
use crate::document::{Document as _, or_remedy, refused};
use crate::envelope::Envelope;
use crate::public_key::KeyId;
use crate::shown::shown;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cofferdam_model::{AppName, Problem, Result, Sha256};
use cofferdam_vault::VerifyingKey;
use jiff::{SignedDuration, Timestamp};

/// How far the clocks of two hosts may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// A ticket with a signature that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTicket {
    envelope: Envelope<Ticket>,
    text: String,
}

/// A ticket that holds for the launch that it was checked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTicket(Ticket);

impl SignedTicket {
    pub(super) fn of(envelope: Envelope<Ticket>) -> Result<Self> {
        let text = URL_SAFE_NO_PAD.encode(envelope.bytes());
        if text.len() > TICKET_MAX {
            return Err(too_long());
        }
        Ok(SignedTicket { envelope, text })
    }

    /// Reads a ticket's text.
    ///
    /// # Errors
    /// `denied` where it is no ticket.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TICKET_MAX {
            return Err(too_long());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| {
            refused::<Ticket>("what was handed over is not a ticket")
                .remedy("hand over the ticket's text as it was made, without spaces, quotes or line ends")
        })?;
        Ok(SignedTicket {
            envelope: Envelope::parse(&bytes)?,
            text: text.to_owned(),
        })
    }

    /// Its text, fit for an environment variable or an annotation.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its envelope.
    #[must_use]
    pub fn envelope(&self) -> &Envelope<Ticket> {
        &self.envelope
    }

    /// What it says of itself, **without any proof**: only to find out which tenant's key to check it with.
    ///
    /// # Errors
    /// `denied` where it is not a ticket in its canonical form; `unavailable` where a later Cofferdam wrote it.
    pub fn claims(&self) -> Result<TicketClaims> {
        self.envelope.claims()
    }

    /// Whether `key`, that of the app's tenant, has signed that a launch of `image` on this host, now, is `app`. `host` is
    /// all that this host is called: its age recipient and its name.
    ///
    /// # Errors
    /// `denied`, with the point in which it does not hold; `unavailable` where a later Cofferdam wrote it.
    pub fn check(
        &self,
        key: &VerifyingKey,
        app: &AppName,
        image: &Sha256,
        host: &[&str],
        now: Timestamp,
    ) -> Result<VerifiedTicket> {
        let tenant = app.tenant();
        let again = || format!("have tenant {tenant} issue a ticket for this launch");
        if !self.envelope.names(key) {
            return Err(Problem::denied(format!(
                "the ticket is of another tenant: it is signed by key {}, and the key of {tenant} is {}",
                self.envelope.signers(),
                KeyId::of(key)
            ))
            .remedy(again()));
        }
        let ticket = self
            .envelope
            .verify(key)
            .map_err(|problem| or_remedy(problem, again()))?
            .into_document();
        match refusal(&ticket, app, image, host, now) {
            None => Ok(VerifiedTicket(ticket)),
            Some(message) => Err(Problem::denied(message).remedy(again())),
        }
    }
}

/// Why a ticket that the tenant has signed does not hold for this launch.
fn refusal(ticket: &Ticket, app: &AppName, image: &Sha256, host: &[&str], now: Timestamp) -> Option<String> {
    let record = ticket.record();
    if record.app != *app {
        return Some(format!("the ticket is for app {}, and not for {app}", record.app));
    }
    if record.image != *image {
        return Some(format!(
            "the ticket is for image {} of {app}, and not for {}",
            record.image.short(),
            image.short()
        ));
    }
    if let Some(named) = record
        .host
        .as_ref()
        .filter(|named| !host.contains(&named.as_str()))
    {
        return Some(format!(
            "the ticket for {app} is for host {}, and not for this one",
            shown(named)
        ));
    }
    if record.issued.duration_since(now) > SKEW {
        return Some(format!(
            "the ticket for {app} does not hold yet: it was issued at {}, and here it is {now}",
            record.issued
        ));
    }
    if record.until <= now {
        return Some(format!("the ticket for {app} expired at {}", record.until));
    }
    None
}

fn too_long() -> Problem {
    refused::<Ticket>(format!("the ticket is longer than {TICKET_MAX} characters"))
}

impl VerifiedTicket {
    /// Its id: where it is good for one launch, to be remembered until [`Self::until`].
    #[must_use]
    pub fn id(&self) -> TicketId {
        self.0.record().id
    }

    /// The app that the launch is.
    #[must_use]
    pub fn app(&self) -> &AppName {
        &self.0.record().app
    }

    /// Whether it is good for one launch only.
    #[must_use]
    pub fn once(&self) -> bool {
        self.0.record().once
    }

    /// From when on it does not hold any more.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.0.record().until
    }
}
