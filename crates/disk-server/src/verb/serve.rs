//! `serve`: shows a sealed disk to the kernel until somebody says that it is enough.

use crate::{
    arguments::Serve,
    exporter::{Attached, Exporter, FuseLoop},
    filesystem, key_file,
    opened::{self, Opened},
    problem::of_export,
    sealed::Sealed,
    signals::{Came, Signals},
    witness_file::WitnessFile,
};
use cofferdam_model::{Problem, Result};
use std::{io::Write, path::Path, process::ExitCode, sync::Arc};

/// Does it.
///
/// # Errors
/// What keeps the disk from being opened, shown, mounted, or closed.
pub(crate) fn run(serve: &Serve, json: bool) -> Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let key = key_file::read(&serve.key.key_file)?;
    let witness = serve
        .witness
        .witness
        .as_deref()
        .map(WitnessFile::at)
        .transpose()?;
    let store = opened::store(&serve.store, serve.access.access.into())?;
    let opened = Opened::open(store, key, witness)?;
    let disk = Arc::new(Sealed(Arc::clone(&opened.volume)));
    let mut attached = FuseLoop::default().attach(disk).map_err(of_export)?;
    let mount = serve.mount.as_deref();
    if let Some(at) = mount
        && let Err(problem) = filesystem::mount(attached.device(), at)
    {
        attached.detach().map_err(of_export)?;
        opened.close()?;
        return Err(problem);
    }
    announce(&attached, mount, json);
    until_enough(&mut signals, &attached, &opened, mount)?;
    attached.detach().map_err(of_export)?;
    opened.close()?;
    Ok(ExitCode::SUCCESS)
}

/// One line that says: ready.
fn announce(attached: &Attached, mount: Option<&Path>, json: bool) {
    let device = attached.device();
    let line = match (json, mount) {
        (true, _) => serde_json::json!({ "device": device, "mount": mount }).to_string(),
        (false, Some(at)) => format!("{} is mounted at {}", device.display(), at.display()),
        (false, None) => format!("{} is ready", device.display()),
    };
    let mut out = std::io::stdout();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        eprintln!("cofferdam-disk: ready, but nobody reads it");
    }
}

/// Waits for a signal, and until nothing uses the mount any more.
fn until_enough(
    signals: &mut Signals,
    attached: &Attached,
    opened: &Opened,
    mount: Option<&Path>,
) -> Result<()> {
    loop {
        let came = signals.wait(attached.ended())?;
        for fault in opened.volume.take_damage() {
            eprintln!("cofferdam-disk: {fault}");
        }
        if came == Came::End {
            return Err(
                Problem::unavailable("the disk's connection to the kernel has ended")
                    .remedy("unmount what is mounted on it, and serve the disk again"),
            );
        }
        match mount.map_or(Ok(()), filesystem::unmount) {
            Ok(()) => return Ok(()),
            Err(problem) => eprintln!("cofferdam-disk: {problem}"),
        }
    }
}
