//! The scenes, in order: the problem, the road, and the ways off it that lead nowhere.

use super::stage::Stage;
use e2e::{
    Outcome,
    command::same,
    failure::{During, ensure},
};
use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

/// One scene.
pub(crate) struct Scene {
    /// What is about to be seen.
    pub(crate) title: &'static str,
    /// What was shown, in one line.
    pub(crate) shown: &'static str,
    /// Plays it.
    pub(crate) play: fn(&mut Stage) -> Outcome,
}

/// All of them.
pub(crate) const SCENES: [Scene; 7] = [
    Scene {
        title: "A fresh volume, and a container that is not root",
        shown: "uid 1000 cannot write a fresh volume of Docker's, and can write one of Cofferdam's",
        play: a_fresh_volume,
    },
    Scene {
        title: "The same data under another uid",
        shown: "uid 1001 owns the same data, and no file was touched",
        play: another_uid,
    },
    Scene {
        title: "Another image asks for the volume",
        shown: "another image is refused, with the reason",
        play: another_image,
    },
    Scene {
        title: "The right image asks, with a shell as its command",
        shown: "the right image with another command is refused, with the reason",
        play: another_command,
    },
    Scene {
        title: "Somebody goes round it, with plain runc",
        shown: "plain runc finds an empty, read-only placeholder",
        play: plain_runc,
    },
    Scene {
        title: "Somebody looks from the host while the application runs",
        shown: "docker cp and the host's mount table show nothing of an open volume",
        play: from_the_host,
    },
    Scene {
        title: "A sealed volume, and somebody who has the host's disk",
        shown: "what is written into a sealed volume is nowhere on the disk, and every step is in the ledger",
        play: a_sealed_one,
    },
];

const MOUNT: &str = "demo.notes:/data";

/// `docker run` with our runtime and the demo's volume.
fn run(stage: &Stage, options: &[&str], image: &str, argv: &[&str]) -> Outcome<e2e::Ran> {
    let mut line = vec!["run", "--rm", "--runtime", "cofferdam"];
    line.extend(options);
    line.extend(["-v", MOUNT, image]);
    line.extend(argv);
    stage.show("docker", &line)
}

fn a_fresh_volume(stage: &mut Stage) -> Outcome {
    stage.say("The image's program appends a line to /data/log and prints it. Plain Docker first:");
    stage.show("docker", &["volume", "create", "plain"])?.ok()?;
    stage
        .show(
            "docker",
            &["run", "--rm", "-u", "1000", "-v", "plain:/data", "tiny:1"],
        )?
        .refused(&["Permission denied"])?;
    stage.say("With Cofferdam: a tenant, an application (an image by its digest, and its own command), a volume, a grant.");
    stage.say("(A plain volume, so that you can look at it on the disk. The last scene has a sealed one.)");
    for line in [
        &["tenant", "create", "demo"][..],
        &["app", "create", "demo.writer", "--image", "tiny:1"],
        &["volume", "create", "demo.notes", "--plain"],
        &["grant", "demo.notes", "demo.writer"],
    ] {
        stage.show("cofferdam", line)?.ok()?;
    }
    run(stage, &["-u", "1000"], "tiny:1", &[])?
        .ok()?
        .says(&["1000 was here"])?;
    Ok(())
}

/// What is written into the sealed volume.
const SECRET: &str = "the-launch-code-is-0000";

fn a_sealed_one(stage: &mut Stage) -> Outcome {
    let script = format!("echo {SECRET} > /data/secret && sync && cat /data/secret");
    for line in [
        &["volume", "create", "demo.vault", "--size", "64M"][..],
        &[
            "app",
            "create",
            "demo.guard",
            "--image",
            "tiny:1",
            "--",
            "sh",
            "-c",
            &script,
        ],
        &["grant", "demo.vault", "demo.guard"],
    ] {
        stage.show("cofferdam", line)?.ok()?;
    }
    let line = [
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "-v",
        "demo.vault:/data",
        "tiny:1",
        "sh",
        "-c",
        &script,
    ];
    stage.show("docker", &line)?.ok()?.says(&[SECRET])?;
    stage.say("On the disk there is ciphertext, and the deed that says who may open it:");
    let kept = directory_of(stage, "demo.vault")?;
    stage
        .show("ls", &[&kept.to_string_lossy()])?
        .ok()?
        .says(&["deed.json", "store"])?;
    stage
        .show("grep", &["-rqaF", SECRET, &kept.to_string_lossy()])?
        .refused(&[])?;
    stage
        .show("cofferdam", &["ledger", "tail", "--lines", "4"])?
        .ok()?
        .says(&["key of demo.vault released", "demo.vault opened"])?;
    Ok(())
}

