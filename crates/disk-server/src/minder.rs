//! The minder: a thread that looks after the worker. One that is killed, crashes or hangs is followed by another, which
//! takes over the same connection; whoever uses the disk sees a pause.
//!
//! It is a thread of its own because whoever mounts or unmounts waits for the disk, and must not be waited for.

mod wishes;

use crate::{
    exporter::Connection,
    notice::notice,
    problem::doing,
    wire::{self, Report},
    wish::{Asked, Told, Wish},
    witness_file::WitnessFile,
    worker::{Setting, Worker},
};
use cofferdam_model::{
    Problem, Result,
    disk::{Answer, Rotation},
};
use cofferdam_vault::VolumeKey;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;
use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// So many successors in so long; then something is wrong that one more will not mend.
const SUCCESSORS: usize = 5;
const SPAN: Duration = Duration::from_secs(300);

/// Without a word for so much longer than a request may take, a worker hangs.
const MARGIN: Duration = Duration::from_secs(5);

const RHYTHM: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// How far a rotation is of which the worker has said nothing yet.
const NOT_TOLD: Rotation = Rotation {
    left: 0,
    all: 0,
    damaged: 0,
};

/// A running minder.
#[derive(Debug)]
pub(crate) struct Minder {
    thread: JoinHandle<Result<()>>,
    /// Wakes the thread; closed, it means that the volume is to be closed.
    bell: OwnedFd,
    wishes: mpsc::Sender<Asked>,
    rotation: Arc<Mutex<Option<Rotation>>>,
    ended: OwnedFd,
}

/// The thread's own.
struct Watch {
    setting: Setting,
    connection: Arc<Connection>,
    witness: Option<WitnessFile>,
    remembered: Option<String>,
    worker: Option<Worker>,
    /// What workers have left since one last opened the volume, oldest first.
    left: Vec<OwnedFd>,
    /// A mount namespace with nothing in it, once a worker has made it.
    nowhere: Option<OwnedFd>,
    bell: OwnedFd,
    wishes: mpsc::Receiver<Asked>,
    /// The wish that the worker is about to fulfil.
    asked: Option<(Told, mpsc::Sender<Result<()>>)>,
    /// How far the rotation is, as the worker last said.
    rotation: Arc<Mutex<Option<Rotation>>>,
    /// Whether `bell` has hung up: the worker was told to close.
    is_closing: bool,
    successions: VecDeque<Instant>,
    /// Who else is to hear of faults: packets of [`Answer`].
    told: Option<OwnedFd>,
    /// Told of the first worker's being ready, or not.
    ready: Option<mpsc::Sender<Result<()>>>,
    /// Closed with the thread.
    _alive: OwnedFd,
}

impl Minder {
    /// Starts a worker and a thread that looks after it; returns when the disk is served. What people should hear of goes
    /// to `told` too, where that is given.
    ///
    /// # Errors
    /// What keeps the volume from being opened.
    pub(crate) fn start(
        setting: Setting,
        connection: Arc<Connection>,
        witness: Option<WitnessFile>,
        told: Option<OwnedFd>,
    ) -> Result<Self> {
        let pipe = || {
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|error| doing("making a pipe")(error.into()))
        };
        let ((bell, bell_rope), (ended, alive)) = (pipe()?, pipe()?);
        let (wishes, asked) = mpsc::channel();
        let rotation = Arc::new(Mutex::new(setting.keys.rotation().map(|_| NOT_TOLD)));
        let remembered = witness.as_ref().map(WitnessFile::read).transpose()?.flatten();
        let (ready, is_ready) = mpsc::channel();
        let mut watch = Watch {
            setting,
            connection,
            witness,
            remembered: remembered.map(|witness| witness.to_string()),
            worker: None,
            left: Vec::new(),
            nowhere: None,
            bell,
            wishes: asked,
            asked: None,
            rotation: Arc::clone(&rotation),
            is_closing: false,
            successions: VecDeque::new(),
            told,
            ready: Some(ready),
            _alive: alive,
        };
        watch.start_worker()?;
        let thread = std::thread::Builder::new()
            .name("minder".to_owned())
            .spawn(move || watch.run())
            .map_err(doing("starting the minder"))?;
        let minder = Minder {
            thread,
            bell: bell_rope,
            wishes,
            rotation,
            ended,
        };
        match is_ready.recv() {
            Ok(Ok(())) => Ok(minder),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(minder
                .join()
                .err()
                .unwrap_or_else(|| Problem::internal("the minder has ended"))),
        }
    }

    /// Hangs up when the disk is no longer served.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Has the volume encrypted anew under this key; returns when it is under it. Where it has that key already, nothing is
    /// to be done.
    ///
    /// # Errors
    /// `conflict` where that is under way already, under another key; what the worker says; `unavailable` where the disk is no longer served.
    pub(crate) fn rotate(&self, key: VolumeKey) -> Result<()> {
        self.ask(Wish::Rotate(key))
    }

    /// Makes the disk larger, to so many bytes.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub(crate) fn grow(&self, bytes: u64) -> Result<()> {
        self.ask(Wish::Grow(bytes))
    }

    /// How far the rotation has come; none where nothing is under another key than the volume's. Never that before the worker has
    /// said so.
    pub(crate) fn rotation(&self) -> Option<Rotation> {
        *self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, wish: Wish) -> Result<()> {
        let gone = || Problem::unavailable("the disk is no longer served");
        let (answer, is_answered) = mpsc::channel();
        self.wishes.send(Asked { wish, answer }).map_err(|_| gone())?;
        rustix::io::write(&self.bell, b"!").map_err(|error| doing("waking the minder")(error.into()))?;
        is_answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Has the volume closed in peace; nothing may use the disk any more.
    ///
    /// # Errors
    /// Where it could not be closed.
    pub(crate) fn close(self) -> Result<()> {
        self.join()
    }

    fn join(self) -> Result<()> {
        drop(self.bell);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Problem::internal("the minder has failed")))
    }
}

