//! Runs the cases, one after the other, on one private host.

use crate::{
    Host, Outcome,
    cases::{self, Case, Scene},
    failure::During,
    image,
    namespaces::Place,
    progress::step,
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The file, in the directory of cached images, that says how many passed.
pub const REPORT: &str = "suite.json";

/// How many passed and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Cases that passed.
    pub passed: u64,
    /// Cases that failed.
    pub failed: u64,
}

/// Raises the host, runs every case whose name contains `filter`, and writes the report. Answers the exit
/// code.
///
/// # Errors
/// Where the host cannot be raised.
pub fn run(place: Place, filter: &str) -> Outcome<u8> {
    let report = place.images.join(REPORT);
    let host = step("starting a private Docker and cofferdamd", || {
        let host = Host::raise(place)?;
        image::make_tiny_images(&host)?;
        Ok(host)
    })?;
    let host = Arc::new(Mutex::new(host));
    let trials = cases::all()
        .into_iter()
        .enumerate()
        .map(|(number, case)| trial(&host, number, case))
        .collect();
    let arguments = Arguments {
        test_threads: Some(1),
        filter: (!filter.is_empty()).then(|| filter.to_owned()),
        ..Arguments::default()
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    let counts = Report {
        passed: conclusion.num_passed,
        failed: conclusion.num_failed,
    };
    fs::create_dir_all(report.parent().during("the report's directory")?)?;
    fs::write(report, serde_json::to_vec(&counts)?)?;
    let mut host = lock(&host);
    if host.daemon.runs() {
        host.daemon.stop()?;
    }
    host.engine.stop()?;
    Ok(u8::from(conclusion.has_failed()))
}

/// One case with a tenant of its own; afterwards everything must be as before.
fn trial(host: &Arc<Mutex<Host>>, number: usize, case: Case) -> Trial {
    let host = Arc::clone(host);
    Trial::test(case.name, move || {
        let mut host = lock(&host);
        let before = host.daemon.log_length();
        let mut scene = Scene::new(&mut host, format!("t{number}"));
        let result = scene.open().and_then(|()| (case.body)(&mut scene));
        let tidied = scene.close();
        let outcome = match (result, tidied) {
            (Ok(()), tidied) => tidied.during("afterwards"),
            (result, _) => result,
        };
        outcome.map_err(|failure| Failed::from(format!("{failure}\n{}", host.daemon.log_since(before))))
    })
}

fn lock(host: &Mutex<Host>) -> MutexGuard<'_, Host> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}
