//! The decision: facts in, verdicts out.
//!
//! | room | what |
//! |---|---|
//! | `rule` | where a measurement differs from an app's launch rule |
//! | `compare` | the same, point by point and side by side |
//! | `relaxation` | what a rule would have to let in for a difference to be none |
//! | `command` | rules and grants as the commands that make them |
//! | `facts` | apps and grants, indexed, in memory |
//! | `judge` | which app a container is, and what it may open: Cedar decides; and what would change the answer |
//! | `learn` | a launch rule from a container that ran |
//! | `neighbour` | whether a container without a volume could reach those of others |
//! | `exec` | whether an added process is a healthcheck, the image's own or the rule's |
//!
//! Opening a volume takes an [`Admitted`], and only [`Judge::open`] can make one. Everything that is not
//! allowed is denied: no grant, no app, a policy that fails to evaluate.
//!
//! What this crate does not do: I/O, clocks, randomness. The caller says what time it is.

mod cedar;
mod command;
mod compare;
mod exec;
mod facts;
mod judge;
mod learn;
mod names;
mod neighbour;
mod relaxation;
mod rule;
mod shown;

#[cfg(test)]
mod fixture;

pub use exec::{is_healthcheck, refuse_other_code, refuse_reaching};
pub use facts::Facts;
pub use judge::{Admitted, Bound, Explanation, Judge, Verdict};
pub use learn::{Learned, learn};
pub use neighbour::{neighbour, reaches};
pub use rule::{Difference, Laid, Mismatch, mismatches};
