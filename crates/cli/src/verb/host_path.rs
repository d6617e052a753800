//! `cofferdam host-path`: which application may bind which path of the host's.

use crate::{age, context::Context, duration::End, layout, report::Report};
use clap::{Args, Subcommand};
use cofferdam_model::{
    AppName, HostPath, HostPathGrant, HostSource, NewHostPathGrant, OldHostPathGrant, Problem, Result,
};

/// Say which application may bind which path of the host's
///
/// From the first grant on, the path and what lies below it are open to the applications that were named, and to no other container;
/// a path that nobody has a grant on may be bound by any, unless it is a sensitive one ([guard] in the settings). A grant is needed
/// beside the application's rule, which says where such a mount may appear: --allow-mount.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam host-path allow /srv/www --to payments.web --read-only\n  \
    cofferdam host-path ls\n  \
    cofferdam host-path revoke /srv/www --from payments.web")]
pub(crate) enum HostPaths {
    Allow(Allow),
    Revoke(Revoke),
    /// List the grants on host paths
    #[command(after_help = "Examples:\n  cofferdam host-path ls\n  cofferdam host-path ls --json")]
    Ls,
}

/// What is meant: a path, or a volume of Docker's own.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The path, a directory or a file that is there
    path: Option<HostPath>,
    /// A volume of Docker's own driver, by its name, in place of a path
    #[arg(long, value_name = "NAME")]
    docker_volume: Option<String>,
}

impl Source {
    fn named(&self) -> Option<HostSource> {
        let volume = || self.docker_volume.clone().map(HostSource::DockerVolume);
        self.path.clone().map(HostSource::Path).or_else(volume)
    }
}

/// Let an application bind a path of the host's, or what lies below it
///
/// A grant that is there already is replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam host-path allow /srv/www --to payments.web --read-only\n  \
    cofferdam host-path allow /srv/upload --to payments.web --map-owner --until 7d\n  \
    cofferdam host-path allow --docker-volume cache --to payments.web --map-owner")]
pub(crate) struct Allow {
    #[command(flatten)]
    source: Source,
    /// The application, as tenant.name
    #[arg(long, value_name = "APP")]
    to: AppName,
    /// Reading only
    #[arg(long)]
    read_only: bool,
    /// Processes may be added to the container, which see what is bound there (docker exec)
    #[arg(long)]
    exec: bool,
    /// What belongs to the directory's owner belongs to the container's user, whoever that is. No file is touched. Not for root's
    /// directories, but for those of Docker's volumes
    #[arg(long)]
    map_owner: bool,
    /// Not from this instant on: 2027-01-31T18:00:00Z, or a time from now such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    until: Option<End>,
}

/// Take back what a grant on a host path gave
///
/// Containers that have bound it go on until they end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam host-path revoke /srv/www --from payments.web\n  \
    cofferdam host-path revoke --docker-volume cache --from payments.web")]
pub(crate) struct Revoke {
    #[command(flatten)]
    source: Source,
    /// The application, as tenant.name
    #[arg(long, value_name = "APP")]
    from: AppName,
}

impl HostPaths {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            HostPaths::Allow(allow) => allow.run(context),
            HostPaths::Revoke(revoke) => revoke.run(context),
            HostPaths::Ls => list(context),
        }
    }
}

impl Allow {
    fn run(&self, context: &Context) -> Result<Report> {
        let wanted = NewHostPathGrant {
            source: named(&self.source)?,
            app: self.to.clone(),
            write: !self.read_only,
            exec: self.exec,
            map_owner: self.map_owner,
            until: self.until.map(|end| end.from(context.now)).transpose()?,
        };
        let given: HostPathGrant = context.daemon.put("/v1/host-paths", &wanted)?;
        context.answer(&given, || {
            let until = given.until.map_or_else(String::new, |until| {
                format!(", until {}", age::full(until, context.now))
            });
            let how = if given.map_owner { " as its owner" } else { "" };
            let sentence = format!("{} may {} {}{how}{until}", given.app, may(&given), given.path);
            Report::default()
                .line(sentence)
                .note("no other container may bind it, or what lies below it, without a grant")
        })
    }
}

impl Revoke {
    fn run(&self, context: &Context) -> Result<Report> {
        let old = OldHostPathGrant {
            source: named(&self.source)?,
            app: self.from.clone(),
        };
        let taken: HostPathGrant = context.daemon.post("/v1/host-paths/revocations", &old)?;
        if context.json {
            return Report::json(&taken);
        }
        let report = Report::default().line(format_args!("{} may no longer bind {}", taken.app, taken.path));
        let left: Result<Vec<HostPathGrant>> = context.daemon.get("/v1/host-paths");
        let is_last = left.is_ok_and(|left| left.iter().all(|grant| grant.path != taken.path));
        Ok(match is_last {
            true => report.note(
                "nobody has a grant on it any more: any container may bind it, unless [guard] host_paths_need_grant says otherwise",
            ),
            false => report,
        })
    }
}

fn named(source: &Source) -> Result<HostSource> {
    source
        .named()
        .ok_or_else(|| Problem::invalid("neither a path nor a volume of Docker's is named"))
}

fn list(context: &Context) -> Result<Report> {
    let grants: Vec<HostPathGrant> = context.daemon.get("/v1/host-paths")?;
    context.answer(&grants, || match grants.as_slice() {
        [] => Report::default()
            .note("no grants on host paths yet; make one with: cofferdam host-path allow PATH --to APP"),
        grants => {
            let rows = grants.iter().map(|grant| {
                let until = grant
                    .until
                    .map_or("-".to_owned(), |until| age::relative(until, context.now));
                [
                    grant.path.to_string(),
                    grant.app.to_string(),
                    format!(
                        "{}{}",
                        may(grant),
                        if grant.map_owner { " as its owner" } else { "" }
                    ),
                    until,
                ]
            });
            let header = ["PATH", "APP", "MAY", "UNTIL"];
            Report::default().block(layout::table(header, rows.collect(), context.bold))
        }
    })
}

fn may(grant: &HostPathGrant) -> &'static str {
    match (grant.write, grant.exec) {
        (true, false) => "read and write",
        (false, false) => "read",
        (true, true) => "read, write and exec",
        (false, true) => "read and exec",
    }
}
