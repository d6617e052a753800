//! A real PostgreSQL as an image: debootstrap and Debian's own package, cached under `target/images`.
//!
//! It is made before the private host is entered, since that has no network. The mirror is the machine's own.

use crate::{
    Host,
    command::run,
    failure::{During, Failure, Outcome},
    ground::codename,
    progress::step,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

/// The image's name.
pub const IMAGE: &str = "postgres:debian";

/// The image's command: makes a cluster where there is none, then is the server.
const START: &str = "#!/bin/sh
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -s \"$PGDATA/PG_VERSION\" ]; then
    \"$bin/initdb\" --pgdata=\"$PGDATA\" --data-checksums --username=postgres --auth=trust --encoding=UTF8
fi
exec \"$bin/postgres\" -D \"$PGDATA\" -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp
";

/// What is not needed to run: a third of the size.
const WASTE: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
];

/// Changes at import.
const CHANGES: [&str; 3] = [
    "USER postgres",
    "ENV PGDATA=/data",
    "CMD [\"/usr/local/bin/start\"]",
];

/// Makes the cached archive where there is none for this recipe.
///
/// # Errors
/// Where no mirror is found or debootstrap fails.
pub fn prepare(images: &Path) -> Outcome {
    let archive = archive(images)?;
    if archive.is_file() {
        return Ok(());
    }
    fs::create_dir_all(images)?;
    let root = images.join(format!("postgres-{}.root", std::process::id()));
    let made = step(
        "making the PostgreSQL image with debootstrap (a minute or two, once)",
        || make(&root, &archive),
    );
    run("rm", &["-rf", "--one-file-system", &root.to_string_lossy()])?.ok()?;
    made
}

/// Imports it into the private host's Docker, where it is not there yet.
///
/// # Errors
/// Where Docker refuses it.
pub fn import(host: &Host) -> Outcome {
    if host.docker(&["image", "inspect", IMAGE])?.is_ok() {
        return Ok(());
    }
    let archive = archive(host.images())?;
    let mut arguments = vec!["import"];
    for change in &CHANGES {
        arguments.extend(["--change", change]);
    }
    let archive = archive.to_string_lossy();
    arguments.extend([archive.as_ref(), IMAGE]);
    host.docker(&arguments)?.ok()?;
    Ok(())
}

/// Named by its recipe, so that a changed recipe makes a new one.
fn archive(images: &Path) -> Outcome<PathBuf> {
    let mut recipe = Sha256::new();
    for part in [START, &codename()?, &WASTE.join(" "), "1"] {
        recipe.update(part.as_bytes());
        recipe.update(b"\0");
    }
    let digest: String = recipe
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(images.join(format!("postgres-{digest}.tar")))
}

fn make(root: &Path, archive: &Path) -> Outcome {
    let (release, mirror) = (codename()?, mirror()?);
    let place = root.to_string_lossy();
    run(
        "unshare",
        &[
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "debootstrap",
            "--variant=minbase",
            "--include=postgresql",
            &release,
            &place,
            &mirror,
        ],
    )?
    .ok()?;
    for waste in WASTE {
        let path = root.join(waste);
        if path.is_dir() {
            run("rm", &["-rf", "--one-file-system", &path.to_string_lossy()])?.ok()?;
        }
    }
    let passwd = fs::read_to_string(root.join("etc/passwd"))?;
    let entry = passwd
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .during("the user postgres")?;
    let mut ids = entry.split(':').skip(2).map(str::parse::<u32>);
    let (uid, gid) = (ids.next().during("its uid")??, ids.next().during("its gid")??);
    let data = root.join("data");
    fs::create_dir(&data)?;
    fs::set_permissions(&data, Permissions::from_mode(0o700))?;
    chown(&data, Some(uid), Some(gid))?;
    let start = root.join("usr/local/bin/start");
    fs::write(&start, START)?;
    fs::set_permissions(&start, Permissions::from_mode(0o755))?;
    run(
        "sh",
        &[
            "-c",
            "ln -s $(echo \"$1\"/usr/lib/postgresql/*/bin/* | sed \"s:$1::g\") \"$1/usr/local/bin/\"",
            "sh",
            &place,
        ],
    )?
    .ok()?;
    let unfinished = archive.with_extension("part");
    run(
        "tar",
        &[
            "--numeric-owner",
            "--one-file-system",
            "--exclude=./dev/*",
            "--exclude=./proc/*",
            "-C",
            &place,
            "-cf",
            &unfinished.to_string_lossy(),
            ".",
        ],
    )?
    .ok()?;
    Ok(fs::rename(unfinished, archive)?)
}

/// The mirror that the machine's own apt uses for its own release.
fn mirror() -> Outcome<String> {
    let release = codename()?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text, &release))
        .ok_or_else(|| {
            Failure::new(format!(
                "no mirror of {release} in /etc/apt; add one, then run this again"
            ))
        })
}

/// The first mirror of a release in one file of sources, in either of apt's two forms.
fn mirror_in(text: &str, release: &str) -> Option<String> {
    let one_line = text.lines().find_map(|line| {
        let line = line.trim().strip_prefix("deb ")?;
        let plain = match line.split_once(']') {
            Some((options, rest)) if options.trim().starts_with('[') => rest,
            _ => line,
        };
        let mut words = plain.split_whitespace();
        let address = words.next()?;
        (words.next()? == release && words.any(|part| part == "main")).then(|| address.to_owned())
    });
    one_line.or_else(|| {
        text.split("\n\n").find_map(|stanza| {
            let field = |name: &str| {
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                    .map(str::trim)
            };
            let has = |name: &str, word: &str| {
                field(name).is_some_and(|value| value.split_whitespace().any(|part| part == word))
            };
            (has("Types", "deb") && has("Suites", release) && has("Components", "main"))
                .then(|| field("URIs")?.split_whitespace().next().map(str::to_owned))
                .flatten()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_are_read() {
        let old = "# a comment\ndeb [signed-by=/x] http://one.test/debian trixie main contrib\n";
        assert_eq!(
            mirror_in(old, "trixie").as_deref(),
            Some("http://one.test/debian")
        );
        let new =
            "Types: deb\nURIs: http://two.test/debian\nSuites: trixie trixie-updates\nComponents: main\n";
        assert_eq!(
            mirror_in(new, "trixie").as_deref(),
            Some("http://two.test/debian")
        );
    }

    #[test]
    fn another_release_or_part_is_no_mirror() {
        for text in [
            "deb http://one.test/debian trixie-updates main\n",
            "deb http://one.test/debian trixie contrib\n",
            "deb-src http://one.test/debian trixie main\n",
            "Types: deb\nURIs: http://two.test/x\nSuites: trixie-security\nComponents: main\n",
        ] {
            assert_eq!(mirror_in(text, "trixie"), None, "{text}");
        }
    }
}
