//! `cofferdam grant` and `cofferdam revoke`: which app may open which volume, and how.

use crate::{age, context::Context, duration::End, layout, report::Report, signing, verb::volume};
use clap::Args;
use cofferdam_model::{
    AppName, Grant, Result, VolumeName,
    api::{DeedAct, DeedAnswer, VolumeDetail},
};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Let an application open a volume
///
/// A grant that is there already is replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam grant payments.pgdata payments.postgres\n  \
    cofferdam grant payments.pgdata reports.nightly --read-only --until 7d\n  \
    cofferdam grant payments.pgdata payments.postgres --exec --until 2027-01-31T18:00:00Z\n  \
    cofferdam grant payments.pgdata payments.postgres --sign-with payments.key")]
pub(crate) struct Give {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// The application, as tenant.name
    app: AppName,
    /// Reading only
    #[arg(long)]
    read_only: bool,
    /// Processes may be added to the container while it holds the volume (docker exec)
    #[arg(long)]
    exec: bool,
    /// Not from this instant on: 2027-01-31T18:00:00Z, or a time from now such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    until: Option<End>,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
    /// Sign without being shown the application's rule first
    #[arg(long, short, requires = "sign_with")]
    yes: bool,
}

/// Take back what a grant gave
///
/// Containers that hold the volume go on until they end, unless --now is given.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam revoke payments.pgdata payments.postgres\n  \
    cofferdam revoke payments.pgdata payments.postgres --now\n  \
    cofferdam revoke payments.pgdata payments.postgres --sign-with payments.key")]
pub(crate) struct Take {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// The application, as tenant.name
    app: AppName,
    /// Also take back what is open: where a container of the application holds the volume, every container that does is killed,
    /// and nothing of the volume can be read any more until it is opened anew
    #[arg(long, conflicts_with = "sign_with")]
    now: bool,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

impl Give {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        let wanted = Grant {
            volume: self.volume.clone(),
            app: self.app.clone(),
            write: !self.read_only,
            exec: self.exec,
            until: self.until.map(|end| end.from(context.now)).transpose()?,
        };
        let before = self.before(context)?;
        let (given, signed) = match &self.sign_with {
            Some(file) => {
                let signed = signing::act(context, file, self.yes, DeedAct::Grant(wanted.clone()))?;
                (wanted, Some(signed))
            }
            None => (context.daemon.put("/v1/grants", &wanted)?, None),
        };
        context.answer(&given, || {
            let report = Report::default().line(sentence(&given, context.now));
            let report = signing::told(report, signed.as_ref());
            match before {
                Some(before) if before == given => report.note("it was so already"),
                Some(before) => report.note(format_args!("replaced: {}", sentence(&before, context.now))),
                None => report,
            }
        })
    }

    /// The grant that is about to be replaced.
    fn before(&self, context: &Context) -> Result<Option<Grant>> {
        let detail: Option<VolumeDetail> = context.before(&volume::path(&self.volume))?;
        let grants = detail.map_or_else(Vec::new, |detail| detail.grants);
        Ok(grants.into_iter().find(|grant| grant.app == self.app))
    }
}

impl Take {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        if let Some(file) = &self.sign_with {
            return self.signed(file, context);
        }
        let now = if self.now { "?now=true" } else { "" };
        let place = format!("/v1/grants/{}/{}{now}", self.volume, self.app);
        let taken: Grant = context.daemon.delete(&place)?;
        if context.json {
            return Report::json(&taken);
        }
        let report =
            Report::default().line(format_args!("{} may no longer open {}", taken.app, taken.volume));
        if self.now {
            return Ok(report);
        }
        Ok(self.still_held(report, context))
    }

    fn signed(&self, file: &Path, context: &Context) -> Result<Report> {
        let act = DeedAct::Revoke {
            volume: self.volume.clone(),
            app: self.app.clone(),
        };
        let signed = signing::act(context, file, true, act)?;
        if context.json {
            return Report::json(&DeedAnswer::Done);
        }
        let report = Report::default().line(format_args!("{} may no longer open {}", self.app, self.volume));
        Ok(self.still_held(signing::told(report, Some(&signed)), context))
    }

    /// With a note for each container that goes on holding the volume. The grant is gone by now, so what
    /// goes wrong here must not read as if it were not.
    fn still_held(&self, report: Report, context: &Context) -> Report {
        let left: Result<Option<VolumeDetail>> = context.daemon.find(&volume::path(&self.volume));
        let held = match left {
            Ok(left) => left.map_or_else(Vec::new, |left| left.attachments),
            Err(problem) => {
                return report.note(format_args!(
                    "whether a container still holds it cannot be told: {}",
                    problem.message
                ));
            }
        };
        held.iter()
            .filter(|held| held.app == self.app)
            .fold(report, |report, held| {
                report.note(format_args!(
                    "container {} holds it until it ends; to take it back now: cofferdam volume seal {} --now",
                    held.container.short(),
                    self.volume
                ))
            })
    }
}

/// Grants of one volume, as a table.
pub(crate) fn table(grants: &[Grant], context: &Context) -> layout::Block {
    let rows = grants.iter().map(|grant| {
        let until = grant
            .until
            .map_or("-".to_owned(), |until| ended(until, context.now));
        [grant.app.to_string(), rights(grant).to_owned(), until]
    });
    layout::table(["APP", "MAY", "UNTIL"], rows.collect(), context.bold)
}

fn ended(until: Timestamp, now: Timestamp) -> String {
    let when = age::relative(until, now);
    if until <= now {
        format!("ended {when}")
    } else {
        when
    }
}

fn sentence(grant: &Grant, now: Timestamp) -> String {
    let until = grant
        .until
        .map_or_else(String::new, |until| format!(", until {}", age::full(until, now)));
    format!("{} may {} {}{until}", grant.app, rights(grant), grant.volume)
}

fn rights(grant: &Grant) -> &'static str {
    match (grant.write, grant.exec) {
        (true, false) => "read and write",
        (false, false) => "read",
        (true, true) => "read, write and exec",
        (false, true) => "read and exec",
    }
}
