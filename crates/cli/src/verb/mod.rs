//! One file for each noun: its options, its questions to the daemon, and how its answers read.

pub(crate) mod app;
pub(crate) mod attachments;
pub(crate) mod completions;
pub(crate) mod explained;
pub(crate) mod grant;
pub(crate) mod host_path;
pub(crate) mod ledger;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod status;
pub(crate) mod tenant;
pub(crate) mod ticket;
pub(crate) mod volume;
pub(crate) mod why;

use crate::{arguments::Verb, context::Context, report::Report};
use cofferdam_model::Result;

/// Does what was asked for.
pub(crate) fn run(verb: &Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Tenant(tenant) => tenant.run(context),
        Verb::Ticket(ticket) => ticket.run(context),
        Verb::App(app) => app.run(context),
        Verb::Volume(volume) => volume.run(context),
        Verb::Grant(grant) => grant.run(context),
        Verb::Revoke(revoke) => revoke.run(context),
        Verb::HostPath(host_path) => host_path.run(context),
        Verb::Attachments(attachments) => attachments.run(context),
        Verb::Ledger(ledger) => ledger.run(context),
        Verb::Why(why) => why.run(context),
        Verb::Plan(plan) => plan.run(context),
        Verb::Status(status) => status.run(context),
        Verb::Completions(completions) => Ok(completions.run()),
        Verb::Man(man) => man.run(),
    }
}
