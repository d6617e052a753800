//! A larger size while a volume is in use.

use super::opens_with;
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{run, same},
    failure::{During, ensure},
};

cases!("sealed":
    a_volume_grows_while_it_is_held,
    only_a_volume_with_a_size_grows,
);

/// KiB that a holder sees as the size of its volume.
fn size_seen(scene: &Scene, holder: &str) -> Outcome<u64> {
    let ran = scene.docker(&["exec", holder, "df", "-k", "/data"])?.ok()?;
    let line = ran.out.lines().last().during("a line of df")?.to_owned();
    let size = line.split_whitespace().nth(1).during("a size")?;
    size.parse().during(line.clone())
}

fn a_volume_grows_while_it_is_held(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--size", "64M", "--access", "shared"])?;
    scene.keeper(&volume, &["--exec"])?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    let before = size_seen(scene, &holder)?;
    scene
        .cofferdam(&["volume", "grow", &volume, "--size", "32M"])?
        .refused(&["never becomes smaller"])?;
    scene
        .cofferdam(&["volume", "grow", &volume, "--size", "65M"])?
        .refused(&["at least 32M more"])?;
    scene
        .cofferdam(&["volume", "grow", &volume, "--size", "900T"])?
        .refused(&["cannot have this size"])?;
    let grow = ["volume", "grow", &volume, "--size", "256M"];
    scene.cofferdam(&grow)?.ok()?.says(&["256M"])?;
    scene.cofferdam(&grow)?.ok()?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .says(&["256M"])?;
    // Whoever may resize a filesystem that is in use (CAP_SYS_RESOURCE) has it larger at once; others when it is next opened.
    let may = rustix::thread::capabilities(None)?
        .effective
        .contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
    let meanwhile = size_seen(scene, &holder)?;
    ensure(
        if may {
            meanwhile > 3 * before
        } else {
            meanwhile == before
        },
        || format!("{before} KiB became {meanwhile}"),
    )?;
    scene.run_usual(&volume)?.ok()?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    let now = size_seen(scene, &holder)?;
    ensure(now > 3 * before, || format!("{before} KiB became {now}"))?;
    let write = [
        "exec",
        &holder,
        "dd",
        "if=/dev/zero",
        "of=/data/large",
        "bs=1M",
        "count=180",
    ];
    scene.docker(&write)?.ok()?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    // Its deed says so too: otherwise nothing would open it elsewhere with that size.
    let deed = scene.directory_of(&volume)?.join("deed.json");
    let script = "import base64, json, sys\n\
        print(json.loads(base64.b64decode(json.load(open(sys.argv[1]))['payload']))['size'])";
    let size = run("python3", &["-c", script, &deed.to_string_lossy()])?
        .ok()?
        .text();
    same("the deed's size", size, (256 << 20).to_string())
}

fn only_a_volume_with_a_size_grows(scene: &mut Scene) -> Outcome {
    let plain = scene.volume("plain", &["--plain"])?;
    scene
        .cofferdam(&["volume", "grow", &plain, "--size", "1G"])?
        .refused(&["has no size"])?;
    let sized = scene.volume("sized", &["--plain", "--size", "1G"])?;
    scene
        .cofferdam(&["volume", "grow", &sized, "--size", "2G"])?
        .ok()?;
    let ephemeral = scene.usual_of(&["--ephemeral", "--size", "64M"])?;
    scene
        .cofferdam(&["volume", "grow", &ephemeral, "--size", "128M"])?
        .ok()?;
    scene.run_usual(&ephemeral)?.ok()?;
    let missing = scene.named("missing");
    scene
        .cofferdam(&["volume", "grow", &missing, "--size", "2G"])?
        .refused(&["does not exist"])?;
    opens_with(scene, &plain, &["no grant"])
}
