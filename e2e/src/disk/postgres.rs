//! The machine's own PostgreSQL, with its data on a sealed disk.

use crate::{
    binaries::find_postgres,
    command::{Ran, finish, run},
    failure::{During, Failure, Outcome},
    process::{signal, until},
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Against hangs only.
const PATIENCE: Duration = Duration::from_secs(120);

/// As whom it runs, for it refuses to be root, and where.
#[derive(Debug, Clone)]
pub struct Postgres {
    user: (u32, u32),
    /// Where the data is.
    pub data: PathBuf,
    /// A directory for its socket and its log, outside of the disk.
    pub outside: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Postgres {
    /// None where it is not installed.
    ///
    /// # Errors
    /// As making the two directories.
    pub fn find(data: &Path, outside: &Path) -> Outcome<Option<Self>> {
        let Some(user) = user()? else {
            return Ok(None);
        };
        if ["initdb", "postgres", "pgbench", "pg_amcheck"]
            .iter()
            .any(|program| find_postgres(program).is_none())
        {
            return Ok(None);
        }
        for directory in [data, outside] {
            fs::create_dir_all(directory)?;
            chown(directory, Some(user.0), Some(user.1))?;
        }
        Ok(Some(Postgres {
            user,
            data: data.to_owned(),
            outside: outside.to_owned(),
        }))
    }

    /// One of its programs, as its user.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &self.user.0.to_string(),
            "--regid",
            &self.user.1.to_string(),
        ]);
        command.args(["--clear-groups", "--"]);
        command.arg(find_postgres(program).unwrap_or_else(|| program.into()));
        command
            .current_dir(&self.outside)
            .env("PGHOST", &self.outside)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        command
    }

    /// Makes a cluster, with checksums.
    ///
    /// # Errors
    /// What initdb says.
    pub fn initialise(&self) -> Outcome {
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(&self.data);
        command.args([
            "--data-checksums",
            "--auth=trust",
            "--username=postgres",
            "--no-locale",
        ]);
        command.arg("--encoding=UTF8");
        finish(&command)?.ok().map(drop)
    }

    /// Starts the server and waits until it answers; after a crash it recovers first.
    ///
    /// # Errors
    /// Where it ends instead, with its log.
    pub fn start(&self) -> Outcome<Running> {
        let log = self.outside.join("log");
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data);
        command.args(["-c", "listen_addresses="]);
        command.arg("-c");
        command.arg(format!("unix_socket_directories={}", self.outside.display()));
        command.args(["-c", "shared_buffers=32MB", "-c", "max_wal_size=128MB"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // Its processes end with it, or with the test.
            .process_group(0)
            .spawn()?;
        let mut running = Running { child };
        let ready = until("PostgreSQL answers", PATIENCE, || {
            running.has_ended() || self.query("select 1").is_ok()
        });
        if ready.is_ok() && !running.has_ended() {
            return Ok(running);
        }
        Err(Failure::new(format!(
            "PostgreSQL did not start: {}",
            fs::read_to_string(&log).unwrap_or_default()
        )))
    }

    /// Asks one thing; answers what psql prints.
    ///
    /// # Errors
    /// What psql says.
    pub fn query(&self, text: &str) -> Outcome<String> {
        let mut command = self.command("psql");
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--command",
            text,
        ]);
        Ok(finish(&command)?.ok()?.text())
    }

    /// Runs one of its programs with a few arguments.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Outcome<Ran> {
        finish(self.command(program).args(arguments))
    }
}

impl Running {
    /// Stops it as an operator does.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop(mut self) -> Outcome {
        signal(self.child.id(), Signal::INT)?;
        until("PostgreSQL stops", PATIENCE, || self.has_ended())
    }

    /// Waits for it to end by itself, as it does when its data is gone; ends it with -9 where it does not.
    ///
    /// # Errors
    /// As wait(2).
    pub fn crash(mut self) -> Outcome {
        signal(self.child.id(), Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Those that it started end by themselves then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The user that the package made.
fn user() -> Outcome<Option<(u32, u32)>> {
    let entry = run("getent", &["passwd", "postgres"])?;
    if !entry.is_ok() {
        return Ok(None);
    }
    let mut ids = entry.out.split(':').skip(2).map(str::parse::<u32>);
    let mut id = || ids.next().during("an id of the user postgres")?.during("an id");
    Ok(Some((id()?, id()?)))
}
