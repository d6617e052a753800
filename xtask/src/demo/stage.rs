//! Showing a command and its answer.

use e2e::{
    Host, Outcome, Ran,
    command::{finish, line_of},
};

/// The private host, and the voice that tells what happens on it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) host: Host,
    number: u32,
}

impl Stage {
    pub(crate) fn new(host: Host) -> Self {
        Stage { host, number: 0 }
    }

    /// Begins a scene.
    pub(crate) fn title(&mut self, title: &str) {
        self.number += 1;
        println!("\n{}. {title}", self.number);
    }

    /// One sentence for the audience.
    pub(crate) fn say(&self, text: &str) {
        println!("\n  {text}");
    }

    /// Shows a command and its answer, as a terminal would.
    pub(crate) fn show(&self, program: &str, arguments: &[&str]) -> Outcome<Ran> {
        let command = self.host.command(program, arguments);
        println!("  $ {}", line_of(&command));
        let ran = finish(&command)?;
        for line in ran.said().lines().filter(|line| !is_noise(line)) {
            println!("    {line}");
        }
        Ok(ran)
    }

    /// Ends what still runs.
    pub(crate) fn close(&mut self) -> Outcome {
        self.host.remove_containers()?;
        self.host.daemon.stop()?;
        self.host.engine.stop()
    }
}

/// What Docker's client says after every failure.
fn is_noise(line: &str) -> bool {
    line.trim().is_empty() || line.contains("docker run --help")
}
