//! A store that fails, is full or is slow when a test says so; below it is a real one.

use cofferdam_disk::{Store, geometry::SegmentName};
use std::{
    fmt, io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Make,
    Append { bytes: usize },
    Sync,
    Read,
    Delete,
    ReplaceHead,
}

/// What becomes of a request: passed on, or answered with an error.
type Judge = Box<dyn FnMut(Request) -> io::Result<()> + Send>;

/// What decides over the requests of a [`Failing`] store; it can be changed while the store is in use.
#[derive(Clone)]
pub(crate) struct Weather {
    judge: Arc<Mutex<Judge>>,
    held: Arc<Mutex<Option<Held>>>,
}

/// The request that is to be kept waiting, seen from the store.
struct Held {
    kind: fn(Request) -> bool,
    enter: Sender<()>,
    left: Receiver<io::Result<()>>,
}

/// A request that is kept waiting until [`Gate::open`]; others pass it by.
pub(crate) struct Gate {
    entered: Receiver<()>,
    leave: Sender<io::Result<()>>,
}

/// Far more than it takes: this machine may be busy.
pub(crate) const LONG: Duration = Duration::from_secs(20);

impl Gate {
    /// Returns once the request waits.
    pub(crate) fn wait_for_somebody(&self) {
        self.entered.recv_timeout(LONG).unwrap();
    }

    /// Lets it go on, or has it fail.
    pub(crate) fn open(&self, how: io::Result<()>) {
        self.leave.send(how).unwrap();
    }
}

impl fmt::Debug for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weather")
    }
}

impl Weather {
    pub(crate) fn fair() -> Self {
        Weather {
            judge: Arc::new(Mutex::new(Box::new(|_| Ok(())))),
            held: Arc::default(),
        }
    }

    /// From here on, every request is judged by this.
    pub(crate) fn turns(&self, judge: impl FnMut(Request) -> io::Result<()> + Send + 'static) {
        *self.judge.lock().unwrap() = Box::new(judge);
    }

    /// From here on, the request that `matches` picks fails after `skip` others of its kind, once.
    pub(crate) fn strikes_once(&self, matches: impl Fn(Request) -> bool + Send + 'static, skip: usize) {
        let mut left = Some(skip);
        self.turns(move |request| {
            if matches(request) {
                match left {
                    Some(0) => {
                        left = None;
                        // EIO, for which Rust has no stable kind.
                        return Err(io::Error::from_raw_os_error(5));
                    }
                    Some(more) => left = Some(more - 1),
                    None => {}
                }
            }
            Ok(())
        });
    }

    fn ask(&self, request: Request) -> io::Result<()> {
        (self.judge.lock().unwrap())(request)?;
        // No lock is held while it waits: other requests go on.
        let held = self.held.lock().unwrap().take_if(|held| (held.kind)(request));
        let Some(held) = held else {
            return Ok(());
        };
        held.enter.send(()).unwrap();
        held.left.recv().unwrap()
    }

    /// The next request of this kind waits.
    pub(crate) fn holds(&self, kind: fn(Request) -> bool) -> Gate {
        let (enter, entered) = channel();
        let (leave, left) = channel();
        *self.held.lock().unwrap() = Some(Held { kind, enter, left });
        Gate { entered, leave }
    }
}

#[derive(Debug)]
pub(crate) struct Failing<S> {
    pub(crate) below: S,
    pub(crate) weather: Weather,
}

impl<S: Store> Store for Failing<S> {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        self.weather.ask(Request::Make)?;
        self.below.make(name, bytes, header)
    }

    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        self.weather.ask(Request::Append { bytes: bytes.len() })?;
        self.below.append(name, offset, bytes)
    }

    fn sync(&self, name: SegmentName) -> io::Result<()> {
        self.weather.ask(Request::Sync)?;
        self.below.sync(name)
    }

    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        self.weather.ask(Request::Read)?;
        self.below.read(name, offset, length, memory)
    }

    fn delete(&self, name: SegmentName, spares: usize) -> io::Result<()> {
        self.weather.ask(Request::Delete)?;
        self.below.delete(name, spares)
    }

    fn list(&self) -> io::Result<Vec<SegmentName>> {
        self.below.list()
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.below.head()
    }

    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        self.weather.ask(Request::ReplaceHead)?;
        self.below.replace_head(expected, new)
    }

    fn head_is_ours(&self) -> io::Result<bool> {
        self.below.head_is_ours()
    }
}
