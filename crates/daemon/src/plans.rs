//! Plans, kept for whoever made them: in memory, for some minutes, and not many.
//!
//! Their ids are what clients of an engine chose. So an id is taken by the first container that brings it, and whoever looks a plan up
//! compares the container with the one that he had made.

use cofferdam_model::api::{Decision, Plan};
use cofferdam_model::{PlanId, Problem, Result};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many are kept; the oldest goes first.
const KEPT: usize = 64;

/// How long one is kept.
const LIFE: Duration = Duration::from_secs(600);

/// A plan, and the decision that explains it, where there was something to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Not explained yet: how, depends on who asks.
    pub(crate) plan: Plan,
    pub(crate) decision: Option<Decision>,
}

/// The plans that are kept.
#[derive(Default)]
pub(crate) struct Plans(Mutex<VecDeque<(Instant, Planned)>>);

impl Plans {
    /// Keeps one.
    ///
    /// # Errors
    /// `conflict` where another container's plan has that id.
    pub(crate) fn keep(&self, planned: Planned) -> Result<()> {
        let mut kept = self.current();
        let (id, container) = (planned.plan.id, &planned.plan.container);
        let taken = |other: &Planned| other.plan.id == id && other.plan.container != *container;
        if kept.iter().any(|(_, other)| taken(other)) {
            return Err(
                Problem::conflict("another container's plan has that id").remedy("plan it with another one")
            );
        }
        kept.retain(|(_, other)| other.plan.id != id);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), planned));
        Ok(())
    }

    /// The plan with this id.
    pub(crate) fn find(&self, id: PlanId) -> Option<Planned> {
        let kept = self.current();
        let found = kept.iter().find(|(_, planned)| planned.plan.id == id);
        found.map(|(_, planned)| planned.clone())
    }

    /// Those that are not too old.
    fn current(&self) -> MutexGuard<'_, VecDeque<(Instant, Planned)>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(since, _)| since.elapsed() < LIFE);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn planned(id: u128, container: &str) -> Planned {
        Planned {
            plan: Plan {
                id: PlanId::from_bits(id),
                at: Timestamp::UNIX_EPOCH,
                container: container.parse().unwrap(),
                asked: false,
                allowed: true,
                volumes: Vec::new(),
                host_paths: Vec::new(),
                neighbour: None,
                explained: None,
            },
            decision: None,
        }
    }

    #[test]
    fn an_id_belongs_to_the_first_container_that_brings_it() {
        let plans = Plans::default();
        plans.keep(planned(1, "a")).unwrap();
        assert!(plans.keep(planned(1, "b")).is_err());
        plans.keep(planned(1, "a")).unwrap();
        assert_eq!(
            plans.find(PlanId::from_bits(1)).unwrap().plan.container.as_str(),
            "a"
        );
    }

    #[test]
    fn only_the_latest_are_kept() {
        let plans = Plans::default();
        for id in 0..=64 {
            plans.keep(planned(id, "a")).unwrap();
        }
        assert!(plans.find(PlanId::from_bits(0)).is_none());
        assert!(plans.find(PlanId::from_bits(64)).is_some());
    }
}
