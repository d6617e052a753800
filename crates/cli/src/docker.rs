//! The `docker` command that `plan` is given: understood as far as its verb, started with the mark of a plan, and tidied up after.
//!
//! What `docker run` takes is Docker's to know, and changes. So nothing after the verb is understood here: our own options go in front of
//! the others, and where one of the others could undo what they are for, the command is refused by that word alone.

use cofferdam_model::{ContainerId, PLAN_LABEL, PLAN_VARIABLE, PlanId, Problem, Result};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Docker's options before the verb that take a value, and those that take none.
const WITH_VALUE: [&str; 10] = [
    "H",
    "host",
    "c",
    "context",
    "config",
    "l",
    "log-level",
    "tlscacert",
    "tlscert",
    "tlskey",
];
const WITHOUT: [&str; 4] = ["D", "debug", "tls", "tlsverify"];

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How often is looked for a container that Docker may still be making, when the command was interrupted.
const LOOKS: u32 = 10;

/// The longest of its messages that is shown, in bytes.
const MESSAGE_MAX: u64 = 64 << 10;

/// A `docker run` or `docker create`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    program: OsString,
    /// What stands before the verb.
    global: Vec<OsString>,
    /// `run`, `create`, or `container` and one of them.
    verb: Vec<OsString>,
    /// It starts what it makes.
    starts: bool,
    rest: Vec<OsString>,
}

/// How a launch with the mark ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The container that Docker had made.
    pub(crate) container: Option<ContainerId>,
    /// Docker says that it was started.
    pub(crate) started: bool,
    /// It was interrupted by a signal.
    pub(crate) interrupted: bool,
    /// What Docker wrote to stderr.
    pub(crate) message: String,
    /// Containers that could not be removed.
    pub(crate) left: Vec<ContainerId>,
}

impl Launch {
    /// Understands a command line up to its verb.
    ///
    /// # Errors
    /// `invalid` where it is none of those, or would undo what makes it a plan.
    pub(crate) fn parse(words: &[OsString], runtime: &str) -> Result<Self> {
        let [program, after @ ..] = words else {
            return Err(not_understood("an empty command"));
        };
        if Path::new(program).file_name() != Some(OsStr::new("docker")) {
            return Err(not_understood(&shown(program)));
        }
        let count = globals(after)?;
        let (global, after) = after.split_at(count.min(after.len()));
        let verbs = usize::from(after.first().is_some_and(|word| word == "container")) + 1;
        let (verb, rest) = after.split_at(verbs.min(after.len()));
        let starts = match verb.last().and_then(|word| word.to_str()) {
            Some("run") => true,
            Some("create") => false,
            Some(other) => return Err(not_understood(&format!("docker {}", other.escape_debug()))),
            None => return Err(not_understood("docker without a verb")),
        };
        undoes_nothing(rest, runtime)?;
        Ok(Launch {
            program: program.clone(),
            global: global.to_vec(),
            verb: verb.to_vec(),
            starts,
            rest: rest.to_vec(),
        })
    }

