//! `cargo xtask bench sealed-disk`: our disk beside a plain directory, a plain loop device and gocryptfs, on
//! the same disk, in the same run, each row by all of them before the next row.
//!
//! | room | subject |
//! |---|---|
//! | [`promises`] | the rows, and what is promised of each |
//! | [`plan`] | sizes, durations, counts |
//! | [`contestants`], [`server`], [`loop_device`], [`ext4`], [`mounts`] | who is measured, opened, closed and cooled down |
//! | [`acts`] | what is done with each for a figure, and what must be there before |
//! | [`tree`], [`fio`], [`pgbench`], [`opening`], [`space`] | the acts themselves |
//! | [`processor`], [`noise`] | the machine's processor time; bytes that do not compress |
//! | [`memory`] | free memory, touched before it is used |
//! | [`figures`] | medians, table, JSON |
//!
//! It runs in namespaces of its own, so that mounts and servers end with it however it ends; the outer half
//! detaches loop devices that are still there then. It asks nothing of the disk but space, about 12 GiB.

mod acts;
mod contestants;
mod ext4;
mod figures;
mod fio;
mod loop_device;
mod memory;
mod mounts;
mod noise;
mod opening;
pub(super) mod pgbench;
mod plan;
mod processor;
mod promises;
mod server;
mod space;
mod tree;

pub(crate) use loop_device::detach_leftovers;

use acts::{Act, Stage};
use clap::Args;
use contestants::{Contestant, Kind, Workshop};
use e2e::{Failure, Outcome, failure::During, fuse, host::mount, namespaces::Place, progress::step};
use ext4::Ext4;
use figures::Figures;
use plan::Plan;
use promises::Subject;
use std::{fs, path::PathBuf};
use tree::Tree;

/// Where the scratch directory is seen inside: short enough for a socket's name, and every user gets there.
const PLACE: &str = "/run/bench";

/// What may be asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Also write the table and every single figure to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A small part of the work, once, to see whether it runs.
    #[arg(long)]
    quick: bool,
    /// Only these rows.
    #[arg(long, value_name = "ROW", num_args = 1..)]
    only: Vec<Act>,
    /// Only these contestants.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    contestant: Vec<Kind>,
    /// How often each row is measured; 3 times, or once with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: Option<u32>,
    /// The directory to work in, on the disk to measure; below the target directory if not given.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

impl Options {
    /// Whether our own server must be built.
    pub(crate) fn wants_ours(&self) -> bool {
        self.kinds().contains(&Kind::Ours)
    }

