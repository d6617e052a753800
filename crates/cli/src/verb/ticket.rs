//! `cofferdam ticket`: a tenant's word that a launch is a certain app of his.

use crate::{age, context::Context, duration::End, report::Report, signing};
use clap::{Args, Subcommand};
use cofferdam_deed as deed;
use cofferdam_linux::random;
use cofferdam_model::{App, AppName, Problem, Result, Sha256, TICKET_VARIABLE, api};
use std::path::{Path, PathBuf};

/// Issue tickets: they tell apart two tenants that run the same image
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam ticket issue payments.postgres\n  \
    cofferdam ticket issue payments.postgres --until 30d")]
pub(crate) enum Ticket {
    Issue(Issue),
}

/// Issue a ticket for an application, and print it
///
/// The tenant signs that a launch of the application's image is this application. Hand it over when the container is
/// made, in the variable COFFERDAM_TICKET or the annotation dev.cofferdam.ticket; both are taken away before the
/// container starts. A restart needs it again, so let it hold as long as the container shall be started. It is no
/// password: whoever sees it can start the same image as the same application.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam ticket issue payments.postgres\n  \
    cofferdam ticket issue payments.postgres --until 30d --host db1\n  \
    cofferdam ticket issue payments.migrate --once --until 10m\n  \
    cofferdam ticket issue payments.postgres --sign-with payments.key")]
pub(crate) struct Issue {
    /// The application, as tenant.name
    app: AppName,
    /// Not from this instant on: 2027-01-31T18:00:00Z, or a time from now such as 2h or 30d. Else for 24 hours
    #[arg(long, value_name = "TIME")]
    until: Option<End>,
    /// Only on this host: its name, or its recipient as cofferdam status shows it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Good for one launch; each host remembers those that it has seen
    #[arg(long)]
    once: bool,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

impl Ticket {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            Ticket::Issue(issue) => issue.run(context),
        }
    }
}

/// Signs it here; the daemon only says which image the app has.
fn sign(new: api::NewTicket, file: &Path, context: &Context) -> Result<(api::IssuedTicket, Option<Sha256>)> {
    let key = signing::key(file)?;
    let app: App = context.daemon.get(&format!("/v1/apps/{}", new.app))?;
    let id = random::bits().map_err(|error| Problem::internal(format!("no random numbers: {error}")))?;
    let until = match new.until {
        Some(until) => until,
        None => context
            .now
            .checked_add(api::TICKET_LIFE)
            .map_err(|_| Problem::invalid("the clock is beyond the calendar"))?,
    };
    let ticket = deed::Ticket::new(deed::NewTicket {
        id: deed::TicketId::from_bits(id),
        app: new.app.clone(),
        image: app.rule.image,
        issued: context.now,
        until,
        host: new.host,
        once: new.once,
    })?;
    let issued = api::IssuedTicket {
        ticket: ticket.sign(&key)?.text().to_owned(),
        app: new.app,
        until,
    };
    Ok((issued, Some(app.rule.image)))
}

impl Issue {
    fn run(&self, context: &Context) -> Result<Report> {
        let new = api::NewTicket {
            app: self.app.clone(),
            until: self.until.map(|end| end.from(context.now)).transpose()?,
            host: self.host.clone(),
            once: self.once,
        };
        let (issued, image) = match &self.sign_with {
            Some(file) => sign(new, file, context)?,
            None => (context.daemon.post("/v1/tickets", &new)?, None),
        };
        context.answer(&issued, || {
            let report = match &image {
                Some(image) => {
                    Report::default().note(format_args!("signed for {} with image {image}", issued.app))
                }
                None => Report::default(),
            };
            report.line(&issued.ticket).note(format_args!(
                "holds until {}; hand it over with: docker run -e {TICKET_VARIABLE}=TICKET …",
                age::full(issued.until, context.now)
            ))
        })
    }
}
