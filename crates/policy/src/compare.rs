//! A container beside an app's rule, point by point.
//!
//! What differs is not worked out here: every [`Difference`] belongs to one point, and a point differs where one of them belongs to it.
//! So the table cannot say anything else than what was decided by.

use crate::{
    rule::{Difference, Mismatch},
    shown,
};
use cofferdam_model::api::Point;
use cofferdam_model::{
    App, Command, LaunchRule, MeasuredMount, Measurement, MountKind, Namespace, NetworkRule, Privilege,
    TicketFound, UserRule, environment, place,
};
use std::collections::BTreeSet;

/// The most points of one kind; those beyond are one point together.
const OF_A_KIND: usize = 16;

/// The points of an app's rule, beside what was found. `differing` is what differs from that rule.
pub(crate) fn points(app: &App, measurement: &Measurement, differing: &[Mismatch]) -> Vec<Point> {
    let rule = &app.rule;
    let differs: BTreeSet<String> = differing.iter().map(|one| point_of(&one.difference)).collect();
    let single = |what: &str, rule: String, found: String| Point {
        what: what.to_owned(),
        differs: differs.contains(what),
        rule,
        found,
    };
    let several = |kind: &str, rest: &str, rows: Vec<(String, String, String)>| {
        let rows = rows.into_iter().map(|(what, rule, found)| Point {
            differs: differs.contains(&what),
            what,
            rule,
            found,
        });
        bounded(kind, rest, rows.collect())
    };
    let mut points = vec![
        single("image", image(&rule.image), image(&measurement.image.config)),
        single(
            "command",
            command(rule, measurement),
            shown::list(&measurement.argv),
        ),
        single(
            "user",
            user(rule.user.clone()),
            measurement.user.owner.to_string(),
        ),
        single(
            "directory",
            directory(rule, measurement),
            shown::text(&measurement.cwd),
        ),
    ];
    points.extend(several("groups", "the image's own", groups(rule, measurement)));
    points.extend(several(
        "environment",
        "the image's own",
        names(rule, measurement),
    ));
    points.push(single("root filesystem", root(rule), changes(measurement)));
    points.extend(several("mounts", "none from outside", mounts(rule, measurement)));
    points.extend(several("privileges", "none added", privileges(rule, measurement)));
    let namespaces = measurement.namespaces;
    points.push(single(
        "network",
        network(rule.network),
        whose(namespaces.network),
    ));
    // Engines give a container a user namespace of its own only where they are told to.
    for (kind, wanted, found) in [
        ("pid", "its own", namespaces.pid),
        ("mount", "its own", namespaces.mount),
        ("user", "its own, or the host's", namespaces.user),
    ] {
        let wanted = if shares(rule, kind) { "any" } else { wanted };
        points.push(single(
            &format!("{kind} namespace"),
            wanted.to_owned(),
            whose(found),
        ));
    }
    if rule.no_new_privileges {
        let found = match measurement.no_new_privileges {
            true => NONE_GAINED,
            false => "may be gained",
        };
        points.push(single(NEW_PRIVILEGES, NONE_GAINED.to_owned(), found.to_owned()));
    }
    points.push(single("ticket", required(rule), ticket(app, measurement)));
    points
}

const NEW_PRIVILEGES: &str = "new privileges";
const NONE_GAINED: &str = "none may be gained";

/// The one point that a difference belongs to.
fn point_of(difference: &Difference) -> String {
    match difference {
        Difference::Image { .. } => "image".to_owned(),
        Difference::NotTheImagesCommand { .. } | Difference::NotTheRulesCommand { .. } => {
            "command".to_owned()
        }
        Difference::User { .. } => "user".to_owned(),
        Difference::Group(number) => group(*number),
        Difference::Directory { .. } => "directory".to_owned(),
        Difference::OddPlace { destination, .. }
        | Difference::OverImage { destination, .. }
        | Difference::OutsideMount { destination } => mount(destination),
        Difference::Environment(name) | Difference::LeadsToCode(name) => variable(name),
        Difference::Changed { .. } => "root filesystem".to_owned(),
        Difference::Privilege(held) | Difference::WayOut(held) => privilege(held),
        Difference::NewPrivileges => NEW_PRIVILEGES.to_owned(),
        Difference::Ticket(_) => "ticket".to_owned(),
        Difference::Namespace { kind: "network", .. } => "network".to_owned(),
        Difference::Namespace { kind, .. } => format!("{kind} namespace"),
    }
}

fn mount(destination: &str) -> String {
    format!("mount {}", shown::text(destination))
}

fn group(number: u32) -> String {
    format!("group {number}")
}

fn variable(name: &str) -> String {
    format!("environment {}", shown::text(name))
}

fn privilege(held: &Privilege) -> String {
    format!("privilege {}", shown::text(&held.to_string()))
}

/// Points of one kind: one that says there are none, or the first of them, those that differ before the others.
fn bounded(kind: &str, none: &str, mut points: Vec<Point>) -> Vec<Point> {
    if points.is_empty() {
        return vec![Point {
            what: kind.to_owned(),
            differs: false,
            rule: none.to_owned(),
            found: none.to_owned(),
        }];
    }
    points.sort_by_key(|point| !point.differs);
    let more = points.split_off(points.len().min(OF_A_KIND));
    if !more.is_empty() {
        points.push(Point {
            what: format!("{kind}: {} more", more.len()),
            differs: more.iter().any(|point| point.differs),
            rule: "…".to_owned(),
            found: "…".to_owned(),
        });
    }
    points
}

