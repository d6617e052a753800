//! `cofferdam why`: what was decided, on what grounds, and what would change it.

use super::explained::{judged, side_by_side, way_out};
use crate::{age, context::Context, layout, report::Report, visible};
use clap::Args;
use cofferdam_model::{
    DecisionId, MeasuredMount, Measurement, MountKind, Namespace, Namespaces, Result,
    api::{Decision, Explained},
};

/// Show why a container was let in or refused
///
/// Without an id, the last decisions are listed, newest first. With an id: what was asked, every reason,
/// what the container was found to be, beside the rule of each app that comes into question (= the same,
/// != different), and the one command that would allow it, or why nothing should.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cofferdam why\n  cofferdam why 7f3a\n  cofferdam why 7f3a --json")]
pub(crate) struct Why {
    /// The id in the error that the engine printed
    id: Option<DecisionId>,
}

impl Why {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self.id {
            Some(id) => one(id, context),
            None => list(context),
        }
    }
}

fn list(context: &Context) -> Result<Report> {
    let decisions: Vec<Decision> = context.daemon.get("/v1/decisions")?;
    context.answer(&decisions, || {
        if decisions.is_empty() {
            return Report::default().note("no decisions yet; start a container with a volume");
        }
        let rows = decisions.iter().map(|decision| {
            let asked_for = decision.volumes.iter().map(|asked| asked.volume.to_string());
            [
                decision.id.to_string(),
                age::relative(decision.at, context.now),
                decision.container.short().to_owned(),
                decision.verb.clone(),
                asked_for.collect::<Vec<_>>().join(", "),
                answer(decision).to_owned(),
            ]
        });
        let header = ["ID", "WHEN", "CONTAINER", "ASKED", "VOLUMES", "ANSWER"];
        Report::default().block(layout::table(header, rows.collect(), context.bold))
    })
}

fn one(id: DecisionId, context: &Context) -> Result<Report> {
    let explained: Explained = context.daemon.get(&format!("/v1/decisions/{id}"))?;
    context.answer(&explained, || {
        let decision = &explained.decision;
        let report = headline(decision, context);
        let report = decision.volumes.iter().fold(report, judged);
        let report = match &decision.measurement {
            Some(found) => report
                .line("")
                .line("The container was found to be:")
                .block(measured(found)),
            None => report.line("").line("The container could not be measured."),
        };
        way_out(side_by_side(report, &explained, context), &explained)
    })
}

/// The answer in a word or two.
fn answer(decision: &Decision) -> &'static str {
    match (decision.verb.as_str(), &decision.refused) {
        ("plan", Some(_)) => "would be refused",
        ("plan", None) => "would be allowed",
        (_, Some(_)) => "refused",
        (_, None) => "allowed",
    }
}

fn headline(decision: &Decision, context: &Context) -> Report {
    let answer = match &decision.refused {
        Some(problem) => format!("{}: {}", answer(decision), problem.message),
        None => answer(decision).to_owned(),
    };
    Report::default().block(layout::facts(&[
        ("decision", decision.id.to_string()),
        ("taken", age::full(decision.at, context.now)),
        ("container", decision.container.to_string()),
        ("asked", decision.verb.clone()),
        ("answer", answer),
    ]))
}

fn measured(found: &Measurement) -> layout::Block {
    let user = &found.user;
    let groups = match user.groups.as_slice() {
        [] => String::new(),
        groups => format!(
            ", groups {}",
            groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
        ),
    };
    let mut facts = vec![
        ("  image", found.image.config.to_string()),
        ("  layers", found.image.chain.to_string()),
        ("  argv", visible::argv(&found.argv)),
        ("  image's argv", visible::argv(&found.image_command)),
        ("  directory", found.cwd.clone()),
        ("  environment", environment(found)),
        ("  root changed", changes(found)),
        ("  user", format!("{}{groups}", user.owner)),
        ("  namespaces", namespaces(&found.namespaces)),
        ("  privileges", privileges(found)),
    ];
    facts.extend(
        found
            .mounts
            .iter()
            .filter_map(|mount| brought_in(found, mount).map(|text| ("  mount", text))),
    );
    layout::facts(&facts)
}

/// By name alone: the daemon tells nobody what the values are.
fn environment(found: &Measurement) -> String {
    let names: Vec<&str> = found.foreign_env.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => "the image's own".to_owned(),
        names => format!("the image's own, and {}", names.join(", ")),
    }
}

fn changes(found: &Measurement) -> String {
    let places: Vec<&str> = found.root.places.iter().map(String::as_str).collect();
    let more = if found.root.more { ", and more" } else { "" };
    match places.as_slice() {
        [] if !found.root.more => "nowhere".to_owned(),
        places => format!("at {}{more}", places.join(", ")),
    }
}

fn namespaces(found: &Namespaces) -> String {
    let shared: Vec<String> = [
        ("pid", found.pid),
        ("mount", found.mount),
        ("ipc", found.ipc),
        ("network", found.network),
        ("uts", found.uts),
        ("cgroup", found.cgroup),
        ("user", found.user),
    ]
    .into_iter()
    .filter(|(name, namespace)| match namespace {
        Namespace::Own => false,
        // Engines give a container a user namespace of its own only where they are told to.
        Namespace::Host => *name != "user",
        Namespace::Foreign => true,
    })
    .map(|(name, namespace)| format!("{name} {}", namespace.word()))
    .collect();
    match shared.as_slice() {
        [] => "its own".to_owned(),
        shared => format!("{}; the others its own", shared.join(", ")),
    }
}

fn privileges(found: &Measurement) -> String {
    let added: Vec<String> = found.privileges.iter().map(ToString::to_string).collect();
    match added.as_slice() {
        [] => "none added".to_owned(),
        added => added.join(", "),
    }
}

/// A mount that brings something in or hides something, as text; the kernel's and the engine's own otherwise say
/// nothing about a container.
fn brought_in(found: &Measurement, mount: &MeasuredMount) -> Option<String> {
    let over = found.is_hidden_by(mount);
    let source = match &mount.kind {
        MountKind::Kernel(kind) if over => format!("an empty {kind}"),
        MountKind::Kernel(_) | MountKind::Engine => return None,
        MountKind::Volume(volume) => format!("volume {volume}"),
        MountKind::Outside(source) => format!("{source} from outside"),
    };
    let mode = if mount.read_only { ", read-only" } else { "" };
    let over = if over { ", over the image's own files" } else { "" };
    Some(format!("{} is {source}{mode}{over}", mount.destination))
}
