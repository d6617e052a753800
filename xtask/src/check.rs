//! What a reviewer should not have to look for: formatting, lints, licences.

use crate::{build::cargo, deny, totals::Totals};
use e2e::{Outcome, progress::step};

/// Runs all of them, whatever the first one finds.
pub(crate) fn run(install: bool) -> Outcome<Totals> {
    let mut totals = Totals::default();
    let mut check = |what: &str, work: &dyn Fn() -> Outcome| {
        let result = step(what, work);
        if let Err(failure) = &result {
            eprintln!("{failure}");
        }
        totals += Totals::one(result.is_ok());
    };
    check("formatting", &|| cargo(&["fmt", "--all", "--check"]));
    check("lints", &|| {
        cargo(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    });
    check("bans, licences and sources", &|| deny::run(install));
    Ok(totals)
}
