//! Neighbours: containers without a volume that reach for one that another container holds.

use super::{
    case::{
        Attack,
        Attacker::{Client, Container},
    },
    evidence::Evidence,
    ground::{Ground, secret},
};
use crate::Outcome;

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "neighbours::the_victims_processes",
        Container,
        "joins the victim's pid namespace and looks through /proc/1/root",
        "the victim holds a volume, so nobody joins it",
        |ground| searches(ground, &["--pid", "container:victim"]),
    )
    .told(&["pid"]),
    Attack::new(
        "neighbours::the_victims_processes_with_leave_to_trace",
        Container,
        "does so with CAP_SYS_PTRACE",
        "the victim holds a volume, so nobody joins it",
        |ground| searches(ground, &["--pid", "container:victim", "--cap-add", "SYS_PTRACE"]),
    )
    .told(&["pid"]),
    Attack::new(
        "neighbours::the_hosts_processes",
        Container,
        "joins the host's pid namespace, with CAP_SYS_PTRACE, and looks through every process's root",
        "it would reach what others hold",
        |ground| {
            searches(
                ground,
                &[
                    "--pid",
                    "host",
                    "--cap-add",
                    "SYS_PTRACE",
                    "--cap-add",
                    "SYS_ADMIN",
                ],
            )
        },
    )
    .told(&["pid"]),
    Attack::new(
        "neighbours::privileged_among_the_hosts_processes",
        Container,
        "does so as a privileged container",
        "it would reach what others hold",
        |ground| searches(ground, &["--pid", "host", "--privileged", "--userns", "host"]),
    )
    .where_privileged()
    .told(&[]),
    Attack::new(
        "neighbours::the_victims_shared_memory",
        Container,
        "joins the victim's ipc namespace and reads its shared memory",
        "the victim holds a volume, so nobody joins it",
        the_victims_shared_memory,
    )
    .told(&[]),
    Attack::new(
        "neighbours::the_disk_below",
        Container,
        "is given the block device on which the open volume lies, and reads that",
        "a block device of the host's needs leave",
        |ground| reads_device(ground, Runtime::Ours, Way::Device),
    )
    .told(&["device"]),
    Attack::new(
        "neighbours::a_node_of_the_disk_below",
        Container,
        "may make nodes of block devices, makes that one's, and reads it",
        "a rule for block devices needs leave",
        |ground| reads_device(ground, Runtime::Ours, Way::Node),
    )
    .told(&["device"]),
    Attack::new(
        "neighbours::a_local_volume_of_the_disk_below",
        Container,
        "is given a volume of Docker's own that is a second mount of the open volume's block device",
        "whose filesystem it is decides, not who mounted it",
        a_local_volume_of_the_disk_below,
    )
    .told(&[]),
    Attack::new(
        "neighbours::a_copy_of_the_disk_below",
        Client,
        "has Docker mount that block device for a container that never starts, and copies the secret out",
        "no runtime is asked; Docker itself must find nothing to mount",
        a_copy_of_the_disk_below,
    ),
    Attack::new(
        "neighbours::the_victims_processes_by_runc",
        Container,
        "joins the victim's pid namespace, started by runc",
        "the victim's processes cannot be joined by whom Cofferdam does not see",
        |ground| by_runc(ground, &["--pid", "container:victim"]),
    ),
    Attack::new(
        "neighbours::the_hosts_processes_by_runc",
        Container,
        "joins the host's pid namespace, started by runc",
        "the victim's processes cannot be reached by whom Cofferdam does not see",
        |ground| {
            by_runc(
                ground,
                &[
                    "--pid",
                    "host",
                    "--cap-add",
                    "SYS_PTRACE",
                    "--cap-add",
                    "SYS_ADMIN",
                ],
            )
        },
    ),
    Attack::new(
        "neighbours::the_disk_below_by_runc",
        Container,
        "is given the open volume's block device, started by runc",
        "what is readable there is ciphertext",
        |ground| reads_device(ground, Runtime::Runc, Way::Device),
    ),
];

/// Looks for the volume's secret in the root of every process.
pub(super) const SEARCH: &str = "for root in /proc/[0-9]*/root; do cat $root/data/marker; done 2>/dev/null";

