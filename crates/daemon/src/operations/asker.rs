//! Who asks, and what is his: the operator everything, a member what his tenants own.

use crate::daemon::Daemon;
use crate::plans::Planned;
use cofferdam_model::api::{Decision, Status};
use cofferdam_model::{Attachment, Grant, Problem, Result, TenantName};
use std::collections::BTreeSet;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// Root.
    Operator,
    /// A member of these tenants; at least one.
    Member(BTreeSet<TenantName>),
}

impl Asker {
    /// The user with this number.
    ///
    /// # Errors
    /// `denied` for whoever is neither root nor a member of any tenant.
    pub(crate) fn of(daemon: &Daemon, uid: u32) -> Result<Self> {
        if uid == 0 {
            return Ok(Asker::Operator);
        }
        let known = daemon.state.now();
        let theirs = known
            .tenants()
            .filter(|tenant| tenant.members.iter().any(|member| member.uid == uid));
        let tenants: BTreeSet<_> = theirs.map(|tenant| tenant.name.clone()).collect();
        if tenants.is_empty() {
            return Err(
                Problem::denied(format!("user {uid} is a member of no tenant")).remedy(format!(
                    "have the operator make you one: cofferdam tenant member add TENANT --user {uid}"
                )),
            );
        }
        Ok(Asker::Member(tenants))
    }

    /// Whether what this tenant owns is his.
    pub(crate) fn owns(&self, tenant: &TenantName) -> bool {
        match self {
            Asker::Operator => true,
            Asker::Member(tenants) => tenants.contains(tenant),
        }
    }

    /// Refuses whoever may not act for this tenant, whether or not there is one.
    ///
    /// # Errors
    /// `denied`.
    pub(crate) fn must_own(&self, tenant: &TenantName) -> Result<()> {
        if self.owns(tenant) {
            return Ok(());
        }
        Err(
            Problem::denied(format!("you may not act for tenant {tenant}")).remedy(format!(
                "have the operator make you a member: cofferdam tenant member add {tenant} --user NAME"
            )),
        )
    }

    /// Refuses whoever is not the operator.
    ///
    /// # Errors
    /// `denied`.
    pub(crate) fn must_operate(&self) -> Result<()> {
        match self {
            Asker::Operator => Ok(()),
            Asker::Member(_) => Err(Problem::denied("this is the operator's alone").remedy("do it as root")),
        }
    }

    /// Whether he may see a grant: who gave it, and who has it.
    pub(crate) fn sees_grant(&self, grant: &Grant) -> bool {
        self.owns(grant.volume.tenant()) || self.owns(grant.app.tenant())
    }

    /// Whether he may see who holds a volume: its owner, and whose app holds it.
    pub(crate) fn sees_attachment(&self, held: &Attachment) -> bool {
        self.owns(held.volume.tenant()) || self.owns(held.app.tenant())
    }

    /// Whether he may see a decision. It shows all that the container was found to be, and all volumes that it asked for: so
    /// all of them must be his, or asked for by apps of his.
    pub(crate) fn sees_decision(&self, decision: &Decision) -> bool {
        let his = |volume: &cofferdam_model::api::VolumeDecision| {
            // Where it was refused, that an app of his would have fitted makes it nobody else's business less.
            let by_him = volume.allowed && volume.app.as_ref().is_some_and(|app| self.owns(app.tenant()));
            self.owns(volume.volume.tenant()) || by_him
        };
        match self {
            Asker::Operator => true,
            Asker::Member(_) => !decision.volumes.is_empty() && decision.volumes.iter().all(his),
        }
    }

    /// Whether he may see a plan: what he would see of the decision that it is about. Of a launch that nobody is asked about, there is
    /// nothing to see.
    pub(crate) fn sees_plan(&self, planned: &Planned) -> bool {
        match &planned.decision {
            Some(decision) => self.sees_decision(decision),
            None => matches!(self, Asker::Operator) || !planned.plan.asked,
        }
    }

