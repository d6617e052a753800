//! `cofferdam ledger`: the record of what was decided, handed out and done.

use crate::{context::Context, report::Report};
use clap::{Args, Subcommand};
use cofferdam_ledger::{Actor, Checkpoint, Event, Fault, Proof, Record, VerifierKey, verify, verify_proof};
use cofferdam_model::{Problem, Result, api::LedgerKey};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

/// Look into the ledger, take copies of it elsewhere, and verify them
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam ledger tail\n  \
    cofferdam ledger export ledger.jsonl\n  \
    cofferdam ledger verify ledger.jsonl --key \"cofferdam+1a2b3c4d+AT…\"")]
pub(crate) enum Ledger {
    /// Show the last records
    #[command(after_help = "Examples:\n  cofferdam ledger tail\n  cofferdam ledger tail --lines 100 --json")]
    Tail {
        /// How many
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        lines: u16,
    },
    /// Print the key that verifies this ledger, and its newest checkpoint, to be kept elsewhere
    #[command(after_help = "Examples:\n  cofferdam ledger key --json > ledger-key.json")]
    Key,
    /// Write all of it to a file
    #[command(after_help = "Examples:\n  cofferdam ledger export ledger.jsonl")]
    Export {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    Verify(Verify),
    Prove(Prove),
}

/// Verify an exported ledger, on any machine
///
/// Every record must be as it was written, in its place, under a checkpoint that the key has signed. What is wrong is named with
/// its place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam ledger verify ledger.jsonl --key \"cofferdam+1a2b3c4d+AT…\"\n  \
    cofferdam ledger verify ledger.jsonl --key \"cofferdam+1a2b3c4d+AT…\" --checkpoint last-week.txt")]
pub(crate) struct Verify {
    /// The exported file
    file: PathBuf,
    /// The key that verifies it: what `cofferdam ledger key` printed, when it was first kept elsewhere
    #[arg(long, value_name = "KEY")]
    key: String,
    /// A checkpoint that was kept elsewhere: nothing before it may have changed since
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Prove that a record is in the ledger
///
/// The proof is a JSON document that can be verified alone, with the key. Without --verify it is made and printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam ledger prove 17 > record-17.json\n  \
    cofferdam ledger prove --verify record-17.json --key \"cofferdam+1a2b3c4d+AT…\"")]
pub(crate) struct Prove {
    /// The record's number
    #[arg(required_unless_present = "verify", conflicts_with = "verify")]
    record: Option<u64>,
    /// Verify the proof in this file instead
    #[arg(long, value_name = "FILE", requires = "key")]
    verify: Option<PathBuf>,
    /// The key that verifies it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Ledger {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            Ledger::Tail { lines } => tail(*lines, context),
            Ledger::Key => key(context),
            Ledger::Export { file } => export(file, context),
            Ledger::Verify(verify) => verify.run(context),
            Ledger::Prove(prove) => prove.run(context),
        }
    }
}

fn tail(lines: u16, context: &Context) -> Result<Report> {
    let records: Vec<Record> = context.daemon.get(&format!("/v1/ledger?tail={lines}"))?;
    context.answer(&records, || {
        let lines = records.iter().map(line);
        lines.fold(Report::default(), Report::line)
    })
}

/// A record as one line.
fn line(record: &Record) -> String {
    format!("{:>6}  {:.0}  {}", record.index, record.at, told(&record.event))
}

fn told(event: &Event) -> String {
    match event {
        Event::Decision {
            container,
            decision,
            verb,
            allowed,
            reasons,
            ..
        } => {
            let (answer, container) = (if *allowed { "allowed" } else { "refused" }, container.short());
            let reason = reasons
                .first()
                .map(|first| format!(": {first}"))
                .unwrap_or_default();
            format!("{verb} {answer} to container {container} (decision {decision}){reason}")
        }
        Event::KeyReleased {
            volume,
            deed,
            container,
            ..
        } => {
            let whom = container.as_ref().map_or_else(
                || "cofferdamd itself".to_owned(),
                |container| format!("container {}", container.short()),
            );
            format!("key of {volume} released by version {deed} of its deed, for {whom}")
        }
        Event::RotationBegun { volume, deed, .. } => {
            format!("{volume} is encrypted anew under another key, by version {deed} of its deed")
        }
        Event::Rotated { volume, .. } => format!("{volume} is encrypted anew, its key before forgotten"),
        Event::Opened { volume, epoch, .. } => format!("{volume} opened, opening {}", epoch.0),
        Event::Closed { volume, reason, .. } => format!("{volume} closed: {reason}"),
        Event::Tampering { volume, what, .. } => format!("TAMPERING with {volume}: {what}"),
        Event::Act {
            verb,
            subject,
            detail,
            by,
        } => {
            let detail = detail.iter().map(|part| format!(", {part}")).collect::<String>();
            format!("{verb} {subject}{detail}, by {}", who(by))
        }
    }
}