fn searches(ground: &mut Ground, options: &[&str]) -> Outcome<Evidence> {
    ground.held()?;
    let ran = ground.run_bare(options, "tiny:1", &["sh", "-c", SEARCH])?;
    Ok(ground.read(&ran))
}

fn by_runc(ground: &mut Ground, options: &[&str]) -> Outcome<Evidence> {
    ground.held()?;
    let ran = ground.run_by_runc(options, "tiny:1", &["sh", "-c", SEARCH])?;
    Ok(ground.read(&ran))
}

/// Docker lets only those be joined that say so; the victim does, as databases with workers do.
fn the_victims_shared_memory(ground: &mut Ground) -> Outcome<Evidence> {
    ground.sharing()?;
    let ran = ground.run_bare(
        &["--ipc", "container:victim"],
        "tiny:1",
        &["cat", "/dev/shm/marker"],
    )?;
    Ok(ground.read(&ran))
}

/// For each device on which the open volume may lie, a volume of Docker's own of that, for as long as `look` takes.
fn mounted_again(ground: &mut Ground, look: impl Fn(&Ground) -> Outcome<Evidence>) -> Outcome<Evidence> {
    ground.on_a_device();
    ground.held()?;
    let mut evidence = Evidence::default();
    for device in ground.devices()? {
        let device = format!("device={}", device.path);
        let options = ["--opt", "type=ext4", "--opt", &device, "again"];
        let made = ground.docker(&[&["volume", "create"], &options[..]].concat())?;
        if !made.is_ok() {
            evidence = evidence.and(ground.read(&made));
            continue;
        }
        let seen = look(ground);
        ground.docker(&["rm", "--force", "looking"])?;
        ground.docker(&["volume", "rm", "--force", "again"])?.ok()?;
        evidence = evidence.and(seen?);
    }
    Ok(evidence)
}

/// Where the secret may lie on the disk: a sealed one has the volume in a directory of its own.
const PLACES: [&str; 2] = ["/x/marker", "/x/data/marker"];

fn a_local_volume_of_the_disk_below(ground: &mut Ground) -> Outcome<Evidence> {
    mounted_again(ground, |ground| {
        let options = ["--name", "looking", "--volume", "again:/x"];
        let argv = ["cat", PLACES[0], PLACES[1]];
        Ok(ground.read(&ground.run_bare(&options, "tiny:1", &argv)?))
    })
}

fn a_copy_of_the_disk_below(ground: &mut Ground) -> Outcome<Evidence> {
    mounted_again(ground, |ground| {
        let line = ["create", "--name", "looking", "--runtime", ground.runtime()];
        let rest = ["--volume", "again:/x", "tiny:1"];
        ground.docker(&[&line[..], &rest].concat())?.ok()?;
        let mut evidence = Evidence::default();
        for place in PLACES {
            evidence =
                evidence.and(ground.read(&ground.docker(&["cp", &format!("looking:{place}"), "-"])?));
        }
        Ok(evidence)
    })
}

#[derive(Clone, Copy)]
enum Runtime {
    Ours,
    Runc,
}

#[derive(Clone, Copy)]
enum Way {
    Device,
    Node,
}

fn reads_device(ground: &mut Ground, runtime: Runtime, way: Way) -> Outcome<Evidence> {
    ground.on_a_device();
    ground.held()?;
    let secret = secret();
    let (first, rest) = secret.split_at(9);
    let mut evidence = Evidence::default();
    for device in ground.devices()? {
        // In two pieces, since what was asked for is kept with the decision.
        let search = format!("grep -os {first}''{rest} /x | head -n 1");
        let (options, script) = match way {
            Way::Device => (["--device".to_owned(), format!("{}:/x:r", device.path)], search),
            Way::Node => (
                [
                    "--device-cgroup-rule".to_owned(),
                    format!("b {}:{} rm", device.major, device.minor),
                ],
                format!("mknod /x b {} {} && {search}", device.major, device.minor),
            ),
        };
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let argv = ["sh", "-c", &script];
        let ran = match runtime {
            Runtime::Ours => ground.run_bare(&options, "tiny:1", &argv)?,
            Runtime::Runc => ground.run_by_runc(&options, "tiny:1", &argv)?,
        };
        evidence = evidence.and(ground.read(&ran));
    }
    Ok(evidence)
}
