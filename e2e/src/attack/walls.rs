//! The right program behind the wrong walls: whoever can reach into its container has the data.

use super::{
    case::{
        Attack,
        Attacker::{Client, Container},
    },
    evidence::Evidence,
    ground::{Ground, IMAGE},
    neighbours::SEARCH,
};
use crate::{Outcome, command::run, failure::ensure};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "walls::privileged",
        Client,
        "runs the victim's image as a privileged container",
        "no rule can allow it",
        |ground| started_with(ground, &["--privileged"]),
    )
    .where_privileged()
    .told(&[]),
    Attack::new(
        "walls::a_capability_that_reaches_out",
        Client,
        "adds CAP_SYS_ADMIN",
        "no rule can allow it",
        |ground| started_with(ground, &["--cap-add", "SYS_ADMIN"]),
    )
    .told(&["SYS_ADMIN"]),
    Attack::new(
        "walls::a_capability_to_trace",
        Client,
        "adds CAP_SYS_PTRACE",
        "no rule can allow it",
        |ground| started_with(ground, &["--cap-add", "SYS_PTRACE"]),
    )
    .told(&["SYS_PTRACE"]),
    Attack::new(
        "walls::every_capability",
        Client,
        "adds all capabilities by one word",
        "no rule can allow it",
        |ground| started_with(ground, &["--cap-add", "ALL"]),
    )
    .where_privileged()
    .told(&["cap"]),
    Attack::new(
        "walls::no_seccomp_filter",
        Client,
        "runs it without a seccomp filter",
        "the rule does not allow it",
        |ground| started_with(ground, &["--security-opt", "seccomp=unconfined"]),
    )
    .told(&["seccomp"]),
    Attack::new(
        "walls::unmasked_paths",
        Client,
        "shows it all of /proc and /sys",
        "the rule does not allow it",
        |ground| started_with(ground, &["--security-opt", "systempaths=unconfined"]),
    )
    .told(&[]),
    Attack::new(
        "walls::a_block_device",
        Client,
        "gives it a block device of the host's",
        "the rule does not allow it",
        a_block_device,
    )
    .told(&["device"]),
    Attack::new(
        "walls::a_rule_for_devices",
        Client,
        "lets it make nodes of every block device",
        "the rule does not allow it",
        |ground| started_with(ground, &["--device-cgroup-rule", "b *:* rwm"]),
    )
    .told(&["device"]),
    Attack::new(
        "walls::the_hosts_processes",
        Client,
        "runs it in the host's pid namespace",
        "no grant outweighs the guard rail",
        |ground| started_with(ground, &["--pid", "host"]),
    )
    .told(&["pid"]),
    Attack::new(
        "walls::the_hosts_ipc",
        Client,
        "runs it in the host's ipc namespace",
        "the rule does not allow it",
        |ground| started_with(ground, &["--ipc", "host"]),
    )
    .told(&[]),
    Attack::new(
        "walls::the_hosts_network",
        Client,
        "runs it in the host's network, where its sockets are",
        "the rule does not allow it",
        |ground| started_with(ground, &["--network", "host"]),
    )
    .told(&["network"]),
    Attack::new(
        "walls::the_attackers_processes",
        Container,
        "has the victim join its pid namespace, and looks through /proc",
        "no grant outweighs the guard rail",
        the_attackers_processes,
    )
    .told(&["pid"]),
    Attack::new(
        "walls::a_view_of_proc_of_his_own",
        Client,
        "lays a file of his own over the container's view of /proc",
        "nothing from outside lies beside the volume",
        a_view_of_proc_of_his_own,
    )
    .told(&["/proc/uptime"]),
];

/// The victim's own command, with these options.
fn started_with(ground: &mut Ground, options: &[&str]) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.run(options, IMAGE, &[])?;
    Ok(ground.started(&ran))
}

fn a_block_device(ground: &mut Ground) -> Outcome<Evidence> {
    let node = ground.place("devices")?.join("block");
    let node = node.to_string_lossy();
    run("mknod", &[&node, "b", "7", "200"])?.ok()?;
    started_with(ground, &["--device", &format!("{node}:/dev/sda")])
}

fn the_attackers_processes(ground: &mut Ground) -> Outcome<Evidence> {
    let trap = ["run", "--detach", "--name", "trap", "tiny:1", "sleep", "1000"];
    ground.docker(&trap)?.ok()?;
    // The victim stays, as its keeper does; the trap shares its processes.
    let held = ground.held_with(&["--pid", "container:trap"]);
    let seen = ground.docker(&["exec", "trap", "sh", "-c", SEARCH])?;
    let said = held.err().map_or_else(String::new, |failure| failure.to_string());
    ensure(ground.guarded() || said.is_empty(), || said.clone())?;
    Ok(ground.read(&seen).and(Evidence::when(false, "", said)))
}

fn a_view_of_proc_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    let file = ground.tool("uptime", "0.00 0.00\n")?;
    started_with(ground, &["--volume", &format!("{file}:/proc/uptime")])
}
