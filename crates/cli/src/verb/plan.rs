//! `cofferdam plan`: what would be decided of a `docker run`, without running it.

use super::explained::{judged, side_by_side, way_out};
use crate::{
    context::Context,
    docker::{Ended, Launch},
    exit, layout,
    report::Report,
};
use clap::Args;
use cofferdam_linux::random;
use cofferdam_model::api::{Plan as Planned, PlannedNeighbour, PlannedPath, Status};
use cofferdam_model::{PlanId, Problem, Result};
use std::ffi::OsString;

/// Say what would be decided of a docker run, without running it
///
/// Docker makes the container, asks for it to be started, and is refused: it is measured and decided on as always, nothing is opened, and
/// it never runs. Then it is removed. What Docker does before it starts a container, it does here too: it pulls the image where it is not
/// there, and makes volumes of its own and host directories that are not there.
///
/// The exit code is 0 where it would start, and 4 where it would be refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam plan -- docker run -d -v payments.pgdata:/var/lib/postgresql/data postgres:16\n  \
    cofferdam plan --json -- docker -H unix:///run/docker.sock run --rm -v /srv/conf:/etc/app app:3\n  \
    cofferdam plan --runtime guarded -- docker create --name db -v payments.pgdata:/data postgres:16")]
pub(crate) struct Plan {
    /// What Docker calls Cofferdam's runtime
    #[arg(long, value_name = "NAME", default_value = "cofferdam")]
    runtime: String,
    /// The command, from docker on
    #[arg(last = true, required = true, value_name = "DOCKER")]
    command: Vec<OsString>,
}

impl Plan {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        let launch = Launch::parse(&self.command, &self.runtime)?;
        // Nothing is made where nobody could say anything about it.
        context.daemon.get::<Status>("/v1/status")?;
        let bits = random::bits().map_err(|error| Problem::unavailable(format!("no random id: {error}")))?;
        let id = PlanId::from_bits(bits);
        let ended = launch.plan(id, &self.runtime)?;
        if ended.started {
            return Err(Problem::internal(
                "the container was started, and has been stopped and removed again: its runtime is not Cofferdam's, or an older one",
            )
            .remedy("see what the runtime is that Docker knows by that name: docker info"));
        }
        if ended.interrupted {
            return Err(left_over(
                Problem::missing("interrupted before there was a plan"),
                &ended,
            ));
        }
        let planned: Option<Planned> = context.daemon.find(&format!("/v1/plans/{id}"))?;
        match planned.filter(|planned| Some(&planned.container) == ended.container.as_ref()) {
            Some(planned) => {
                let code = if planned.allowed {
                    0
                } else {
                    exit::WOULD_BE_REFUSED
                };
                let report = context.answer(&planned, || told(&planned, context))?;
                Ok(remarks(report, &ended).ending(code))
            }
            None => unplanned(&ended, context),
        }
    }
}

/// Docker's own error, as it is: it did not come to asking, or the plan is not this user's to see.
fn unplanned(ended: &Ended, context: &Context) -> Result<Report> {
    if context.json || ended.message.trim().is_empty() {
        let message = format!("there is no plan; docker said: {}", ended.message.trim());
        return Err(left_over(Problem::missing(message), ended));
    }
    let lines = ended.message.lines();
    let report = lines.fold(Report::default(), |report, line| report.note(line));
    Ok(remarks(report, ended).ending(1))
}

fn left_over(problem: Problem, ended: &Ended) -> Problem {
    match ended.left.first() {
        Some(container) => problem.remedy(format!("docker rm --force --volumes {container}")),
        None => problem,
    }
}

fn remarks(report: Report, ended: &Ended) -> Report {
    ended.left.iter().fold(report, |report, container| {
        report.note(format_args!(
            "the container could not be removed; try: docker rm --force --volumes {container}"
        ))
    })
}

