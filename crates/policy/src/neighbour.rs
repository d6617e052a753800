//! Neighbours: containers that ask for no volume, and could reach one that is open in another container.
//!
//! `/proc/<pid>/root` of another container's process, the node of the device that its filesystem lies on, memory that it shares: each
//! leads past every wall of the other one. So whoever holds such a way is judged like a mount: refused, unless an app's rule allows
//! the very things that it holds.
//!
//! What this does not do: see a container that was started by another runtime.

use crate::{command::quoted, facts::Facts, rule, shown};
use cofferdam_model::{App, Measurement, Namespace, Privilege, Problem, Result};

/// What is no way to others as long as the container sees its own processes alone.
const ONLY_AMONG_OTHERS: [&str; 3] = ["SYS_PTRACE", "SYS_BOOT", "CHECKPOINT_RESTORE"];

/// The most ways that are named.
const NAMED: usize = 4;

/// The ways by which a container could reach others; none for an ordinary one.
pub fn reaches(measurement: &Measurement) -> Vec<Privilege> {
    let namespaces = measurement.namespaces;
    let shared = [
        ("pid", namespaces.pid != Namespace::Own),
        ("mount", namespaces.mount != Namespace::Own),
        ("user", namespaces.user == Namespace::Foreign),
        ("ipc", namespaces.ipc == Namespace::Foreign),
    ];
    let shared = shared.into_iter().filter(|(_, is)| *is);
    let alone = namespaces.pid == Namespace::Own;
    let held = measurement.privileges.iter().filter(|privilege| match privilege {
        Privilege::Capability(name) => {
            privilege.reaches_out() && !(alone && ONLY_AMONG_OTHERS.contains(&name.as_str()))
        }
        Privilege::BlockDevice(_) | Privilege::UnmaskedPaths => true,
        // Named above; what steers the runtime below matters beside a volume alone.
        _ => false,
    });
    let shared = shared.map(|(kind, _)| Privilege::SharedNamespace(kind.to_owned()));
    shared.chain(held.cloned()).collect()
}

/// Which app a container without a volume is that could reach others; none where it could not.
///
/// # Errors
/// `Denied`, where no app's rule allows what it holds.
pub fn neighbour<'a>(facts: &'a Facts, measurement: &Measurement) -> Result<Option<&'a App>> {
    let ways = reaches(measurement);
    if ways.is_empty() {
        return Ok(None);
    }
    let image = &measurement.image.config;
    let proves = |app: &&App| rule::mismatches_without_volume(&app.rule, &app.name, measurement).is_empty();
    if let Some(app) = facts.apps_of_image(image).find(proves) {
        return Ok(Some(app));
    }
    let named: Vec<String> = ways.iter().map(|way| shown::text(&way.to_string())).collect();
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first = named.get(..NAMED).unwrap_or(&named).join(", ");
    let typed = ways.iter().map(|way| quoted(&way.to_string()));
    let typed: Option<Vec<String>> = typed.map(|way| Some(format!("--allow {}", way?))).collect();
    let allow = match typed {
        Some(typed) if typed.len() <= NAMED => typed.join(" "),
        _ => "--allow everything".to_owned(),
    };
    Err(Problem::denied(format!(
        "this container could reach the volumes of others ({first}{more}), and is no app whose rule allows that"
    ))
    .remedy(format!(
        "start it without; or make it an app: cofferdam app create NAME --image {image} {allow}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{app, measurement};
    use cofferdam_model::ErrorKind;

    fn with(change: impl FnOnce(&mut Measurement)) -> Measurement {
        let mut measured = measurement();
        change(&mut measured);
        measured
    }

    fn capability(name: &str) -> Privilege {
        Privilege::Capability(name.to_owned())
    }

    fn holding(privilege: Privilege) -> impl FnOnce(&mut Measurement) {
        move |found| {
            found.privileges.insert(privilege);
        }
    }

    #[test]
    fn an_ordinary_container_reaches_nobody() {
        assert!(reaches(&measurement()).is_empty());
        assert!(neighbour(&Facts::new(), &measurement()).unwrap().is_none());
        for harmless in ["NET_ADMIN", "SYS_PTRACE", "SYS_NICE"] {
            let measured = with(holding(capability(harmless)));
            assert!(reaches(&measured).is_empty(), "{harmless}");
        }
    }

    #[test]
    fn every_way_is_seen_and_refused() {
        let ways: [(&str, Measurement); 7] = [
            ("unmasked-paths", with(holding(Privilege::UnmaskedPaths))),
            ("cap:SYS_ADMIN", with(holding(capability("SYS_ADMIN")))),
            (
                "block-device:/dev/sda",
                with(holding(Privilege::BlockDevice("/dev/sda".into()))),
            ),
            (
                "namespace:pid",
                with(|found| found.namespaces.pid = Namespace::Host),
            ),
            (
                "namespace:pid",
                with(|found| found.namespaces.pid = Namespace::Foreign),
            ),
            (
                "namespace:ipc",
                with(|found| found.namespaces.ipc = Namespace::Foreign),
            ),
            (
                "namespace:user",
                with(|found| found.namespaces.user = Namespace::Foreign),
            ),
        ];
        for (way, measured) in ways {
            let refused = neighbour(&Facts::new(), &measured).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Denied);
            assert!(
                refused.to_string().contains(&format!("--allow {way}")),
                "{refused}"
            );
        }
        // Among others a debugger reaches them.
        let debugger = with(|found| {
            found.namespaces.pid = Namespace::Host;
            found.privileges.insert(capability("SYS_PTRACE"));
        });
        assert_eq!(reaches(&debugger).len(), 2);
    }

    #[test]
    fn a_rule_allows_what_it_names_and_no_more() {
        let measured = with(|found| {
            found.privileges.insert(capability("SYS_ADMIN"));
            found.namespaces.pid = Namespace::Host;
        });
        for (allow, proved) in [
            (&["cap:SYS_ADMIN", "namespace:pid"][..], true),
            (&["everything"], true),
            (&["cap:SYS_ADMIN"], false),
            (&[], false),
        ] {
            let mut facts = Facts::new();
            let mut tool = app("host.tool", 1);
            // The image's own tmpfs is none of this rule's.
            tool.rule.allow = allow.iter().map(|text| text.parse().unwrap()).collect();
            facts.insert_app(tool);
            assert_eq!(neighbour(&facts, &measured).is_ok(), proved, "{allow:?}");
        }
        let mut facts = Facts::new();
        let mut other = app("host.tool", 2);
        other.rule.allow = [Privilege::Everything].into();
        facts.insert_app(other);
        assert!(neighbour(&facts, &measured).is_err(), "another image");
    }
}
