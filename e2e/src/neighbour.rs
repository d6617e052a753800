//! A second private host beside the first, in namespaces of its own, with a Docker and a cofferdamd of its own: for what takes
//! two hosts at once.
//!
//! They share a directory. A command is laid into it as a file, a list of words; what came of it comes back as another.

use crate::{
    Host, Outcome, Ran,
    command::finish,
    failure::{During, Failure, ensure},
    image::make_tiny_images,
    namespaces::{Place, enter_with},
    process::until,
    scratch::Scratch,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

/// The verb under which the program runs as the neighbour.
pub const VERB: &str = "neighbour";

const READY: &str = "ready";
const END: &str = "end";

/// How long it may take to be there, to do one thing, and to end.
const LIMIT: Duration = Duration::from_secs(120);

/// The neighbour, from the first host.
#[derive(Debug)]
pub struct Neighbour {
    shared: PathBuf,
    state: PathBuf,
    asked: Cell<u64>,
    life: Option<JoinHandle<Result<i32, String>>>,
}

impl Neighbour {
    /// Starts it and waits until it can be asked.
    ///
    /// # Errors
    /// Where it does not come to that.
    pub fn raise(host: &Host) -> Outcome<Self> {
        let scratch = Scratch::make_below(host.scratch())?;
        let shared = scratch.path().join("shared");
        fs::create_dir(&shared)?;
        let (binaries, images) = (host.binaries().to_owned(), host.images().to_owned());
        let words = vec![VERB.into(), shared.clone().into_os_string()];
        let state = scratch.path().join("cofferdam");
        let life = thread::spawn(move || {
            let ended = enter_with(&scratch, &binaries, &images, &words);
            ended.map_err(|failure| failure.to_string())
        });
        let neighbour = Neighbour {
            shared,
            state,
            asked: Cell::new(0),
            life: Some(life),
        };
        neighbour.wait_for(READY)?;
        Ok(neighbour)
    }

    /// Where its Cofferdam keeps its state, as the first host sees it.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Runs a command there.
    ///
    /// # Errors
    /// Where it cannot be started, or the neighbour is gone.
    pub fn run(&self, words: &[&str]) -> Outcome<Ran> {
        let number = self.asked.get();
        self.asked.set(number + 1);
        lay(&self.shared, &ask_name(number), &words)?;
        self.wait_for(&told_name(number))?;
        let told: Result<Ran, String> = take(&self.shared, &told_name(number))?;
        told.map_err(Failure::new)
    }

    fn wait_for(&self, name: &str) -> Outcome {
        let path = self.shared.join(name);
        let gone = || self.life.as_ref().is_none_or(JoinHandle::is_finished);
        until("the neighbour answers", LIMIT, || path.exists() || gone())?;
        ensure(path.exists(), || "the neighbour has ended".to_owned())
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where it did not end well.
    pub fn end(mut self) -> Outcome {
        self.tell_to_end()
    }

    fn tell_to_end(&mut self) -> Outcome {
        let Some(life) = self.life.take() else {
            return Ok(());
        };
        lay(&self.shared, END, &())?;
        match life.join() {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(code)) => Err(Failure::new(format!("the neighbour ended with code {code}"))),
            Ok(Err(failure)) => Err(Failure::new(failure)),
            Err(_) => Err(Failure::new("the neighbour's thread panicked")),
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if let Err(failure) = self.tell_to_end() {
            eprintln!("the neighbour: {failure}");
        }
    }
}

/// The neighbour's own life: raises its host and does what it is asked for.
///
/// # Errors
/// Where its host does not stand, or the directory cannot be used.
pub fn live(place: Place, shared: &Path) -> Outcome<u8> {
    let mut host = Host::raise(place)?;
    make_tiny_images(&host)?;
    lay(shared, READY, &())?;
    let mut number = 0;
    loop {
        let asked = shared.join(ask_name(number));
        until("somebody asks", Duration::from_secs(600), || {
            asked.exists() || shared.join(END).exists()
        })?;
        if !asked.exists() {
            break;
        }
        let words: Vec<String> = take(shared, &ask_name(number))?;
        let told = obey(&host, &words).map_err(|failure| failure.to_string());
        lay(shared, &told_name(number), &told)?;
        number += 1;
    }
    host.remove_containers()?;
    host.daemon.stop()?;
    host.engine.stop()?;
    Ok(0)
}

fn obey(host: &Host, words: &[String]) -> Outcome<Ran> {
    let (program, arguments) = words.split_first().during("a command")?;
    finish(&host.command(program, arguments))
}

fn ask_name(number: u64) -> String {
    format!("{number}.ask")
}

fn told_name(number: u64) -> String {
    format!("{number}.told")
}

/// Whole or not at all: the other side looks at any time.
fn lay(shared: &Path, name: &str, what: &impl Serialize) -> Outcome {
    let draft = shared.join(format!("{name}.new"));
    fs::write(&draft, serde_json::to_vec(what)?)?;
    Ok(fs::rename(draft, shared.join(name))?)
}

fn take<T: DeserializeOwned>(shared: &Path, name: &str) -> Outcome<T> {
    Ok(serde_json::from_slice(&fs::read(shared.join(name))?)?)
}
