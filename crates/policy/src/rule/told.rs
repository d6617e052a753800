//! A difference as people read it: one sentence, with what was found and what the rule has.

use super::{Difference, Laid, Mismatch};
use crate::shown;
use cofferdam_model::{Namespace, TicketFound};
use std::fmt;

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Laid::Volume => f.write_str("the volume"),
            Laid::Kernel(kind) => write!(f, "a {}", shown::text(kind)),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = &self.app;
        match &self.difference {
            Difference::Image { found, wanted } => write!(
                f,
                "image differs from app {app} (found sha256:{}…, the rule has sha256:{}…)",
                found.short(),
                wanted.short()
            ),
            Difference::NotTheImagesCommand { found, image } => write!(
                f,
                "argv differs from app {app} (found {}, the image's own is {})",
                shown::list(found),
                shown::list(image)
            ),
            Difference::NotTheRulesCommand { found, wanted } => write!(
                f,
                "argv differs from app {app} (found {}, the rule has {})",
                shown::list(found),
                shown::list(wanted)
            ),
            Difference::User { found, wanted } => write!(f, "user is {found}, app {app} wants {wanted}"),
            Difference::Group(group) => write!(
                f,
                "it is in group {group}, which the image does not give its user and which is not in the rule of app {app}"
            ),
            Difference::Directory { found, wanted } => write!(
                f,
                "works in {}, app {app} in {}",
                shown::quoted(found),
                shown::quoted(wanted)
            ),
            Difference::OddPlace { what, destination } => write!(
                f,
                "{what} at {} lies at no plain place (from /, without an empty part, . or ..), which no rule can allow",
                shown::quoted(destination)
            ),
            Difference::OverImage {
                what,
                destination,
                leads_to,
            } => {
                write!(f, "{what} at {}", shown::text(destination))?;
                if let Some(place) = leads_to {
                    write!(f, ", which leads to {},", shown::text(place))?;
                }
                write!(
                    f,
                    " lies over the image's own files; app {app} does not allow that place"
                )
            }
            Difference::OutsideMount { destination } => write!(
                f,
                "a mount from outside at {} is not in the rule of app {app}",
                shown::text(destination)
            ),
            Difference::Environment(name) => write!(
                f,
                "the environment has {} from outside, which is not in the rule of app {app}",
                shown::text(name)
            ),
            Difference::LeadsToCode(name) => write!(
                f,
                "the environment has {} from outside, which leads to other code than the image's; no rule can allow that",
                shown::text(name)
            ),
            Difference::Changed { places, more } => write!(
                f,
                "its root filesystem is not the image's: {} {}, which is not in the rule of app {app}",
                shown::list(places),
                if *more { "and more were changed" } else { "changed" }
            ),
            Difference::Privilege(privilege) => write!(
                f,
                "privilege {} is not in the rule of app {app}",
                shown::text(&privilege.to_string())
            ),
            Difference::WayOut(privilege) => write!(
                f,
                "privilege {} reaches out of the container, which no rule can allow",
                shown::text(&privilege.to_string())
            ),
            Difference::NewPrivileges => write!(
                f,
                "it may gain privileges by set-uid programs, which app {app} must not (docker run --security-opt no-new-privileges)"
            ),
            Difference::Ticket(None) => write!(f, "it brings no ticket, which app {app} requires"),
            // What another tenant signed is not this one's to know.
            Difference::Ticket(Some(TicketFound::Holds(_))) => {
                write!(f, "its ticket is for another app than {app}")
            }
            Difference::Ticket(Some(TicketFound::Fails(why))) => {
                write!(f, "its ticket proves nothing for app {app}: {}", shown::text(why))
            }
            Difference::Namespace { kind, found } => {
                let whose = match found {
                    Namespace::Own => "has its own",
                    Namespace::Host => "shares the host's",
                    Namespace::Foreign => "joins another container's",
                };
                write!(
                    f,
                    "{whose} {kind} namespace, which is not in the rule of app {app}"
                )
            }
        }
    }
}
