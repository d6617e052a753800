//! The cases, by subject. Each is a function whose name says what must hold.

mod api;
mod authz;
mod bad_bundle;
mod bad_input;
mod confined;
mod crash;
mod daemon_life;
mod deny;
mod exec;
mod guarded;
mod host_paths;
mod ids;
mod launch;
mod leases;
mod lost_ground;
mod measured;
mod opening;
mod placeholder;
mod places;
mod plan;
mod plugin;
mod postgres;
mod scene;
mod sealed;
mod survey;
mod tenants;
mod tickets;
mod walls;
mod why;
mod wrapper;

pub use launch::Launch;
pub use scene::Scene;

use crate::Outcome;

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `subject::what_must_hold`.
    pub name: &'static str,
    /// What it does.
    pub body: fn(&mut Scene) -> Outcome,
}

/// Lists functions of a room as its cases.
macro_rules! cases {
    ($subject:literal: $($case:ident),+ $(,)?) => {
        pub(in crate::cases) const CASES: &[$crate::cases::Case] = &[
            $($crate::cases::Case { name: concat!($subject, "::", stringify!($case)), body: $case }),+
        ];
    };
}
use cases;

/// Every case, in the order in which they run: the road first, then the ways off it, the slowest last.
pub fn all() -> Vec<Case> {
    [
        plugin::CASES,
        opening::CASES,
        ids::CASES,
        leases::CASES,
        deny::CASES,
        walls::CASES,
        measured::CASES,
        guarded::CASES,
        host_paths::CASES,
        places::CASES,
        plan::CASES,
        why::CASES,
        authz::CASES,
        survey::servers::CASES,
        survey::options::CASES,
        survey::compose::CASES,
        placeholder::CASES,
        exec::CASES,
        wrapper::CASES,
        bad_bundle::CASES,
        bad_input::CASES,
        api::CASES,
        tenants::CASES,
        tickets::CASES,
        daemon_life::CASES,
        confined::CASES,
        crash::CASES,
        sealed::life::CASES,
        sealed::rotating::CASES,
        sealed::growing::CASES,
        sealed::deed::CASES,
        sealed::elsewhere::CASES,
        sealed::ephemeral::CASES,
        sealed::store::CASES,
        sealed::moving::CASES,
        sealed::taking_back::CASES,
        sealed::tokens::CASES,
        sealed::ledger::CASES,
        lost_ground::CASES,
        postgres::CASES,
    ]
    .concat()
}