    /// Runs it with the mark, and removes what Docker has made of it, whatever comes.
    ///
    /// # Errors
    /// `missing` where it cannot be run.
    pub(crate) fn plan(&self, id: PlanId, runtime: &str) -> Result<Ended> {
        let place = Place::new(id)?;
        let event_loop = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::internal(format!("cannot start an event loop: {error}")))?;
        event_loop.block_on(self.marked(id, runtime, &place))
    }

    async fn marked(&self, id: PlanId, runtime: &str, place: &Place) -> Result<Ended> {
        let mut command = self.docker(&self.verb);
        // Nobody attaches to it: a terminal that is asked for need not be there.
        command.args(self.starts.then_some("--detach"));
        command
            .args(["--env", &format!("{PLAN_VARIABLE}={id}")])
            .args(["--label", &format!("{PLAN_LABEL}={id}")])
            .args(["--runtime", runtime, "--cidfile"])
            .arg(place.container_file())
            .args(&self.rest);
        let mut ended = self.to_its_end(command, place).await?;
        let made = place.container();
        if let (false, true, Some(made)) = (self.starts, ended.succeeded(), &made) {
            let mut start = self.docker(&["start".into()]);
            start.arg(made.as_str());
            ended = self.to_its_end(start, place).await?;
        }
        let left = self.tidy(id, ended.status.is_none()).await;
        Ok(Ended {
            started: ended.succeeded() && made.is_some(),
            container: made,
            interrupted: ended.status.is_none(),
            message: place.message(),
            left,
        })
    }

    /// Runs one command to its end, or to the first signal that wants this one to end.
    async fn to_its_end(&self, mut command: Command, place: &Place) -> Result<Run> {
        let unusable = |error: io::Error| {
            Problem::missing(format!("cannot run {}: {error}", shown(&self.program)))
                .remedy("plan a command that can be run, such as: cofferdam plan -- docker run …")
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(unusable)?;
        let message = File::create(place.message_file()).map_err(unusable)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(message);
        let mut child = command.spawn().map_err(unusable)?;
        loop {
            if let Some(status) = child.try_wait().map_err(unusable)? {
                return Ok(Run { status: Some(status) });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = interrupt.recv() => return Ok(stopped(child)),
                _ = terminate.recv() => return Ok(stopped(child)),
                _ = hang_up.recv() => return Ok(stopped(child)),
            }
        }
    }

    /// Removes every container with the label of this plan, with the volumes that were made for it alone.
    async fn tidy(&self, id: PlanId, may_come_late: bool) -> Vec<ContainerId> {
        let mut left = Vec::new();
        for _ in 0..if may_come_late { LOOKS } else { 1 } {
            left = self.labelled(id);
            left.retain(|container| {
                let mut remove = self.docker(&["rm".into()]);
                remove.args(["--force", "--volumes", container.as_str()]);
                !quietly(remove).is_some_and(|(status, _)| status.success())
            });
            if may_come_late {
                tokio::time::sleep(LOOK * 10).await;
            }
        }
        // Docker itself may have been about to remove it (`--rm`).
        if !left.is_empty() {
            tokio::time::sleep(LOOK * 10).await;
            let there = self.labelled(id);
            left.retain(|container| there.contains(container));
        }
        left
    }

    fn labelled(&self, id: PlanId) -> Vec<ContainerId> {
        let mut list = self.docker(&["ps".into()]);
        list.args(["--all", "--quiet", "--no-trunc", "--filter"])
            .arg(format!("label={PLAN_LABEL}={id}"));
        let Some((_, out)) = quietly(list) else {
            return Vec::new();
        };
        out.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// The same program, with what stands before the verb.
    fn docker(&self, verb: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.global).args(verb);
        command
    }
}

/// One command; without a status where it was interrupted.
struct Run {
    status: Option<ExitStatus>,
}

