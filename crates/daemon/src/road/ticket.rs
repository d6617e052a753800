//! The ticket that a launch brings: checked with the key of its app's tenant, and remembered where it was good for one launch.

use crate::daemon::Daemon;
use crate::state::{Change, Record, Snapshot, ticket_key};
use cofferdam_deed::{PublicKey, SignedTicket, VerifiedTicket};
use cofferdam_model::{Problem, Result, Sha256, TicketFound};
use cofferdam_policy::Admitted;
use jiff::{SignedDuration, Timestamp};

/// What a launch's ticket was found to be, and the ticket itself where it holds.
pub(super) fn check(daemon: &Daemon, text: &str, image: &Sha256) -> (TicketFound, Option<VerifiedTicket>) {
    match verify(daemon, text, image) {
        Ok(ticket) => (TicketFound::Holds(ticket.app().clone()), Some(ticket)),
        Err(problem) => (TicketFound::Fails(problem.message), None),
    }
}

fn verify(daemon: &Daemon, text: &str, image: &Sha256) -> Result<VerifiedTicket> {
    let signed = SignedTicket::parse(text)?;
    let claims = signed.claims()?;
    let known = daemon.state.now();
    let key = known.tenant(&claims.tenant).ok().and_then(|tenant| tenant.key);
    let key = key.map(PublicKey::verifying);
    // One answer for both: whether there is such a tenant is not everybody's to know.
    let Some(key) = key.filter(|key| signed.envelope().names(key)) else {
        return Err(Problem::denied(
            "it is not signed by the tenant whose ticket it claims to be, so far as this host knows him",
        ));
    };
    let recipient = daemon.keys.recipient().to_string();
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let ticket = signed.check(&key, &claims.app, image, &[&recipient, &name], Timestamp::now())?;
    if ticket.once() && known.is_used(ticket.id()) {
        return Err(used());
    }
    Ok(ticket)
}

/// The changes that remember a ticket which was good for one launch, where an app that was admitted required it; and forget
/// those that have ended since.
///
/// # Errors
/// `denied` where it was used meanwhile.
pub(super) fn used_up(
    known: &Snapshot,
    ticket: Option<&VerifiedTicket>,
    admitted: &[Admitted],
) -> Result<Vec<Change>> {
    let needs = |proof: &Admitted| {
        let app = known.facts().app(proof.app());
        app.is_some_and(|app| app.rule.ticket)
    };
    let Some(ticket) = ticket.filter(|ticket| ticket.once() && admitted.iter().any(needs)) else {
        return Ok(Vec::new());
    };
    if known.is_used(ticket.id()) {
        return Err(used().remedy(format!(
            "have tenant {} issue another ticket",
            ticket.app().tenant()
        )));
    }
    // A clock that was set back must not make a ticket good again, so they are remembered for longer than they hold.
    let long_ago = Timestamp::now().saturating_sub(REMEMBERED);
    let stale = long_ago.into_iter().flat_map(|then| known.stale_tickets(then));
    let mut changes: Vec<_> = stale.map(|id| Change::Delete(ticket_key(id))).collect();
    changes.push(Change::Put(Record::UsedTicket {
        id: ticket.id(),
        until: ticket.until(),
    }));
    Ok(changes)
}

/// How much longer than it holds a used ticket is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(31 * 24);

fn used() -> Problem {
    Problem::denied("the ticket was good for one launch, and has had it")
}
