//! One question to the daemon (`cofferdam_model::wire`), and its answer. No answer is a refusal.

use crate::bundle::Bundle;
use crate::guarded::Guarded;
use cofferdam_linux::{file, packet};
use cofferdam_model::wire::{self, DESCRIPTORS_MAX, OpenedMount, PACKET_MAX, Reply, Request, VERSION, Verb};
use cofferdam_model::{ContainerId, PlanId, Problem, Result, Settings};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// What was opened: which mount of config.json, and the detached mount for it.
pub(crate) type Opened = Vec<(OpenedMount, OwnedFd)>;

/// What a container was given.
pub(crate) struct Given {
    pub(crate) opened: Opened,
    /// Mounts that are to be made from the bundle's own descriptors, as they were judged.
    pub(crate) as_judged: Vec<usize>,
}

/// Asks for the volumes of a container that is about to be created.
///
/// # Errors
/// The daemon's refusal; `unavailable` where it does not answer in time.
pub(crate) fn open(
    settings: &Settings,
    container: ContainerId,
    runtime_root: PathBuf,
    bundle: &Bundle,
    guarded: Guarded,
) -> Result<Given> {
    let documents = Documents::of(bundle)?;
    let verb = Verb::Open {
        volume: guarded.volume,
        sources: documents.numbers(),
    };
    match question(settings, container, runtime_root, verb, &documents.descriptors())? {
        (Reply::Opened { opened, as_judged }, mounts) if opened.len() == mounts.len() => Ok(Given {
            opened: opened.into_iter().zip(mounts).collect(),
            as_judged,
        }),
        (reply, _) => Err(unfitting(&reply)),
    }
}

/// Asks what would be decided of a container that never starts; none is judged that nobody would ask about. Answers why it would be
/// refused.
///
/// # Errors
/// As [`open`]: then nobody knows.
pub(crate) fn plan(
    settings: &Settings,
    container: ContainerId,
    runtime_root: PathBuf,
    bundle: &Bundle,
    plan: PlanId,
    guarded: Option<Guarded>,
) -> Result<Option<Problem>> {
    let documents = guarded.map(|_| Documents::of(bundle)).transpose()?;
    let asked = guarded
        .zip(documents.as_ref())
        .map(|(guarded, documents)| wire::Guarded {
            volume: guarded.volume,
            sources: documents.numbers(),
        });
    let verb = Verb::Plan { plan, guarded: asked };
    let descriptors = documents.as_ref().map(Documents::descriptors).unwrap_or_default();
    match question(settings, container, runtime_root, verb, &descriptors)? {
        (Reply::Planned { refused }, _) => Ok(refused),
        (reply, _) => Err(unfitting(&reply)),
    }
}

/// What goes along with a question about a container, as descriptors.
struct Documents<'b> {
    config: OwnedFd,
    root: OwnedFd,
    sources: &'b [(usize, OwnedFd)],
}

impl<'b> Documents<'b> {
    fn of(bundle: &'b Bundle) -> Result<Self> {
        if bundle.sources.len() > DESCRIPTORS_MAX - 2 {
            let count = bundle.sources.len();
            return Err(Problem::invalid(format!(
                "the container has {count} bind mounts; {} are possible beside a volume",
                DESCRIPTORS_MAX - 2
            )));
        }
        let config = file::sealed("config.json", &bundle.bytes)
            .map_err(|error| Problem::internal(format!("cannot keep config.json in memory: {error}")))?;
        Ok(Documents {
            config,
            root: bundle.root()?,
            sources: &bundle.sources,
        })
    }

    fn numbers(&self) -> Vec<usize> {
        self.sources.iter().map(|(index, _)| *index).collect()
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let sources = self.sources.iter().map(|(_, source)| source.as_fd());
        [self.config.as_fd(), self.root.as_fd()]
            .into_iter()
            .chain(sources)
            .collect()
    }
}

/// Asks whether something may happen in a container that holds a volume.
///
/// # Errors
/// As [`open`].
pub(crate) fn allow(
    settings: &Settings,
    container: ContainerId,
    runtime_root: PathBuf,
    verb: Verb,
    process: Option<OwnedFd>,
) -> Result<()> {
    let descriptors: Vec<_> = process.iter().map(|process| process.as_fd()).collect();
    match question(settings, container, runtime_root, verb, &descriptors)? {
        (Reply::Allowed, _) => Ok(()),
        (reply, _) => Err(unfitting(&reply)),
    }
}