    /// Where to work.
    pub(crate) fn scratch(&self) -> Option<PathBuf> {
        self.scratch.clone()
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = match self.contestant.as_slice() {
            [] => [Kind::RIVALS.as_slice(), &[Kind::Ours]].concat(),
            some => some.to_vec(),
        };
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    fn plan(&self) -> Plan {
        if self.quick {
            Plan::quick(self.repetitions.unwrap_or(1))
        } else {
            Plan::full(self.repetitions.unwrap_or(3))
        }
    }
}

/// Measures, inside the namespaces, and prints the table; also what there is of it when something fails.
pub(crate) fn run(place: &Place, options: &Options) -> Outcome {
    let plan = options.plan();
    let workshop = lay_out(place)?;
    let mut figures = Figures::default();
    let measured = measure(&workshop, options, &plan, &mut figures);
    println!("{plan}.\nRatios: above 1 ours is better, in every row.\n");
    print!("{}", figures.table());
    if let Some(file) = &options.json {
        fs::write(file, figures.json(&plan)?).during(file.display())?;
    }
    measured.map_err(|failure| with_logs(&failure, &workshop))
}

/// A failure and what the servers had to say, whose logs go with the scratch directory.
fn with_logs(failure: &Failure, workshop: &Workshop) -> Failure {
    let mut text = failure.to_string();
    let homes = fs::read_dir(&workshop.place).into_iter().flatten().flatten();
    for home in homes {
        let tail = server::tail_of(&home.path().join("log"));
        if !tail.is_empty() {
            text += &format!("\n  the log of {}:\n{tail}", home.file_name().display());
        }
    }
    Failure::new(text)
}

/// A fresh `/run`, so that mount(8) keeps its notes there, with the scratch directory in it.
fn lay_out(place: &Place) -> Outcome<Workshop> {
    mounts::let_go_of_others()?;
    mount(&["-t", "tmpfs", "-o", "mode=755,size=64m", "tmpfs", "/run"])?;
    fs::create_dir(PLACE)?;
    fuse::allow_aborting()?;
    mount(&["--bind", &place.scratch.to_string_lossy(), PLACE])?;
    Ok(Workshop {
        place: PLACE.into(),
        binaries: place.binaries.clone(),
    })
}

fn measure(workshop: &Workshop, options: &Options, plan: &Plan, figures: &mut Figures) -> Outcome {
    let kinds = options.kinds();
    let acts = Act::in_turn(&options.only);
    if !acts.is_empty() {
        in_turn(workshop, &kinds, &acts, plan, figures)?;
    }
    if Act::Open.is_wanted(&options.only) {
        opening::run(workshop, &kinds, plan, figures)?;
    }
    if Act::Space.is_wanted(&options.only) && kinds.contains(&Kind::Ours) {
        space::run(workshop, plan, figures)?;
    }
    Ok(())
}

/// Each row by all contestants, then the next; and all of that again.
fn in_turn(workshop: &Workshop, kinds: &[Kind], acts: &[Act], plan: &Plan, figures: &mut Figures) -> Outcome {
    let stage = step("making the archive", || {
        Ok(Stage {
            tree: Tree::make(&workshop.place, plan.files)?,
            plan: plan.clone(),
            place: workshop.place.clone(),
        })
    })?;
    let mut contestants = make_all(workshop, kinds, plan)?;
    for repetition in 1..=plan.repetitions {
        for act in acts {
            for contestant in &mut contestants {
                perform(&stage, *act, contestant, repetition, figures)?;
            }
        }
        // Disks with a burst allowance favour who comes first: not always the same one.
        contestants.rotate_left(1);
    }
    for mut contestant in contestants {
        if let Some(memory) = contestant.memory()? {
            let stored = fio::gibibytes(plan.file_bytes);
            figures.add(
                Subject::Resident,
                contestant.kind(),
                plan.repetitions,
                memory.peak / stored,
            );
        }
        contestant.remove()?;
    }
    Ok(())
}

/// Ours first, so that the loop device can be given the same filesystem.
fn make_all(workshop: &Workshop, kinds: &[Kind], plan: &Plan) -> Outcome<Vec<Contestant>> {
    let mut ext4 = Ext4::usual();
    let mut contestants = Vec::new();
    for kind in kinds.iter().rev() {
        let made = step(&format!("making {kind}"), || {
            Contestant::make(*kind, kind.word(), plan.volume_bytes, &ext4, workshop)
        })?;
        if *kind == Kind::Ours {
            ext4 = Ext4::like(&made.mount())?;
        }
        contestants.push(made);
    }
    contestants.reverse();
    Ok(contestants)
}

fn perform(stage: &Stage, act: Act, on: &mut Contestant, repetition: u32, figures: &mut Figures) -> Outcome {
    let of = stage.plan.repetitions;
    let what = format!("{repetition}/{of} {act}, {}", on.kind());
    eprint!("· {what} … ");
    let found = match stage.perform(act, on, repetition) {
        Ok(found) => found,
        Err(failure) => {
            eprintln!("FAILED");
            return Err(failure).during(what);
        }
    };
    if let Some((subject, value)) = found.first() {
        let unit = subject.definition().map_or("", |row| row.unit);
        eprintln!("{value:.2} {unit}");
    }
    for (subject, value) in found {
        figures.add(subject, on.kind(), repetition, value);
    }
    Ok(())
}
