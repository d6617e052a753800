//! `cofferdam status`: how the daemon is.

use crate::{age, context::Context, layout, report::Report};
use clap::Args;
use cofferdam_model::{Result, api};

/// Show how the daemon is
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cofferdam status\n  cofferdam status --json")]
pub(crate) struct Status {}

impl Status {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        let status: api::Status = context.daemon.get("/v1/status")?;
        context.answer(&status, || {
            let report = Report::default().block(layout::facts(&[
                ("cofferdamd", status.version.clone()),
                ("running since", age::full(status.since, context.now)),
                ("tenants", status.tenants.to_string()),
                ("apps", status.apps.to_string()),
                ("volumes", status.volumes.to_string()),
                ("grants", status.grants.to_string()),
                ("attachments", status.attachments.to_string()),
                ("this host is", status.recipient.clone()),
            ]));
            status.warnings.iter().fold(report, |report, warning| {
                report.line(format_args!("warning: {warning}"))
            })
        })
    }
}
