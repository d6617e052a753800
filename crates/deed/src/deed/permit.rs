//! Whether a deed allows what the policy has allowed.

use super::ConfirmedDeed;
use crate::json_difference::differences;
use cofferdam_model::{AppName, LaunchRule, Problem, Result};
use jiff::Timestamp;

impl ConfirmedDeed {
    /// Whether the deed lets `app`, proved by a container that satisfies `rule`, open the volume in this way at this time.
    ///
    /// # Errors
    /// `denied`, with the point in which it does not.
    pub fn permits(
        &self,
        app: &AppName,
        rule: &LaunchRule,
        write: bool,
        exec: bool,
        now: Timestamp,
    ) -> Result<()> {
        let name = self.name();
        let Some(grant) = self.grants().iter().find(|grant| grant.app == *app) else {
            return Err(
                Problem::denied(format!("the deed of {name} grants {app} nothing"))
                    .remedy(format!("have the tenant sign it: cofferdam grant {name} {app}")),
            );
        };
        if let Some(until) = grant.until.filter(|until| *until <= now) {
            return Err(
                Problem::denied(format!("what the deed of {name} grants {app} ended at {until}")).remedy(
                    format!("have the tenant sign a new grant: cofferdam grant {name} {app}"),
                ),
            );
        }
        if grant.rule != *rule {
            return Err(Problem::denied(format!(
                "the deed of {name} knows {app} by another launch rule than the registry's, which differs (deed, registry) \
                 in {}",
                differences(&grant.rule, rule)
            ))
            .remedy(format!(
                "if the registry's is right, have the tenant sign it: cofferdam grant {name} {app}"
            )));
        }
        if write && !grant.write {
            return Err(
                Problem::denied(format!("the deed of {name} grants {app} read-only"))
                    .remedy("mount the volume read-only, or have the tenant sign a grant that lets it write"),
            );
        }
        if exec && !grant.exec {
            return Err(Problem::denied(format!(
                "the deed of {name} grants {app} no further processes in its container"
            ))
            .remedy(format!(
                "have the tenant sign it: cofferdam grant {name} {app} --exec"
            )));
        }
        Ok(())
    }
}
