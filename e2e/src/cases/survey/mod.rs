//! Ordinary launches, as people have them: what they type stays what it is but for the volume and the runtime.
//!
//! Each runs once as ever, by plain runc with a volume of Docker's own; its rule is learned from that; the same line then runs with a
//! sealed volume in its place, is stopped, started, restarted, removed and made anew, and does its work after each turn, with no hand
//! on the rule. Then something is changed that the rule does not let in, and the launch is refused.
//!
//! | room | launches |
//! |---|---|
//! | `servers` | real ones: nginx, PostgreSQL, Redis |
//! | `options` | the options that people give to `docker run` |
//! | `compose` | a project of three services |

pub(super) mod compose;
pub(super) mod options;
pub(super) mod servers;

use super::{Launch, Scene};
use crate::{
    Outcome, Ran,
    failure::{During, ensure},
    process::until,
};
use std::{cell::Cell, net::IpAddr, time::Duration};

/// How long a service may take until it does its work.
const PATIENCE: Duration = Duration::from_secs(40);

/// The network that services and their clients share.
const NETWORK: &str = "survey";

/// Something that a container does for whoever uses it.
struct Work<'a> {
    /// Does it in the container; `turns` is how often it was done on the same data before.
    done: &'a dyn Fn(&Scene, &str, usize) -> Outcome,
    turns: Cell<usize>,
}

impl<'a> Work<'a> {
    fn of(done: &'a dyn Fn(&Scene, &str, usize) -> Outcome) -> Self {
        Work {
            done,
            turns: Cell::new(0),
        }
    }

    /// Does it once more.
    fn again(&self, scene: &Scene, id: &str) -> Outcome {
        let turns = self.turns.get();
        (self.done)(scene, id, turns).during(scene.docker(&["logs", "--tail", "20", id])?.said())?;
        self.turns.set(turns + 1);
        Ok(())
    }
}

/// Surveys one launch whose data is at a place; `changed` are launches that its rule does not let in.
fn surveyed(scene: &Scene, launch: &Launch, at: &str, work: Work<'_>, changed: &[Launch]) -> Outcome {
    let app = learned(scene, "app", launch, at, &work)?;
    let volume = scene.volume("data", &["--size", "512M"])?;
    scene.grant(&volume, &app, &[])?;
    work.turns.set(0);
    lives(scene, &launch.clone().volume(&volume, at), &work)?;
    for other in changed {
        refused(scene, &other.clone().volume(&volume, at), &volume)?;
    }
    Ok(())
}

/// The app's name, learned from a container that plain runc runs with a volume of Docker's own.
fn learned(scene: &Scene, label: &str, launch: &Launch, at: &str, work: &Work<'_>) -> Outcome<String> {
    let app = scene.named(label);
    let id = launch.clone().by("runc").volume("learning", at).detached(scene)?;
    work.again(scene, &id)?;
    learn(scene, &app, &id[..12])?;
    scene.docker(&["rm", "--force", "--volumes", &id])?.ok()?;
    scene.docker(&["volume", "rm", "learning"])?.ok()?;
    Ok(app)
}

/// Learns from a container by what Docker calls it.
fn learn(scene: &Scene, app: &str, container: &str) -> Outcome {
    scene
        .cofferdam(&["app", "learn", app, "--container", container])?
        .ok()?
        .says(&["is what container"])
        .map(drop)
}

/// Starts it and leads it through the usual turns.
fn lives(scene: &Scene, launch: &Launch, work: &Work<'_>) -> Outcome {
    let id = launch.detached(scene)?;
    work.again(scene, &id)?;
    scene.docker(&["stop", "--time", "10", &id])?.ok()?;
    scene.nothing_is_held()?;
    scene.docker(&["start", &id])?.ok()?;
    work.again(scene, &id)?;
    scene.docker(&["restart", "--time", "10", &id])?.ok()?;
    work.again(scene, &id)?;
    scene.docker(&["rm", "--force", "--volumes", &id])?.ok()?;
    let anew = launch.detached(scene)?;
    work.again(scene, &anew)?;
    scene.docker(&["rm", "--force", "--volumes", &anew])?.ok()?;
    scene.nothing_is_held()
}

/// Sees that it is refused, and that it is its volume that it does not get.
fn refused(scene: &Scene, launch: &Launch, volume: &str) -> Outcome {
    launch
        .try_detached(scene)?
        .refused(&["cofferdam:", volume, "is not open to this container"])?;
    scene.nothing_is_held()
}

/// Makes the network where it is not there yet.
fn network(scene: &Scene) -> Outcome {
    if scene.docker(&["network", "inspect", NETWORK])?.is_ok() {
        return Ok(());
    }
    scene.docker(&["network", "create", NETWORK])?.ok().map(drop)
}

/// Runs a client of services in a container that holds nothing and is kept for the next time.
fn client(scene: &Scene, network: &str, image: &str, argv: &[&str]) -> Outcome<Ran> {
    let name = format!("client-{network}");
    if !scene.docker(&["inspect", &name])?.is_ok() {
        let options = ["--name", &name, "--network", network, "--entrypoint", "sleep"];
        let _id = Launch::of(image)
            .options(&options)
            .argv(&["infinity"])
            .detached(scene)?;
    }
    scene.docker(&[&["exec", &name], argv].concat())
}

/// Where a container is on its network.
fn address(scene: &Scene, id: &str) -> Outcome<IpAddr> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let found = scene.docker(&["inspect", "--format", format, id])?.ok()?.text();
    found.parse().during(format!("{found:?} as an address"))
}

/// What Docker says of a container's healthchecks.
fn health(scene: &Scene, id: &str) -> Outcome<String> {
    let format = "{{.State.Health.Status}}";
    Ok(scene.docker(&["inspect", "--format", format, id])?.ok()?.text())
}

/// Waits until a container's healthchecks have come to this.
fn becomes(scene: &Scene, id: &str, wanted: &str) -> Outcome {
    until(wanted, PATIENCE, || {
        health(scene, id).is_ok_and(|found| found == wanted)
    })
    .during(
        scene
            .docker(&["inspect", "--format", "{{json .State.Health}}", id])?
            .said(),
    )
}

/// Prints, as often as it can write to its data; ends when it is told to.
const BEATS: [&str; 3] = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do date >> /data/beats && echo beat; sleep 0.1; done",
];

/// Whether it beats on.
fn beats(scene: &Scene, id: &str, _turns: usize) -> Outcome {
    let count = || {
        scene
            .docker(&["logs", id])
            .map_or(0, |ran| ran.out.lines().count())
    };
    let before = count();
    until("it writes to its data", PATIENCE, || count() > before)?;
    let running = scene.docker(&["inspect", "--format", "{{.State.Running}}", id])?;
    ensure(running.text() == "true", || running.said())
}