/// The log, where it lies on the host's disk.
fn log_on_disk(stage: &Stage) -> Outcome<PathBuf> {
    let kept = directory_of(stage, "demo.notes")?;
    let data = kept.join("data");
    Ok(if data.is_dir() { data } else { kept }.join("log"))
}

/// All that the host has of a volume.
fn directory_of(stage: &Stage, volume: &str) -> Outcome<PathBuf> {
    let shown = stage
        .host
        .cofferdam(&["--json", "volume", "show", volume])?
        .ok()?
        .json()?;
    let id = shown
        .pointer("/volume/id")
        .and_then(|id| id.as_str())
        .during("the volume's id")?
        .to_owned();
    Ok(PathBuf::from(e2e::host::STATE).join("volumes").join(id))
}

fn another_uid(stage: &mut Stage) -> Outcome {
    stage.say("A second application of the tenant: the same image, and exactly this command.");
    let look = ["stat", "-c", "%n belongs to uid %u", "/data/log"];
    let mut create = vec!["app", "create", "demo.looker", "--image", "tiny:1", "--"];
    create.extend(look);
    stage.show("cofferdam", &create)?.ok()?;
    stage
        .show(
            "cofferdam",
            &["grant", "demo.notes", "demo.looker", "--read-only"],
        )?
        .ok()?;
    let log = log_on_disk(stage)?;
    let before = fs::metadata(&log)?;
    for uid in ["1000", "1001"] {
        run(stage, &["-u", uid], "tiny:1", &look)?
            .ok()?
            .says(&[&format!("uid {uid}")])?;
    }
    let after = fs::metadata(&log)?;
    stage.say(&format!(
        "On disk the file still belongs to uid {}, and its change time is the same to the nanosecond.",
        after.uid()
    ));
    same(
        "owner on disk",
        (after.uid(), after.gid()),
        (before.uid(), before.gid()),
    )?;
    same(
        "change time",
        (after.ctime(), after.ctime_nsec()),
        (before.ctime(), before.ctime_nsec()),
    )?;
    run(stage, &["-u", "1001"], "tiny:1", &[])?
        .ok()?
        .says(&["1001 was here"])?;
    Ok(())
}

fn another_image(stage: &mut Stage) -> Outcome {
    run(stage, &["-u", "1000"], "tiny:2", &[])?
        .refused(&["cofferdam:", "image"])?
        .silent_on(&["was here"])?;
    stage.show("cofferdam", &["why"])?.ok()?;
    Ok(())
}

fn another_command(stage: &mut Stage) -> Outcome {
    run(stage, &["-u", "1000"], "tiny:1", &["sh", "-c", "cat /data/log"])?
        .refused(&["cofferdam:", "argv"])?
        .silent_on(&["was here"])?;
    Ok(())
}

fn plain_runc(stage: &mut Stage) -> Outcome {
    let seen = stage
        .show(
            "docker",
            &["run", "--rm", "-v", MOUNT, "tiny:1", "ls", "-A", "/data"],
        )?
        .ok()?;
    same("what plain runc sees", seen.text(), "SEALED".to_owned())?;
    stage
        .show(
            "docker",
            &["run", "--rm", "-v", MOUNT, "tiny:1", "cat", "/data/SEALED"],
        )?
        .ok()?;
    stage
        .show(
            "docker",
            &["run", "--rm", "-v", MOUNT, "tiny:1", "touch", "/data/x"],
        )?
        .refused(&["Read-only file system"])?;
    Ok(())
}

fn from_the_host(stage: &mut Stage) -> Outcome {
    stage
        .show(
            "cofferdam",
            &[
                "app",
                "create",
                "demo.keeper",
                "--image",
                "tiny:1",
                "--",
                "/bin/keep",
            ],
        )?
        .ok()?;
    stage
        .show("cofferdam", &["grant", "demo.notes", "demo.keeper"])?
        .ok()?;
    let line = [
        "run",
        "-d",
        "--name",
        "keeper",
        "--runtime",
        "cofferdam",
        "-u",
        "1000",
        "-v",
        MOUNT,
        "tiny:1",
        "/bin/keep",
    ];
    stage.show("docker", &line)?.ok()?;
    stage
        .show("cofferdam", &["attachments"])?
        .ok()?
        .says(&["demo.notes"])?;
    stage
        .show("docker", &["cp", "keeper:/data/log", "-"])?
        .refused(&[])?;
    stage
        .show("grep", &["-c", "cofferdam/volumes", "/proc/self/mountinfo"])?
        .refused(&["0"])?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let shown = table.contains("cofferdam/volumes") || table.contains("cofferdam/attach/");
    ensure(!shown, || "the host's mount table shows the volume".to_owned())
}
