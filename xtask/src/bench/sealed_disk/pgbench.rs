//! PostgreSQL on a contestant: a real cluster on its mount, reached through a socket elsewhere.

use super::{plan::LIMIT, server::Server};
use e2e::{
    Outcome,
    binaries::find_postgres,
    command::{Ran, finish, finish_within, run},
    failure::During,
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The user that Debian's package makes; the server refuses to be root's.
const USER: &str = "postgres";

/// Clients that work at the same time.
const CLIENTS: &str = "4";

/// A cluster on a mount.
#[derive(Debug)]
pub(crate) struct Cluster {
    data: PathBuf,
    sockets: PathBuf,
    server: Server,
}

impl Cluster {
    /// Makes and starts one. Settings are PostgreSQL's own, but for the socket.
    pub(crate) fn start(mount: &Path, sockets: &Path, log: &Path) -> Outcome<Self> {
        let data = mount.join("postgresql");
        for directory in [&data, &sockets.to_owned()] {
            run("rm", &[Path::new("-rf"), directory])?.ok()?;
            let directory = directory.to_string_lossy();
            run("install", &["-d", "-o", USER, "-m", "700", &directory])?.ok()?;
        }
        let mut initdb = as_user("initdb")?;
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--no-locale", "--pgdata"])
            .arg(&data);
        finish_within(&initdb, LIMIT)?.ok()?;
        let mut postgres = as_user("postgres")?;
        postgres.args(["-c", "listen_addresses="]).arg("-k").arg(sockets);
        postgres.arg("-D").arg(&data);
        let mut cluster = Cluster {
            data,
            sockets: sockets.to_owned(),
            server: Server::start(&mut postgres, log)?,
        };
        let ready = cluster.client("pg_isready")?;
        cluster.server.until("ready", || Ok(finish(&ready)?.is_ok()))?;
        Ok(cluster)
    }

    /// Fills it at a scale, runs TPC-B for some seconds and answers the transactions per second.
    pub(crate) fn transactions(&self, scale: u32, seconds: u32) -> Outcome<f64> {
        let mut fill = self.client("pgbench")?;
        fill.args(["--initialize", "--quiet", "--scale", &scale.to_string(), USER]);
        finish_within(&fill, LIMIT)?.ok()?;
        let mut checkpoint = self.client("psql")?;
        checkpoint.args(["--command=CHECKPOINT", USER]);
        finish_within(&checkpoint, LIMIT)?.ok()?;
        let mut work = self.client("pgbench")?;
        work.args([
            "--client",
            CLIENTS,
            "--jobs",
            "2",
            "--time",
            &seconds.to_string(),
            USER,
        ]);
        let ran: Ran = finish_within(&work, LIMIT)?.ok()?;
        tps(&ran.out).during(format!("{}: {:?}", ran.line, ran.out))
    }

    /// Stops it as `systemctl stop` does, and removes it.
    pub(crate) fn remove(self) -> Outcome {
        self.server.end(Signal::INT)?;
        fs::remove_dir_all(self.data)?;
        Ok(())
    }

    fn client(&self, program: &str) -> Outcome<Command> {
        let mut command = as_user(program)?;
        command.arg("--host").arg(&self.sockets);
        Ok(command)
    }
}

fn as_user(program: &str) -> Outcome<Command> {
    let program = find_postgres(program).during(format!("{program} of PostgreSQL"))?;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--init-groups", "--"])
        .arg(program)
        .current_dir("/");
    Ok(command)
}

/// The rate in pgbench's report.
pub(crate) fn tps(report: &str) -> Option<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found() {
        let report = "latency average = 3.1 ms\ninitial connection time = 9.8 ms\n\
                      tps = 1288.374 (without initial connection time)\n";
        assert_eq!(tps(report), Some(1288.374));
        assert_eq!(tps("nothing"), None);
    }
}
