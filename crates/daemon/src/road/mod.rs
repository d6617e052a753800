//! The only road to data: measure, decide, open. Always in this order.
//!
//! | room | subject |
//! |---|---|
//! | `open` | a container that is about to be created |
//! | `plan` | what would be decided of one that never starts |
//! | `prepare`, `nested` | what was admitted, opened; mounts below it |
//! | `commit` | the decision, the leases and the mark, before anything is handed out |
//! | `guard`, `host_paths` | what is judged whether or not there is a volume |
//! | `early` | what Docker is asked to do, before it does |
//! | `beside` | what is to happen beside an open volume: exec, checkpoint |
//! | `first_content` | what a new volume begins with |
//! | `ticket` | the ticket that a launch brings |
//! | `record` | decisions, as they are kept |
//! | `lease`, `bindings` | how long a container holds what was opened, or binds what was granted |
//! | `held` | the mark that a container holds something |

mod beside;
mod bindings;
mod commit;
mod early;
mod first_content;
mod guard;
mod held;
mod host_paths;
mod lease;
mod nested;
mod open;
mod plan;
mod prepare;
mod record;
mod ticket;

pub(crate) use beside::{checkpoint, exec};
pub(crate) use early::{Early, judge as judge_early};
pub(crate) use first_content::FirstContents;
pub(crate) use guard::may_be_mapped;
pub(crate) use host_paths::grantable;
pub(crate) use lease::{living, take_up_leases};
pub(crate) use open::{Asked, Given, open};
pub(crate) use plan::plan;

use cofferdam_model::{DecisionId, Problem};

/// A refusal, and the decision that can be looked up for it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    pub(crate) decision: Option<DecisionId>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal {
            problem,
            decision: None,
        }
    }
}