fn who(actor: &Actor) -> String {
    match actor {
        Actor::Daemon => "cofferdamd".to_owned(),
        Actor::Peer { uid, pid } => format!("uid {uid} (process {pid})"),
        Actor::Docker { user, .. } if user.is_empty() => {
            "nobody in particular, as Docker knows its clients".to_owned()
        }
        Actor::Docker { user, method } => format!("{user} (a client of Docker's, by {method})"),
    }
}

fn key(context: &Context) -> Result<Report> {
    let found: LedgerKey = context.daemon.get("/v1/ledger/key")?;
    context.answer(&found, || {
        let report = Report::default().line(&found.key).line("");
        let report = found.checkpoint.lines().fold(report, Report::line);
        report.note("keep both where root on this host cannot change them")
    })
}

fn export(file: &Path, context: &Context) -> Result<Report> {
    let unwritable = |error: io::Error| {
        Problem::unavailable(format!("cannot write {}: {error}", file.display()))
            .remedy("name a file that is not there yet, in a directory that is")
    };
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(unwritable)?;
    let bytes = context.daemon.download("/v1/ledger/export", &mut out)?;
    out.sync_all().map_err(unwritable)?;
    let shown = file.display();
    context.answer(&serde_json::json!({ "file": file, "bytes": bytes }), || {
        Report::default()
            .line(format_args!("{bytes} bytes written to {shown}"))
            .note(format_args!(
                "verify it with: cofferdam ledger verify {shown} --key KEY"
            ))
    })
}

impl Verify {
    fn run(&self, context: &Context) -> Result<Report> {
        let key: VerifierKey = self.key.parse()?;
        let older = self
            .checkpoint
            .as_deref()
            .map(|file| checkpoint(file, &key))
            .transpose()?;
        let shown = self.file.display();
        let unreadable = |error: io::Error| Problem::missing(format!("cannot read {shown}: {error}"));
        let file = File::open(&self.file).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let bar = ProgressBar::new(length).with_style(style());
        let verified = verify(BufReader::new(file), &key, older.as_ref(), &mut |done| {
            bar.set_position(done)
        });
        bar.finish_and_clear();
        let verified = verified.map_err(|fault| match fault {
            Fault::Found(finding) => Problem::corrupt(format!("{shown}: {finding}"))
                .remedy("compare it with a copy that was kept elsewhere"),
            Fault::Unreadable(problem) => problem,
        })?;
        let note = verified
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.note().to_owned());
        let answer = serde_json::json!({
            "records": verified.records,
            "checkpoints": verified.frames,
            "checkpoint": note,
        });
        context.answer(&answer, || {
            Report::default().line(format_args!(
                "{shown}: {} records, as they were written, under {} signed checkpoints",
                verified.records, verified.frames
            ))
        })
    }
}

fn checkpoint(file: &Path, key: &VerifierKey) -> Result<Checkpoint> {
    let text = fs::read_to_string(file)
        .map_err(|error| Problem::missing(format!("cannot read {}: {error}", file.display())))?;
    // What `cofferdam ledger key` printed has the key in front of it.
    let note = match text.split_once("\n\n") {
        Some((first, rest)) if first == key.to_string() => rest.to_owned(),
        _ => text,
    };
    Checkpoint::parse(&note, key)
}

impl Prove {
    fn run(&self, context: &Context) -> Result<Report> {
        match (&self.verify, &self.key, self.record) {
            (Some(file), Some(key), _) => verified(file, key, context),
            (_, _, Some(record)) => {
                let proof: Proof = context.daemon.get(&format!("/v1/ledger/proofs/{record}"))?;
                Report::json(&proof)
            }
            _ => Err(Problem::invalid("nothing to prove").remedy("give the number of a record")),
        }
    }
}

fn verified(file: &Path, key: &str, context: &Context) -> Result<Report> {
    let text = fs::read(file)
        .map_err(|error| Problem::missing(format!("cannot read {}: {error}", file.display())))?;
    let proof: Proof = serde_json::from_slice(&text)
        .map_err(|error| Problem::invalid(format!("{} is no proof: {error}", file.display())))?;
    let proven = verify_proof(&proof, &key.parse()?)?;
    context.answer(&proven.record, || {
        Report::default().line(line(&proven.record)).line(format_args!(
            "is in the ledger of {} records",
            proven.checkpoint.size()
        ))
    })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_a_client_chose_stays_on_its_line() {
        let event = Event::Act {
            verb: "volume create".to_owned(),
            subject: "a\nb".to_owned(),
            detail: vec!["size 1G".to_owned()],
            by: Actor::Peer { uid: 7, pid: 8 },
        };
        let report = Report::default().line(told(&event));
        assert_eq!(report.stdout.lines().count(), 1, "{}", report.stdout);
        let mut sink = Vec::new();
        writeln!(sink, "{}", report.stdout).unwrap();
        assert!(!sink.windows(2).any(|pair| pair == b"a\n"));
    }
}
