//! The command line: one definition of every verb, from which parser, help, man pages and completions
//! come.
//!
//! The options of a verb stand beside what the verb does, in `verb`.

use crate::{
    client::DEFAULT_SOCKET,
    duration::Length,
    verb::{
        app, attachments, completions, grant, host_path, ledger, man, plan, status, tenant, ticket, volume,
        why,
    },
};
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use std::path::PathBuf;

/// The heading of the options that every command understands.
const EVERYWHERE: &str = "Options of every command";

/// Say which application may open which volume, and see who holds it.
#[derive(Debug, Parser)]
#[command(
    name = "cofferdam",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    long_about = "Say which application may open which volume, and see who holds it.\n\n\
        A volume can be opened by the applications that have a grant for it, and by nothing else on the \
        host. Names are tenant.name; a bare name belongs to the tenant default.\n\n\
        Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 cofferdamd does not answer; \
        4 what was planned would be refused.",
    after_help = "Examples:\n  \
        cofferdam tenant create payments\n  \
        cofferdam app create payments.postgres --image postgres:16\n  \
        cofferdam volume create payments.pgdata --size 10G\n  \
        cofferdam grant payments.pgdata payments.postgres\n  \
        cofferdam why"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print the daemon's answer as JSON, and errors too
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,

    /// The daemon's admin socket
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,

    /// How long to wait for the daemon
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "TIME", default_value = "30s")]
    pub(crate) timeout: Length,

    /// The instant to count from in "3 minutes ago" and "--until 2h", instead of the clock's
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "INSTANT", hide = true)]
    pub(crate) clock: Option<Timestamp>,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    #[command(subcommand)]
    App(app::App),
    #[command(subcommand)]
    Volume(volume::Volume),
    Grant(grant::Give),
    Revoke(grant::Take),
    #[command(subcommand)]
    HostPath(host_path::HostPaths),
    #[command(subcommand)]
    Ticket(ticket::Ticket),
    Attachments(attachments::Attachments),
    Why(why::Why),
    Plan(plan::Plan),
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    Status(status::Status),
    Completions(completions::Completions),
    Man(man::Man),
}