fn image(config: &cofferdam_model::Sha256) -> String {
    format!("sha256:{}…", config.short())
}

fn command(rule: &LaunchRule, measurement: &Measurement) -> String {
    match &rule.command {
        Command::Exactly(argv) => shown::list(argv),
        Command::Image if rule.image == measurement.image.config => {
            format!("the image's own: {}", shown::list(&measurement.image_command))
        }
        Command::Image => "the image's own".to_owned(),
    }
}

fn user(rule: UserRule) -> String {
    match rule {
        UserRule::Any => "any".to_owned(),
        UserRule::Exactly(owner) => owner.to_string(),
    }
}

fn directory(rule: &LaunchRule, measurement: &Measurement) -> String {
    match &rule.cwd {
        Some(directory) => shown::text(directory),
        None => format!("the image's own: {}", shown::text(&measurement.image_cwd)),
    }
}

fn names(rule: &LaunchRule, measurement: &Measurement) -> Vec<(String, String, String)> {
    let row = |name: &String| {
        let asked = match environment::leads_to_code(name) {
            true => "no rule can allow it",
            false => allowed(rule.env.contains(name)),
        };
        (variable(name), asked.to_owned(), "from outside".to_owned())
    };
    measurement.foreign_env.iter().map(row).collect()
}

fn groups(rule: &LaunchRule, measurement: &Measurement) -> Vec<(String, String, String)> {
    let row = |number: &u32| {
        let asked = allowed(rule.groups.contains(number)).to_owned();
        (group(*number), asked, "from outside".to_owned())
    };
    measurement.foreign_groups.iter().map(row).collect()
}

fn allowed(is: bool) -> &'static str {
    if is { "allowed" } else { "not allowed" }
}

fn root(rule: &LaunchRule) -> String {
    let places: Vec<String> = rule.changed.iter().cloned().collect();
    match places.as_slice() {
        [] => "the image's".to_owned(),
        places => format!("the image's, but below {}", shown::list(places)),
    }
}

fn changes(measurement: &Measurement) -> String {
    let found = &measurement.root;
    let places: Vec<String> = found.places.iter().cloned().collect();
    let more = if found.more { " and more" } else { "" };
    match found.is_none() {
        true => "the image's".to_owned(),
        false => format!("changed at {}{more}", shown::list(&places)),
    }
}

/// Mounts that a rule says anything about: those from outside, and those that hide something or may be read in two ways.
fn mounts(rule: &LaunchRule, measurement: &Measurement) -> Vec<(String, String, String)> {
    let row = |found: &MeasuredMount| {
        let odd = place::plain(&found.destination).is_none();
        let over = measurement.is_hidden_by(found);
        let what = match &found.kind {
            MountKind::Engine => return None,
            MountKind::Outside(source) => format!("{} from outside", shown::text(source)),
            MountKind::Volume(volume) if over => format!("volume {volume}, over the image's own files"),
            MountKind::Kernel(kind) if over => format!("a {}, over the image's own files", shown::text(kind)),
            MountKind::Volume(volume) if odd => format!("volume {volume}"),
            MountKind::Kernel(kind) if odd => format!("a {}", shown::text(kind)),
            MountKind::Volume(_) | MountKind::Kernel(_) => return None,
        };
        let named = |place: &String| place::same(place, &found.destination);
        let asked = match &found.kind {
            MountKind::Outside(_) => allowed(rule.mounts.contains(&found.destination)),
            _ if odd => "no rule can allow it",
            _ => allowed(rule.mounts.iter().any(named)),
        };
        Some((mount(&found.destination), asked.to_owned(), what))
    };
    measurement.mounts.iter().filter_map(row).collect()
}

fn privileges(rule: &LaunchRule, measurement: &Measurement) -> Vec<(String, String, String)> {
    let row = |held: &Privilege| {
        let named = rule.allow.contains(held) || rule.allow.contains(&Privilege::Everything);
        let asked = match held.reaches_out() && !named {
            true => "no rule can allow it beside a volume",
            false => allowed(named),
        };
        (privilege(held), asked.to_owned(), "held".to_owned())
    };
    measurement.privileges.iter().map(row).collect()
}

fn network(rule: NetworkRule) -> String {
    match rule {
        NetworkRule::Own => "its own",
        NetworkRule::Host => "its own, or the host's",
        NetworkRule::Any => "any",
    }
    .to_owned()
}

/// Whether a rule allows that a namespace is shared, which counts for a container without a volume alone.
fn shares(rule: &LaunchRule, kind: &str) -> bool {
    rule.allow.contains(&Privilege::Everything)
        || rule.allow.contains(&Privilege::SharedNamespace(kind.to_owned()))
}

fn whose(namespace: Namespace) -> String {
    match namespace {
        Namespace::Own => "its own",
        Namespace::Host => "the host's",
        Namespace::Foreign => "another container's",
    }
    .to_owned()
}

fn required(rule: &LaunchRule) -> String {
    match rule.ticket {
        true => "required".to_owned(),
        false => "not required".to_owned(),
    }
}

/// What another tenant signed is not this one's to know.
fn ticket(app: &App, measurement: &Measurement) -> String {
    match &measurement.ticket {
        None => "none".to_owned(),
        Some(TicketFound::Holds(named)) if *named == app.name => "holds".to_owned(),
        Some(TicketFound::Holds(_)) => "for another app".to_owned(),
        Some(TicketFound::Fails(why)) => format!("proves nothing: {}", shown::text(why)),
    }
}

#[cfg(test)]
mod tests;
