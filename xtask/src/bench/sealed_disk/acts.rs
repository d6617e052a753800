//! What is done with a contestant to get a figure, and what must be there before.

use super::{
    contestants::Contestant, fio::Job, mounts, pgbench::Cluster, plan::Plan, processor::Spent,
    promises::Subject, tree::Tree,
};
use clap::ValueEnum;
use e2e::Outcome;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// One act; the name of what `--only` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Act {
    /// Unpack small files, and sync.
    Untar,
    /// Find and stat every one, cold.
    Find,
    /// Read every one, cold.
    ReadFiles,
    /// Remove them, and sync.
    Rm,
    /// Write one large file, and sync; also the processor time per GiB.
    SeqWrite,
    /// Read it, cold.
    SeqRead,
    /// Random reads of 4 KiB, past the page cache, one at a time.
    #[value(name = "rand-read-1")]
    RandomReadOne,
    /// The same, four at a time.
    #[value(name = "rand-read-4")]
    RandomReadFour,
    /// Random writes of 4 KiB, each followed by fdatasync, one at a time; also the processor time per GiB.
    #[value(name = "rand-write-1")]
    RandomWriteOne,
    /// The same, four at a time.
    #[value(name = "rand-write-4")]
    RandomWriteFour,
    /// PostgreSQL's TPC-B.
    Pgbench,
    /// Open volumes of 10 and 100 GiB.
    Open,
    /// Space and memory after a volume that is 80 % full has been overwritten.
    Space,
}

impl Act {
    /// Those that every contestant performs in turn, in this order; what one makes, the next ones use.
    const IN_TURN: [Act; 11] = [
        Act::Untar,
        Act::Find,
        Act::ReadFiles,
        Act::Rm,
        Act::SeqWrite,
        Act::SeqRead,
        Act::RandomReadOne,
        Act::RandomReadFour,
        Act::RandomWriteOne,
        Act::RandomWriteFour,
        Act::Pgbench,
    ];

    /// Those of them that are asked for; all where nothing is.
    pub(crate) fn in_turn(only: &[Act]) -> Vec<Act> {
        Self::IN_TURN
            .into_iter()
            .filter(|act| act.is_wanted(only))
            .collect()
    }

    /// Whether it is asked for.
    pub(crate) fn is_wanted(self, only: &[Act]) -> bool {
        only.is_empty() || only.contains(&self)
    }

    fn is_on_file(self) -> bool {
        matches!(
            self,
            Act::SeqWrite
                | Act::SeqRead
                | Act::RandomReadOne
                | Act::RandomReadFour
                | Act::RandomWriteOne
                | Act::RandomWriteFour
        )
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What acts need besides a contestant.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) tree: Tree,
    pub(crate) place: PathBuf,
}

/// What came of an act.
type Figures = Vec<(Subject, f64)>;

impl Stage {
    /// Performs one act; the first figure is what it is for.
    pub(crate) fn perform(&self, act: Act, on: &mut Contestant, repetition: u32) -> Outcome<Figures> {
        let mount = on.mount();
        self.prepare(act, on)?;
        let one = |subject, value| Ok(vec![(subject, value)]);
        let Plan {
            file_bytes: size,
            random_seconds: seconds,
            ..
        } = self.plan;
        let large = large_file(&mount);
        let random_read = |jobs| Job::random_read(size, jobs, seconds, repetition).run(&large);
        let random_write = |jobs| Job::random_write(size, jobs, seconds, repetition);
        match act {
            Act::Untar => one(Subject::Untar, self.tree.unpack(&mount)?),
            Act::Find => one(Subject::Find, self.tree.find(&mount)?),
            Act::ReadFiles => one(Subject::ReadFiles, self.tree.read(&mount)?),
            Act::Rm => one(Subject::Remove, Tree::remove(&mount)?),
            Act::SeqWrite => {
                let (done, processor) = with_processor(&Job::sequential_write(size), &mount)?;
                Ok(vec![
                    (Subject::SequentialWrite, done.megabytes_per_second),
                    (Subject::ProcessorSequential, processor),
                ])
            }
            Act::SeqRead => {
                let done = Job::sequential_read(size).run(&large)?;
                one(Subject::SequentialRead, done.megabytes_per_second)
            }
            Act::RandomReadOne => one(Subject::RandomReadOne, random_read(1)?.iops),
            Act::RandomReadFour => one(Subject::RandomReadFour, random_read(4)?.iops),
            Act::RandomWriteOne => {
                let (done, processor) = with_processor(&random_write(1), &mount)?;
                Ok(vec![
                    (Subject::RandomWriteOne, done.iops),
                    (Subject::ProcessorRandomOne, processor),
                ])
            }
            Act::RandomWriteFour => {
                let (done, processor) = with_processor(&random_write(4), &mount)?;
                Ok(vec![
                    (Subject::RandomWriteFour, done.iops),
                    (Subject::ProcessorRandomFour, processor),
                ])
            }
            Act::Pgbench => one(Subject::Transactions, self.transactions(&mount)?),
            Act::Open | Act::Space => Ok(Vec::new()),
        }
    }

    /// What the act needs is there, what it makes is not, and the caches are as it wants them.
    fn prepare(&self, act: Act, on: &mut Contestant) -> Outcome {
        let mount = on.mount();
        let large = large_file(&mount);
        match act {
            Act::Untar if Tree::is_below(&mount) => drop(Tree::remove(&mount)?),
            Act::Find | Act::ReadFiles | Act::Rm if !Tree::is_below(&mount) => {
                self.tree.unpack(&mount)?;
            }
            Act::SeqWrite | Act::Pgbench if large.exists() => fs::remove_file(large)?,
            _ if act.is_on_file() && act != Act::SeqWrite && !large.exists() => {
                Job::sequential_write(self.plan.file_bytes).run(&large)?;
            }
            _ => {}
        }
        match act {
            Act::Find | Act::ReadFiles | Act::SeqRead | Act::RandomReadOne | Act::RandomReadFour => on.cool(),
            _ => on.settle(),
        }
    }

    fn transactions(&self, mount: &Path) -> Outcome<f64> {
        let cluster = Cluster::start(
            mount,
            &self.place.join("sockets"),
            &self.place.join("postgresql.log"),
        )?;
        let rate = cluster.transactions(self.plan.scale, self.plan.transaction_seconds)?;
        cluster.remove()?;
        Ok(rate)
    }
}

/// The one large file.
pub(crate) fn large_file(mount: &Path) -> PathBuf {
    mount.join("large")
}

/// Runs a job and answers with it the machine's processor seconds for each GiB, until all is on the disk.
fn with_processor(job: &Job, mount: &Path) -> Outcome<(super::fio::Done, f64)> {
    let before = Spent::now()?;
    let done = job.run(&large_file(mount))?;
    mounts::sync(mount)?;
    Ok((done, before.since()? / done.gibibytes))
}
