//! The outer half of the verbs that need a private host: prepare the ground, build, enter.

use crate::{
    bench::{self, sealed_disk},
    build,
};
use e2e::{
    Outcome, debian_image, ground,
    namespaces::{enter, enter_with},
    scratch::Scratch,
};
use std::{ffi::OsString, path::PathBuf};

/// The demo, with the same build as the tests.
pub(crate) fn demo(install: bool) -> Outcome<u8> {
    ground::prepare(install)?;
    let binaries = build::for_tests()?;
    inside(binaries, vec!["demo".into()])
}

/// A benchmark that needs the private host, with the release build.
pub(crate) fn bench(which: &bench::Bench) -> Outcome<u8> {
    ground::prepare(true)?;
    let binaries = build::for_release()?;
    if which.needs_decide() {
        build::decide_example()?;
    }
    if which.needs_database() {
        ground::prepare_disk_bench()?;
        debian_image::prepare(&build::images()?)?;
    }
    inside(binaries, as_typed())
}

/// The benchmark of the sealed disk: no Docker, but the same walls, so that mounts and servers end with the
/// run, however it ends.
pub(crate) fn sealed_disk(options: &sealed_disk::Options) -> Outcome<u8> {
    ground::prepare_disk_bench()?;
    if options.wants_ours() {
        build::disk_server()?;
    }
    let target = build::target()?;
    let parent = options.scratch().unwrap_or_else(|| target.join("bench"));
    let scratch = Scratch::make_below(&std::path::absolute(parent)?)?;
    let code = enter_with(&scratch, &target.join("release"), &build::images()?, &as_typed())?;
    sealed_disk::detach_leftovers(scratch.path())?;
    Ok(exit_code(code))
}

/// The end-to-end cases, with the tests' build as it is.
pub(crate) fn suite(filter: &str) -> Outcome<u8> {
    let binaries = build::target()?.join("debug");
    debian_image::prepare(&build::images()?)?;
    inside(binaries, vec!["suite".into(), "--filter".into(), filter.into()])
}

fn inside(binaries: PathBuf, arguments: Vec<OsString>) -> Outcome<u8> {
    let code = enter(&binaries, &build::images()?, &arguments)?;
    Ok(exit_code(code))
}

/// The command line again: the inner half has the same working directory, so what it names means the same.
fn as_typed() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}
