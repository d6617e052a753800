//! `cofferdam attachments`: which container holds which volume.

use crate::{age, context::Context, layout, report::Report};
use clap::Args;
use cofferdam_model::{Attachment, Result};

/// List which container holds which volume
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cofferdam attachments\n  cofferdam attachments --json")]
pub(crate) struct Attachments {}

impl Attachments {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        let held: Vec<Attachment> = context.daemon.get("/v1/attachments")?;
        context.answer(&held, || match held.as_slice() {
            [] => Report::default().note("no container holds a volume"),
            held => Report::default().block(table(held, context)),
        })
    }
}

/// Attachments, as a table.
pub(crate) fn table(held: &[Attachment], context: &Context) -> layout::Block {
    let rows = held.iter().map(|held| {
        let mode = if held.read_only { "read-only" } else { "read-write" };
        [
            held.container.short().to_owned(),
            held.volume.to_string(),
            held.app.to_string(),
            held.destination.clone(),
            mode.to_owned(),
            age::relative(held.since, context.now),
        ]
    });
    let header = ["CONTAINER", "VOLUME", "APP", "AT", "MODE", "SINCE"];
    layout::table(header, rows.collect(), context.bold)
}
