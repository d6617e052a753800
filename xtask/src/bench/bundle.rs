//! A bundle as dockerd prepared it, caught at the gate, so that `create` can be timed alone: the same call
//! that the shim makes, once through the wrapper and once to runc.

use e2e::{
    Failure, Host, Outcome,
    command::{Running, start},
    failure::During,
    gate::Gate,
};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A container that stands at the gate for as long as this is there.
#[derive(Debug)]
pub(crate) struct Caught {
    bundle: PathBuf,
    config: Vec<u8>,
    id: String,
    state: PathBuf,
    gate: Gate,
    run: Running,
}

impl Caught {
    /// Starts `docker run --runtime gated ARGUMENTS…` and catches it.
    pub(crate) fn new(host: &Host, arguments: &[&str]) -> Outcome<Self> {
        let gate = Gate::shut()?;
        let mut line = vec!["run", "--rm", "--runtime", "gated"];
        line.extend(arguments);
        let run = start(&host.command("docker", &line))?;
        let bundle = gate.bundle()?;
        let id = bundle
            .file_name()
            .during("the container's id")?
            .to_string_lossy()
            .into_owned();
        let state = host.scratch().join("bench-state");
        fs::create_dir_all(&state)?;
        Ok(Caught {
            config: fs::read(bundle.join("config.json"))?,
            bundle,
            id,
            state,
            gate,
            run,
        })
    }

    /// The time of one `create` by this program; the container is deleted again.
    pub(crate) fn create(&self, host: &Host, program: &str) -> Outcome<Duration> {
        fs::write(self.bundle.join("config.json"), &self.config)?;
        let log = host.scratch().join("create.log");
        let mut create = self.command(host, program, "create");
        create.arg("--bundle").arg(&self.bundle).arg(&self.id);
        create
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        let begun = Instant::now();
        let status = create.status().during(program)?;
        let took = begun.elapsed();
        if !status.success() {
            return Err(Failure::new(format!(
                "{program} create: {}",
                fs::read_to_string(log)?
            )));
        }
        let mut delete = self.command(host, "runc", "delete");
        let deleted = delete
            .arg("--force")
            .arg(&self.id)
            .output()
            .during("runc delete")?;
        if !deleted.status.success() {
            return Err(Failure::new(format!(
                "runc delete: {}",
                String::from_utf8_lossy(&deleted.stderr)
            )));
        }
        Ok(took)
    }

    /// Lets the container go its way to the end.
    pub(crate) fn release(self) -> Outcome {
        fs::write(self.bundle.join("config.json"), &self.config)?;
        self.gate.open()?;
        self.run.end()?.ok().map(drop)
    }

    fn command(&self, host: &Host, program: &str, verb: &str) -> Command {
        let mut command = host.command::<&str>(program, &[]);
        command.arg("--root").arg(&self.state).arg(verb);
        command
    }
}
