//! `create`: a new store, a new volume on it, and an ext4.

use crate::{
    arguments::{Create, VolumeIdBytes},
    exporter::{Exporter, FuseLoop},
    filesystem, key_file,
    notice::notice,
    opened::Opened,
    problem::{doing, of_export, of_fault},
    sealed::Sealed,
    write_cache::WriteCache,
};
use cofferdam_disk::{BLOCK, Directory, Geometry, Volume, volume::Options};
use cofferdam_model::{Problem, Result};
use std::{io, process::ExitCode, sync::Arc};

/// Does it.
///
/// # Errors
/// `conflict` where the store or the new key's file is there already; nothing that exists is written to.
pub(crate) fn run(create: &Create, json: bool) -> Result<ExitCode> {
    let shown = create.store.display();
    let bytes = create.size.get();
    if bytes < 1 << 20 || !bytes.is_multiple_of(BLOCK as u64) {
        return Err(Problem::invalid(format!("{bytes} bytes is no size for a disk"))
            .remedy("choose at least 1M, and a multiple of 4096 bytes"));
    }
    if create.new_key && create.key.key_file.as_os_str() == "-" {
        return Err(Problem::invalid("a new key cannot be written to standard input")
            .remedy("name a file for it, or leave --new-key out"));
    }
    let key = match create.new_key {
        true => key_file::make(&create.key.key_file)?,
        false => key_file::read(&create.key.key_file)?,
    };
    let store = Directory::create(&create.store, create.access.access.into())
        .map_err(|error| no_store(create, error))?;
    let geometry = Geometry::for_size(bytes / BLOCK as u64, store.alignment())
        .ok_or_else(|| Problem::invalid("the disk would be too large").remedy("choose at most 4P"))?;
    let options = Options::default();
    let volume = match &create.volume {
        Some(VolumeIdBytes(id)) => Volume::create_as(store, key, *id, geometry, &options),
        None => Volume::create(store, key, geometry, &options),
    };
    let volume = volume.map_err(of_fault)?;
    let opened = Opened::keep(volume)?;
    if !create.no_filesystem {
        with_filesystem(&opened)
            .map_err(|problem| problem.context(format_args!("{shown} is unfinished, remove it")))?;
    }
    opened.close()?;
    if json {
        println!("{}", serde_json::json!({ "store": create.store, "size": bytes }));
    } else {
        println!("{shown}: a sealed disk of {}", create.size);
    }
    Ok(ExitCode::SUCCESS)
}

/// The store cannot be made. A key that this call made is of no use then, and would be in the way of the next one.
fn no_store(create: &Create, error: io::Error) -> Problem {
    if create.new_key
        && let Err(error) = std::fs::remove_file(&create.key.key_file)
    {
        let shown = create.key.key_file.display();
        notice(format_args!("the new key file {shown} is left: {error}"));
    }
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "make the directory above it first",
        _ => "name a directory that is not there yet, or that is empty",
    };
    doing(format_args!("making the store {}", create.store.display()))(error).remedy(remedy)
}

/// INVARIANT: only here is anything formatted, and only the disk that this call made.
fn with_filesystem(opened: &Opened) -> Result<()> {
    let disk = Arc::new(Sealed::new(Arc::clone(&opened.volume), WriteCache::Back));
    let mut attached = FuseLoop::default().attach(disk).map_err(of_export)?;
    let made = filesystem::make(attached.device());
    attached.detach().map_err(of_export)?;
    made
}