fn told(planned: &Planned, context: &Context) -> Report {
    let refused = planned
        .explained
        .as_ref()
        .and_then(|one| one.decision.refused.as_ref());
    let answer = match (planned.asked, planned.allowed, refused) {
        (false, ..) => "would start without being asked about".to_owned(),
        (_, true, _) => "would start".to_owned(),
        (.., Some(problem)) => format!("would be refused: {}", problem.message),
        (.., None) => "would be refused".to_owned(),
    };
    let mut facts = vec![
        ("plan", answer),
        ("container", "never started, and removed".to_owned()),
    ];
    if let Some(explained) = &planned.explained {
        let id = explained.decision.id;
        facts.push((
            "recorded",
            format!("as decision {id}; all of it: cofferdam why {id}"),
        ));
    }
    let report = Report::default().block(layout::facts(&facts));
    let report = planned.volumes.iter().fold(report, judged);
    let report = host_paths(report, &planned.host_paths);
    let report = match &planned.neighbour {
        Some(neighbour) => reaching(report, neighbour),
        None => report,
    };
    match &planned.explained {
        Some(explained) => way_out(side_by_side(report, explained, context), explained),
        None => report,
    }
}

fn host_paths(report: Report, paths: &[PlannedPath]) -> Report {
    paths.iter().fold(report, |report, path| {
        let named = format!("{} at {}, from outside", path.source, path.destination);
        let report = report.line("");
        match &path.refused {
            None => report.line(format_args!("{named}: allowed")),
            Some(problem) => report
                .line(format_args!("{named}: refused"))
                .line(format_args!("  - {problem}")),
        }
    })
}

fn reaching(report: Report, neighbour: &PlannedNeighbour) -> Report {
    let report = report.line("").line(format_args!(
        "It could reach other containers, by {}: {}",
        neighbour.ways.join(", "),
        match (&neighbour.app, &neighbour.refused) {
            (Some(app), _) => format!("allowed as {app}"),
            (None, None) => "allowed".to_owned(),
            (None, Some(_)) => "refused".to_owned(),
        }
    ));
    match &neighbour.refused {
        Some(problem) => report.line(format_args!("  - {}", problem.message)),
        None => report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use serde_json::json;
    use std::time::Duration;

    fn text(planned: serde_json::Value) -> String {
        let context = Context {
            daemon: Client::new("/does/not/exist".into(), Duration::ZERO),
            now: jiff::Timestamp::UNIX_EPOCH,
            json: false,
            bold: false,
            unicode: true,
        };
        told(&serde_json::from_value(planned).unwrap(), &context).stdout
    }

    const ID: &str = "00000000000000000000000000007f3a";

    #[test]
    fn a_plan_reads_from_the_top() {
        let planned = json!({
            "id": ID, "at": "2026-11-24T11:57:00Z", "container": "3f2a", "asked": true, "allowed": false,
            "volumes": [{"volume": "payments.pgdata", "allowed": false, "reasons": ["argv differs"]}],
            "host_paths": [
                {"source": "/srv/\u{1b}[2J", "destination": "/x"},
                {"source": "/etc", "destination": "/y", "refused": {"kind": "denied", "message": "/etc is forbidden", "remedy": "bind a part"}},
            ],
            "neighbour": {"ways": ["cap:SYS_ADMIN"], "app": "host.tool"},
            "explained": {
                "id": "0012", "at": "2026-11-24T11:57:00Z", "container": "3f2a", "verb": "plan", "volumes": [],
                "refused": {"kind": "denied", "message": "/etc is forbidden"},
                "compared": [{"app": "payments.postgres", "granted": [], "points": [
                    {"what": "command", "differs": true, "rule": "the image's own", "found": "[\"sh\"]"},
                    {"what": "user", "differs": false, "rule": "any", "found": "0:0"},
                ]}],
                "remedy": {"never": "it is forbidden"},
            },
        });
        assert_eq!(
            text(planned),
            r#"plan       would be refused: /etc is forbidden
container  never started, and removed
recorded   as decision 0012; all of it: cofferdam why 0012

payments.pgdata: refused; no app matches
  - argv differs

/srv/\u{1b}[2J at /x, from outside: allowed

/etc at /y, from outside: refused
  - /etc is forbidden; bind a part

It could reach other containers, by cap:SYS_ADMIN: allowed as host.tool

payments.postgres: the container differs from its rule in 1 point
   POINT    THE RULE         FOUND
≠  command  the image's own  ["sh"]
=  user     any              0:0

Nothing should: it is forbidden.
"#
        );
    }

    #[test]
    fn what_nobody_is_asked_about_is_said() {
        let planned = json!({
            "id": ID, "at": "2026-11-24T11:57:00Z", "container": "3f2a", "asked": false, "allowed": true,
            "volumes": [], "host_paths": [],
        });
        assert!(text(planned).starts_with("plan       would start without being asked about\n"));
    }
}