impl Run {
    fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

fn stopped(mut child: Child) -> Run {
    // It may have ended by itself: a terminal tells both.
    child.kill().unwrap_or_default();
    drop(child.wait());
    Run { status: None }
}

fn quietly(mut command: Command) -> Option<(ExitStatus, String)> {
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    Some((
        output.status,
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}

/// How many words before the verb are options.
fn globals(words: &[OsString]) -> Result<usize> {
    let mut count = 0;
    while let Some(word) = words.get(count) {
        let text = word.to_str().unwrap_or_default();
        let Some(body) = text.strip_prefix('-') else { break };
        let unknown = || not_understood(&format!("docker with the option {}", shown(word)));
        let (name, joined) = match body.strip_prefix('-') {
            Some(long) => match long.split_once('=') {
                Some((name, _)) => (name, true),
                None => (long, false),
            },
            None => (body.get(..1).unwrap_or_default(), body.len() > 1),
        };
        count += match (WITH_VALUE.contains(&name), WITHOUT.contains(&name)) {
            (true, _) if !joined => 2,
            (true, _) => 1,
            // Of several letters in one word, any may take a value.
            (_, true) if !joined || body.starts_with('-') => 1,
            _ => return Err(unknown()),
        };
    }
    Ok(count)
}

/// Refuses what would have the container started by another runtime, or leave a file behind that is in the way of the real launch. Words
/// of the container's own command that look like it are refused too: which they are, only Docker knows.
fn undoes_nothing(words: &[OsString], runtime: &str) -> Result<()> {
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let named = match bytes.strip_prefix(b"--runtime=") {
            Some(named) => Some(named),
            None if bytes == b"--runtime" => Some(words.peek().map_or(&b""[..], |next| next.as_bytes())),
            None => None,
        };
        if let Some(named) = named.filter(|named| *named != runtime.as_bytes()) {
            let named = shown(OsStr::from_bytes(named));
            return Err(Problem::invalid(format!(
                "the command names the runtime {named}, which would start the container and ask nobody"
            ))
            .remedy(format!(
                "leave it out; if {named} is Cofferdam's runtime: cofferdam plan --runtime {named} -- docker …"
            )));
        }
        if bytes == b"--cidfile" || bytes.starts_with(b"--cidfile=") {
            return Err(
                Problem::invalid("with --cidfile, the plan's container would be written there")
                    .remedy("plan it without --cidfile"),
            );
        }
    }
    Ok(())
}

fn not_understood(what: &str) -> Problem {
    Problem::invalid(format!("{what} is not understood: what is planned is one docker run"))
        .remedy("write: cofferdam plan -- docker run …, or docker create …; of docker compose, plan each service by its own docker run")
}

fn shown(word: &OsStr) -> String {
    let text: String = word.to_string_lossy().chars().take(80).collect();
    format!("{text:?}")
}

/// A directory of this plan's own, for what Docker writes; gone with this.
struct Place(PathBuf);

impl Place {
    fn new(id: PlanId) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("cofferdam-plan-{id}"));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Problem::unavailable(format!("cannot make the directory {}: {error}", path.display()))
        })?;
        Ok(Place(path))
    }

    fn container_file(&self) -> PathBuf {
        self.0.join("container")
    }

    fn message_file(&self) -> PathBuf {
        self.0.join("message")
    }

    fn container(&self) -> Option<ContainerId> {
        let text = fs::read_to_string(self.container_file()).ok()?;
        text.trim().parse().ok()
    }

    fn message(&self) -> String {
        let mut bytes = Vec::new();
        let opened = File::open(self.message_file());
        let read = opened.and_then(|file| file.take(MESSAGE_MAX).read_to_end(&mut bytes));
        // What cannot be read is not there to be shown.
        drop(read);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Launch> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Launch::parse(&words, "cofferdam")
    }

    #[test]
    fn a_run_is_understood_up_to_its_verb() {
        for (line, global, verb, rest) in [
            ("docker run tiny:1", 0, 1, 1),
            ("/usr/bin/docker create -v a.b:/x tiny:1 ls -la", 0, 1, 5),
            ("docker container run tiny:1", 0, 2, 1),
            ("docker -H unix:///run/docker.sock run -it tiny:1", 2, 1, 2),
            (
                "docker --host=unix:///x -D --tls=false --context x run tiny:1",
                5,
                1,
                1,
            ),
            ("docker -Hunix:///x -c=there run -- tiny:1", 2, 1, 2),
            ("docker run --runtime cofferdam tiny:1", 0, 1, 3),
            ("docker run --runtime=cofferdam tiny:1", 0, 1, 2),
        ] {
            let launch = parsed(line).unwrap();
            let found = (launch.global.len(), launch.verb.len(), launch.rest.len());
            assert_eq!(found, (global, verb, rest), "{line}");
        }
        assert!(parsed("docker run x").unwrap().starts);
        assert!(!parsed("docker container create x").unwrap().starts);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for line in [
            "",
            "docker",
            "docker ps",
            "docker compose up",
            "docker container",
            "docker container ls",
            "docker -H",
            "docker -DH x run tiny:1",
            "docker --new x run tiny:1",
            "podman run tiny:1",
            "sudo docker run tiny:1",
        ] {
            let problem = parsed(line).unwrap_err();
            assert!(problem.message.contains("not understood"), "{line}: {problem}");
        }
    }

    #[test]
    fn nothing_undoes_the_plan() {
        for line in [
            "docker run --runtime runc tiny:1",
            "docker run --runtime=runc tiny:1",
            "docker run tiny:1 --runtime",
            "docker run --runtime cofferdam --runtime crun tiny:1",
            "docker run --cidfile /tmp/x tiny:1",
            "docker create --cidfile=/tmp/x tiny:1",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
