//! The outer half of the verbs that need a private host: prepare the ground, build, enter.

use crate::{bench, build};
use e2e::{Outcome, ground, namespaces::enter, postgres_image};
use std::{ffi::OsString, path::PathBuf};

/// The demo, with the same build as the tests.
pub(crate) fn demo(install: bool) -> Outcome<u8> {
    ground::prepare(install)?;
    let binaries = build::for_tests()?;
    inside(binaries, vec!["demo".into()])
}

/// A benchmark, with the release build.
pub(crate) fn bench(name: bench::Name, json: Option<PathBuf>, quick: bool) -> Outcome<u8> {
    ground::prepare(true)?;
    let binaries = build::for_release()?;
    if name.needs_decide() {
        build::decide_example()?;
    }
    let mut arguments: Vec<OsString> = vec!["bench".into(), name.word().into()];
    if let Some(json) = json {
        arguments.extend(["--json".into(), std::path::absolute(json)?.into_os_string()]);
    }
    if quick {
        arguments.push("--quick".into());
    }
    inside(binaries, arguments)
}

/// The end-to-end cases, with the tests' build as it is.
pub(crate) fn suite(filter: &str) -> Outcome<u8> {
    let binaries = build::target()?.join("debug");
    postgres_image::prepare(&build::images()?)?;
    inside(binaries, vec!["suite".into(), "--filter".into(), filter.into()])
}

fn inside(binaries: PathBuf, arguments: Vec<OsString>) -> Outcome<u8> {
    let code = enter(&binaries, &build::images()?, &arguments)?;
    Ok(u8::try_from(code).unwrap_or(1))
}