impl Watch {
    fn run(mut self) -> Result<()> {
        let result = self.watch();
        if result.is_err() {
            // Nobody will answer any more: that must be EIO, and never a wait without end.
            drop(self.connection.abort_handle().abort());
            if let Some(worker) = self.worker.take() {
                drop(worker.end(self.setting.patience));
            }
        }
        if let (Some(ready), Err(problem)) = (self.ready.take(), &result) {
            drop(ready.send(Err(problem.clone())));
        }
        result
    }

    fn watch(&mut self) -> Result<()> {
        loop {
            let (spoken, rung) = self.wait()?;
            if rung && !self.is_closing {
                self.answer_bell()?;
            }
            let Some(worker) = &mut self.worker else {
                return Err(Problem::internal("there is no worker"));
            };
            let report = if spoken {
                worker.hear()
            } else {
                Ok(Some(Report::Alive))
            };
            let hangs = worker.silent() > self.setting.patience + MARGIN;
            match report {
                Ok(Some(Report::Closed(witness))) => return self.finish(witness),
                Ok(Some(report)) if !hangs => self.take(report)?,
                Ok(Some(_)) => self.succeed("it hung")?,
                Ok(None) => self.succeed("it ended")?,
                Err(problem) => self.succeed(&problem.message)?,
            }
        }
    }

    fn wait(&self) -> Result<(bool, bool)> {
        let mut watched = Vec::with_capacity(2);
        watched.extend(
            self.worker
                .as_ref()
                .map(|worker| PollFd::from_borrowed_fd(worker.socket(), PollFlags::IN)),
        );
        if !self.is_closing {
            watched.push(PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN));
        }
        match rustix::event::poll(&mut watched, Some(&RHYTHM)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(doing("waiting for the worker")(error.into())),
        }
        let came = |index: usize| {
            watched
                .get(index)
                .is_some_and(|which| !which.revents().is_empty())
        };
        Ok((came(0), came(1)))
    }

    fn take(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Left => self.brief()?,
            Report::Arena | Report::Alive | Report::Closed(_) => {}
            Report::Ready { missing } => {
                // Whatever was left is in the log by now.
                self.left.clear();
                for missing in missing {
                    notice(missing);
                }
                if let Some(ready) = self.ready.take() {
                    drop(ready.send(Ok(())));
                }
            }
            Report::Witness(witness) => self.remember(witness),
            Report::Fault { what, tampering } => {
                notice(&what);
                self.pass_on(&Answer::Fault { what, tampering });
            }
            Report::Rotation(rotation) => self.note_rotation(rotation),
            Report::Grown => self.answer_wish(Ok(())),
            Report::Refused(problem) => self.answer_wish(Err(problem)),
            Report::Failed(problem) => return Err(problem),
        }
        Ok(())
    }

    /// Has whoever watches hear of it.
    fn pass_on(&self, what: &Answer) {
        if let Some(told) = &self.told
            && let Err(problem) = wire::send(told.as_fd(), what, &[])
        {
            notice(problem);
        }
    }

    fn remember(&mut self, witness: String) {
        let parsed = cofferdam_disk::Witness::parse(&witness);
        if let (Some(file), Some(witness)) = (&self.witness, parsed)
            && let Err(error) = file.write(&witness)
        {
            notice(format_args!("the witness cannot be written: {error}"));
        }
        self.remembered = Some(witness);
    }

    /// The worker has ended otherwise than it was told to: another one follows it.
    fn succeed(&mut self, why: &str) -> Result<()> {
        let Some(worker) = self.worker.take() else {
            return Err(Problem::internal("there is no worker"));
        };
        let (how, arena) = worker.end(self.setting.patience)?;
        self.left.extend(arena);
        let now = Instant::now();
        while self.successions.front().is_some_and(|then| now - *then > SPAN) {
            self.successions.pop_front();
        }
        self.successions.push_back(now);
        let first = self.ready.is_some();
        if first || self.successions.len() > SUCCESSORS || !self.connection.can_ask_again() {
            return Err(Problem::unavailable(format!("the worker: {why} ({how})")));
        }
        notice(format_args!("the worker: {why} ({how}); another one takes over"));
        self.start_worker()
    }

    fn start_worker(&mut self) -> Result<()> {
        self.worker = Some(Worker::start(self.nowhere.as_ref())?);
        Ok(())
    }

    /// The worker is where it cannot hold up anything: it can be told what to serve.
    fn brief(&mut self) -> Result<()> {
        let Some(worker) = &mut self.worker else {
            return Err(Problem::internal("there is no worker"));
        };
        self.nowhere = self.nowhere.take().or(worker.take_nowhere());
        let remembered = self.remembered.clone();
        worker.brief(&self.setting, &self.connection, remembered, &self.left)?;
        if let Some((Told::Growth(bytes), _)) = &self.asked {
            worker.grow(*bytes)?;
        }
        if self.is_closing {
            worker.close()?;
        }
        Ok(())
    }

    fn finish(&mut self, witness: String) -> Result<()> {
        self.remember(witness);
        self.worker.take().map_or(Ok(()), Worker::wait)
    }
}
