//! Tiny images, made on the spot from the machine's static busybox; no registry, a tenth of a second each.
//!
//! | image | what is in it |
//! |---|---|
//! | `tiny:1` | `/bin/app` (the image's command) appends its uid to `/data/log` and prints it; `/bin/keep` does so and stays |
//! | `tiny:2` | the same programs and one other byte: another application |
//! | `seed:1` | beside them `/srv/seed`, owned by 5000:5000, with modes, a link and an attribute |
//! | `health:1` | made of `tiny:1` in more layers; stays, with a healthcheck of its own |

use crate::{
    Host,
    binaries::need,
    command::run,
    failure::{During, Outcome},
};
use rustix::fs::{XattrFlags, setxattr};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

const APP: &str = "#!/bin/sh
# Appends who it is to the log of its data and prints the log.
echo \"$(id -u) was here\" >> /data/log || exit 1
cat /data/log
";

const KEEP: &str = "#!/bin/sh
# Holds its data until it is told to end.
trap 'exit 0' TERM
echo \"$(id -u) holds\" >> /data/log || exit 1
cat /data/log
while :; do echo beat >> /data/beats; sleep 1 & wait $!; done
";

const CHECK: &str = "#!/bin/sh
# Looks whether the data can be read.
exec cat /data/log
";

/// Makes all of them.
///
/// # Errors
/// Where the machine's busybox or Docker fails.
pub fn make_tiny_images(host: &Host) -> Outcome {
    import(host, "tiny:1", &["CMD [\"/bin/app\"]"], |root| {
        Ok(fs::write(root.join("etc/variant"), "1\n")?)
    })?;
    import(host, "tiny:2", &["CMD [\"/bin/app\"]"], |root| {
        Ok(fs::write(root.join("etc/variant"), "2\n")?)
    })?;
    // As images of databases do: what lies there is where a new volume begins.
    import(host, "seed:1", &["CMD [\"/bin/app\"]", "VOLUME /srv/seed"], seed)?;
    build_health(host)
}

/// Imports one image whose root filesystem is the common one and what `add` puts there.
///
/// # Errors
/// Where a file cannot be made or Docker refuses it.
pub fn import(host: &Host, name: &str, changes: &[&str], add: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let root = host.scratch().join("images").join(name.replace(':', "-"));
    common(&root).during(name)?;
    add(&root).during(name)?;
    let archive = root.with_extension("tar");
    let (root, archive) = (root.to_string_lossy(), archive.to_string_lossy());
    run(
        "tar",
        &[
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=user.*",
            "-C",
            &root,
            "-cf",
            &archive,
            ".",
        ],
    )?
    .ok()?;
    let mut arguments = vec!["import"];
    for change in changes {
        arguments.extend(["--change", change]);
    }
    arguments.extend([archive.as_ref(), name]);
    host.docker(&arguments)?.ok()?;
    Ok(())
}

/// A root filesystem with every applet and the three programs.
fn common(root: &Path) -> Outcome {
    for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "data", "srv"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777))?;
    // Not the applications': so that only the map of ids can let them write.
    fs::remove_dir(root.join("data"))?;
    let busybox = need("busybox")?;
    fs::copy(&busybox, root.join("bin/busybox"))?;
    for applet in run(&busybox, &["--list"])?.ok()?.out.lines() {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    for (name, text) in [("app", APP), ("keep", KEEP), ("check", CHECK)] {
        let path = root.join("bin").join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\nkeeper:x:5000:5000::/:/bin/sh\n",
    )?;
    Ok(fs::write(root.join("etc/group"), "root:x:0:\nkeeper:x:5000:\n")?)
}

/// What a fresh volume at `/srv/seed` must come to hold.
fn seed(root: &Path) -> Outcome {
    let seed = root.join("srv/seed");
    fs::create_dir_all(seed.join("deep/deeper"))?;
    fs::write(seed.join("letter"), "from the image\n")?;
    fs::write(seed.join("deep/deeper/secret"), "s\n")?;
    symlink("deep/deeper/secret", seed.join("short"))?;
    setxattr(seed.join("letter"), "user.origin", b"image", XattrFlags::empty())?;
    for (path, mode) in [
        ("letter", 0o640),
        ("deep/deeper/secret", 0o400),
        ("deep", 0o2750),
        ("", 0o750),
    ] {
        let path = seed.join(path);
        chown(&path, Some(5000), Some(5000))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    chown(seed.join("deep/deeper"), Some(5000), Some(6000))?;
    Ok(())
}

/// An image in several layers.
fn build_health(host: &Host) -> Outcome {
    let recipe = "FROM tiny:1\nCOPY note /etc/note\nCOPY note /etc/second-note\n\
        HEALTHCHECK --interval=1s --timeout=5s --retries=3 CMD [\"/bin/check\"]\nCMD [\"/bin/keep\"]\n";
    build(host, "health:1", recipe, &[("note", "a layer of its own\n")])
}

/// Makes an image by Docker's classic builder, where it is not there yet: from a Dockerfile and the files that it copies, which are
/// programs for all that the builder knows.
///
/// # Errors
/// Where a file cannot be written or Docker refuses it.
pub fn build(host: &Host, name: &str, recipe: &str, files: &[(&str, &str)]) -> Outcome {
    if host.docker(&["image", "inspect", name])?.is_ok() {
        return Ok(());
    }
    let context = host.scratch().join("images").join(name.replace(':', "-"));
    fs::create_dir_all(&context)?;
    fs::write(context.join("Dockerfile"), recipe)?;
    for (file, text) in files {
        let path = context.join(file);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    let directory = context.to_string_lossy();
    let line = ["build", "--quiet", "--network", "none", "--tag", name, &directory];
    host.docker(&line)?.ok().map(drop)
}