    /// The daemon's state, as far as it is his.
    pub(crate) fn sees_of(&self, daemon: &Daemon, status: Status) -> Status {
        let Asker::Member(tenants) = self else {
            return status;
        };
        let known = daemon.state.now();
        let facts = known.facts();
        let apps = facts.apps().filter(|app| self.owns(app.name.tenant()));
        let grants = facts.apps().flat_map(|app| facts.grants_of(&app.name));
        Status {
            tenants: tenants.len(),
            apps: apps.count(),
            volumes: known
                .volumes()
                .filter(|volume| self.owns(volume.name.tenant()))
                .count(),
            grants: grants.filter(|grant| self.sees_grant(grant)).count(),
            attachments: known
                .attachments()
                .filter(|held| self.sees_attachment(held))
                .count(),
            warnings: Vec::new(),
            ..status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::api::VolumeDecision;
    use jiff::Timestamp;

    fn member(tenants: &[&str]) -> Asker {
        Asker::Member(tenants.iter().map(|name| name.parse().unwrap()).collect())
    }

    /// Those with an app were let in.
    fn decision(volumes: &[(&str, Option<&str>)]) -> Decision {
        let one = |(volume, app): &(&str, Option<&str>)| VolumeDecision {
            volume: volume.parse().unwrap(),
            app: app.map(|app| app.parse().unwrap()),
            allowed: app.is_some(),
            read_only: false,
            reasons: Vec::new(),
            policies: Vec::new(),
        };
        Decision {
            id: cofferdam_model::DecisionId(1),
            at: Timestamp::UNIX_EPOCH,
            container: "3f2a".parse().unwrap(),
            verb: "open".to_owned(),
            volumes: volumes.iter().map(one).collect(),
            refused: None,
            measurement: None,
            shortened: false,
        }
    }

    #[test]
    fn a_member_acts_for_his_tenants_and_is_no_operator() {
        let asker = member(&["payments", "web"]);
        assert!(asker.must_own(&"web".parse().unwrap()).is_ok());
        let refused = asker.must_own(&"reports".parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind, cofferdam_model::ErrorKind::Denied);
        assert!(asker.must_operate().is_err());
        assert!(Asker::Operator.must_operate().is_ok());
        assert!(Asker::Operator.must_own(&"reports".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_decision_about_anything_of_somebody_elses_is_not_seen() {
        let asker = member(&["payments"]);
        let sees = |volumes: &[(&str, Option<&str>)]| asker.sees_decision(&decision(volumes));
        assert!(sees(&[("payments.data", None)]));
        assert!(sees(&[("payments.data", Some("reports.nightly"))]));
        assert!(sees(&[
            ("reports.data", Some("payments.app")),
            ("payments.data", None)
        ]));
        assert!(!sees(&[("reports.data", None)]));
        assert!(!sees(&[
            ("payments.data", None),
            ("reports.data", Some("reports.app"))
        ]));
        assert!(!sees(&[]), "nothing says whose it is");
        let mut refused = decision(&[("reports.data", Some("payments.spy"))]);
        refused
            .volumes
            .iter_mut()
            .for_each(|volume| volume.allowed = false);
        assert!(
            !asker.sees_decision(&refused),
            "an app of his own that would have fitted"
        );
        assert!(Asker::Operator.sees_decision(&decision(&[])));
    }

    #[test]
    fn a_plan_is_seen_like_the_decision_that_it_is_about() {
        let planned = |asked: bool, decision: Option<Decision>| Planned {
            plan: cofferdam_model::api::Plan {
                id: cofferdam_model::PlanId::from_bits(1),
                at: Timestamp::UNIX_EPOCH,
                container: "3f2a".parse().unwrap(),
                asked,
                allowed: true,
                volumes: Vec::new(),
                host_paths: Vec::new(),
                neighbour: None,
                explained: None,
            },
            decision,
        };
        let asker = member(&["payments"]);
        let own = decision(&[("payments.data", None)]);
        let others = decision(&[("payments.data", None), ("reports.data", None)]);
        assert!(asker.sees_plan(&planned(true, Some(own))));
        assert!(!asker.sees_plan(&planned(true, Some(others.clone()))));
        assert!(!asker.sees_plan(&planned(true, Some(decision(&[])))));
        assert!(!asker.sees_plan(&planned(true, None)));
        assert!(asker.sees_plan(&planned(false, None)));
        assert!(Asker::Operator.sees_plan(&planned(true, Some(others))));
    }
}
