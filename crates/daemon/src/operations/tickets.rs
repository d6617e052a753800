//! Tickets: a tenant says that a launch is a certain app of his.

use super::{apps, tenants};
use crate::daemon::Daemon;
use crate::sealed;
use cofferdam_deed as deed;
use cofferdam_linux::random;
use cofferdam_model::api::{IssuedTicket, NewTicket, TICKET_LIFE};
use cofferdam_model::{Problem, Result};
use jiff::Timestamp;

/// Issues a ticket, signed with the key that the host keeps for the app's tenant.
///
/// # Errors
/// `missing` where there is no such app; `denied` where the tenant's key is elsewhere; `invalid` where no ticket can say that.
pub(crate) fn issue_ticket(daemon: &Daemon, new: &NewTicket) -> Result<IssuedTicket> {
    let app = apps::app(daemon, &new.app)?;
    tenants::with_key(daemon, app.name.tenant())?;
    let key = sealed::tenant_key(daemon, app.name.tenant())?;
    let issued = Timestamp::now();
    let until = match new.until {
        Some(until) => until,
        None => issued
            .checked_add(TICKET_LIFE)
            .map_err(|error| Problem::internal(format!("the clock is beyond the calendar: {error}")))?,
    };
    let ticket = deed::Ticket::new(deed::NewTicket {
        id: id()?,
        app: app.name.clone(),
        image: app.rule.image,
        issued,
        until,
        host: new.host.clone(),
        once: new.once,
    })?;
    Ok(IssuedTicket {
        ticket: ticket.sign(&key)?.text().to_owned(),
        app: app.name,
        until,
    })
}

fn id() -> Result<deed::TicketId> {
    random::bits()
        .map(deed::TicketId::from_bits)
        .map_err(|error| Problem::internal(format!("no random numbers: {error}")))
}