/// Sends the question and waits for its last answer.
fn question(
    settings: &Settings,
    container: ContainerId,
    runtime_root: PathBuf,
    verb: Verb,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(Reply, Vec<OwnedFd>)> {
    let silent = |error: io::Error| no_answer(settings, &error);
    let request = Request {
        version: VERSION,
        container,
        runtime_root,
        verb,
    };
    let bytes = serde_json::to_vec(&request)
        .map_err(|error| Problem::internal(format!("cannot write the question to cofferdamd: {error}")))?;
    if bytes.len() > PACKET_MAX {
        return Err(Problem::invalid("the question to cofferdamd is too long"));
    }
    let socket = packet::connect(
        &settings.runtime_socket(),
        Duration::from_millis(settings.runtime.timeout_ms.max(1)),
    )
    .map_err(silent)?;
    packet::send(socket.as_fd(), &bytes, descriptors).map_err(silent)?;
    loop {
        let answer = packet::receive(socket.as_fd(), PACKET_MAX).map_err(silent)?;
        let reply = serde_json::from_slice(&answer.bytes).map_err(|error| {
            Problem::unavailable(format!("cannot read cofferdamd's answer: {error}"))
                .remedy("install cofferdamd and cofferdam-runtime of the same version")
        })?;
        match reply {
            Reply::Working => {}
            Reply::Refused {
                problem,
                decision: Some(decision),
            } => {
                let remedy = problem
                    .remedy
                    .as_ref()
                    .map_or_else(String::new, |remedy| format!("{remedy}; "));
                return Err(problem.remedy(format!("{remedy}see: cofferdam why {decision}")));
            }
            Reply::Refused {
                problem,
                decision: None,
            } => return Err(problem),
            reply => return Ok((reply, answer.descriptors)),
        }
    }
}

fn unfitting(reply: &Reply) -> Problem {
    Problem::unavailable(format!(
        "cofferdamd answered something else than was asked ({})",
        match reply {
            Reply::Working => "working",
            Reply::Opened { .. } => "opened",
            Reply::Allowed => "allowed",
            Reply::Planned { .. } => "planned",
            Reply::Refused { .. } => "refused",
        }
    ))
    .remedy("install cofferdamd and cofferdam-runtime of the same version")
}

/// Why there is no answer, and what to do about it.
fn no_answer(settings: &Settings, error: &io::Error) -> Problem {
    let socket = settings.runtime_socket();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Problem::unavailable(format!("cofferdamd does not run ({}: {error})", socket.display()))
                .remedy("start it with: systemctl start cofferdamd")
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Problem::unavailable(format!(
            "cofferdamd did not answer within {} ms",
            settings.runtime.timeout_ms
        ))
        .remedy("look at its log with: journalctl -u cofferdamd"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            Problem::unavailable("cofferdamd ended before it answered")
                .remedy("start the container again; if it recurs: journalctl -u cofferdamd")
        }
        _ => Problem::unavailable(format!("cannot ask cofferdamd at {}: {error}", socket.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::ErrorKind;

    fn settings(run: &std::path::Path) -> Settings {
        let mut settings = Settings::default();
        settings.paths.run = run.to_owned();
        settings.runtime.timeout_ms = 50;
        settings
    }

    fn ask(settings: &Settings) -> Result<()> {
        allow(
            settings,
            "3f2a".parse().unwrap(),
            "/run/runc".into(),
            Verb::Checkpoint,
            None,
        )
    }

    /// A daemon that sends these packets to whoever connects.
    fn answering(settings: &Settings, packets: &[&[u8]]) -> std::thread::JoinHandle<()> {
        let packets: Vec<Vec<u8>> = packets.iter().map(|packet| packet.to_vec()).collect();
        let listener = packet::listen(&settings.runtime_socket()).unwrap();
        std::thread::spawn(move || {
            let socket = loop {
                match packet::accept(listener.as_fd(), Duration::from_secs(5)) {
                    Ok(socket) => break socket,
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            packet::receive(socket.as_fd(), PACKET_MAX).unwrap();
            for bytes in &packets {
                packet::send(socket.as_fd(), bytes, &[]).unwrap();
            }
            if packets.is_empty() {
                std::thread::sleep(Duration::from_millis(200));
            }
        })
    }

    #[test]
    fn no_daemon_is_a_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let refused = ask(&settings(dir.path())).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
        assert!(
            refused.to_string().contains("systemctl start cofferdamd"),
            "{refused}"
        );
    }

    #[test]
    fn a_daemon_that_hangs_is_a_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let daemon = answering(&settings, &[]);
        assert!(
            ask(&settings)
                .unwrap_err()
                .message
                .contains("did not answer within 50 ms")
        );
        daemon.join().unwrap();
    }

    #[test]
    fn working_is_waited_for_and_nonsense_refused() {
        for (packets, allowed) in [
            (
                &[&br#""working""#[..], br#""working""#, br#""allowed""#][..],
                true,
            ),
            (&[&br#""opened""#[..]][..], false),
            (&[&br#"{"opened":{"opened":[]}}"#[..]][..], false),
            (&[&b"\xff"[..]][..], false),
            (
                &[&br#"{"refused":{"problem":{"kind":"busy","message":"held"}}}"#[..]][..],
                false,
            ),
            (&[&br#""working""#[..]][..], false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let settings = settings(dir.path());
            let daemon = answering(&settings, packets);
            assert_eq!(ask(&settings).is_ok(), allowed, "{packets:?}");
            daemon.join().unwrap();
        }
    }

    #[test]
    fn a_refusal_names_its_decision() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let daemon = answering(
            &settings,
            &[br#"{"refused":{"problem":{"kind":"denied","message":"no"},"decision":"7f3a"}}"#],
        );
        assert_eq!(
            ask(&settings).unwrap_err().to_string(),
            "no; see: cofferdam why 7f3a"
        );
        daemon.join().unwrap();
    }
}
