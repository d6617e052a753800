//! Containers that bear the mark of a plan: they are asked about, and never start.
//!
//! INVARIANT: what bears the mark is refused, whatever the mark says, whatever the daemon answers, and where it does not answer.

use crate::ask;
use crate::bundle::Bundle;
use crate::guarded::guarded;
use cofferdam_model::{ContainerId, PLAN_VARIABLE, PlanId, Problem, Result, Settings};
use serde_json::Value;
use std::path::PathBuf;

/// The text of the mark; none for an ordinary container. A second one, or one without a value, is a mark as well.
fn mark(config: &Value) -> Option<&str> {
    let env = config.pointer("/process/env").and_then(Value::as_array);
    let mut texts = env.into_iter().flatten().filter_map(|entry| {
        let entry = entry.as_str()?;
        let (name, text) = entry.split_once('=').unwrap_or((entry, ""));
        (name == PLAN_VARIABLE).then_some(text)
    });
    let first = texts.next()?;
    Some(if texts.next().is_some() { "" } else { first })
}

/// Refuses a container that bears the mark, once the daemon has been asked what it would decide.
///
/// # Errors
/// Always, for a marked one.
pub(crate) fn stop_here(
    settings: &Settings,
    runtime_root: PathBuf,
    container: &ContainerId,
    bundle: &Bundle,
) -> Result<()> {
    let Some(mark) = mark(&bundle.config) else {
        return Ok(());
    };
    match planned(settings, container.clone(), runtime_root, bundle, mark) {
        Ok(None) => Err(Problem::denied(
            "this was a plan, and nothing was started: it would start",
        )),
        Ok(Some(refused)) => {
            Err(refused.context("this was a plan, and nothing was started: it would be refused"))
        }
        Err(problem) => Err(problem.context("this was a plan, and nothing was started")),
    }
}

fn planned(
    settings: &Settings,
    container: ContainerId,
    runtime_root: PathBuf,
    bundle: &Bundle,
    mark: &str,
) -> Result<Option<Problem>> {
    let plan: PlanId = mark.parse()?;
    let guarded = guarded(settings, &container, bundle)?;
    ask::plan(settings, container, runtime_root, bundle, plan, guarded)
}

/// Refuses what bears the mark, where there is nothing to plan.
///
/// # Errors
/// `denied`.
pub(crate) fn refuse_marked(bundle: &Bundle) -> Result<()> {
    match mark(&bundle.config) {
        None => Ok(()),
        Some(_) => Err(Problem::denied(format!(
            "a container with {PLAN_VARIABLE} in its environment is a plan, and never starts"
        ))
        .remedy("leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mark_is_known_in_every_form() {
        let marked = |env: Value| mark(&json!({"process": {"env": env}})).map(str::to_owned);
        assert_eq!(
            marked(json!(["A=b", "COFFERDAM_PLANS=x", "XCOFFERDAM_PLAN=x", 7])),
            None
        );
        assert_eq!(marked(json!("COFFERDAM_PLAN=x")), None);
        assert_eq!(mark(&json!({"process": 7})), None);
        assert_eq!(marked(json!(["A=b", "COFFERDAM_PLAN=x=y"])).unwrap(), "x=y");
        assert_eq!(marked(json!(["COFFERDAM_PLAN"])).unwrap(), "");
        assert_eq!(
            marked(json!(["COFFERDAM_PLAN=a", "COFFERDAM_PLAN=b"])).unwrap(),
            ""
        );
    }

    #[test]
    fn what_bears_the_mark_is_refused_also_where_nobody_answers() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        let mut settings = Settings::default();
        settings.paths.run = dir.path().to_owned();
        for mark in ["", "x", "00000000000000000000000000007f3a"] {
            let config =
                json!({"root": {"path": "rootfs"}, "process": {"env": [format!("COFFERDAM_PLAN={mark}")]}});
            std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
            let bundle = Bundle::open(dir.path()).unwrap();
            let container = "3f2a".parse().unwrap();
            let refused = stop_here(&settings, "/run/runc".into(), &container, &bundle).unwrap_err();
            assert!(refused.message.contains("nothing was started"), "{refused}");
            assert!(refuse_marked(&bundle).is_err());
        }
    }
}
