//! A root filesystem of Debian's with real servers in it, made by debootstrap, cached under `target/images`.
//!
//! It is made before the private host is entered, since that has no network; nothing is installed on the machine for it. The mirror is
//! the machine's own. The images that are made of it: [`crate::postgres_image`], [`crate::service_images`].

use crate::{
    Host,
    command::run,
    failure::{Failure, Outcome},
    ground::codename,
    progress::step,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The image's name.
const IMAGE: &str = "debian:servers";

/// Debian's packages beyond the smallest system.
const PACKAGES: &str = "postgresql,redis-server,nginx-light,gettext-base";

/// What is not needed to run: a third of the size.
const WASTE: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
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
    let root = images.join(format!("servers-{}.root", std::process::id()));
    let made = step(
        "making the image of real servers with debootstrap (a minute or two, once)",
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
    host.docker(&["import", &archive.to_string_lossy(), IMAGE])?
        .ok()?;
    Ok(())
}

/// Named by its recipe, so that a changed recipe makes a new one.
fn archive(images: &Path) -> Outcome<PathBuf> {
    let mut recipe = Sha256::new();
    for part in [PACKAGES, &codename()?, &WASTE.join(" "), "1"] {
        recipe.update(part.as_bytes());
        recipe.update(b"\0");
    }
    let digest: String = recipe
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(images.join(format!("servers-{digest}.tar")))
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
            &format!("--include={PACKAGES}"),
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
