//! Many lives, on as many threads as there are processors.

use crate::{
    Wrong,
    life::{Tale, live},
};
use std::{
    panic::catch_unwind,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A life that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose.
    pub seed: u64,
    /// How.
    pub what: String,
}

/// How all of them went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was lived through, in all.
    pub tale: Tale,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

/// Lives the lives of `count` seeds from `first` on; `each` is called after every one.
pub fn lead(first: u64, count: u64, each: impl Fn() + Sync) -> Report {
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        break;
                    }
                    let seed = first.wrapping_add(index);
                    let lived = one(seed);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    match lived {
                        Ok(tale) => report.tale += tale,
                        Err(wrong) => report.failures.push(Failure {
                            seed,
                            what: wrong.to_string(),
                        }),
                    }
                    drop(report);
                    each();
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One life; a panic in it is something wrong too.
fn one(seed: u64) -> Result<Tale, Wrong> {
    catch_unwind(|| live(seed)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Wrong::new(format!("a panic: {}", text.unwrap_or_default())))
    })
}

impl std::ops::AddAssign for Tale {
    fn add_assign(&mut self, other: Tale) {
        self.operations += other.operations;
        self.recoveries += other.recoveries;
        self.damages += other.damages;
    }
}
