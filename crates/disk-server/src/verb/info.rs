//! `info`: what a store holds; without a key, what it claims to hold.

use crate::{arguments::Info, held_keys::HeldKeys, key_file, opened, problem::of_fault};
use cofferdam_disk::{BLOCK, volume::identify};
use cofferdam_model::{ByteSize, Result};
use std::{path::PathBuf, process::ExitCode};

/// Does it.
///
/// # Errors
/// Where there is no head, or it does not verify.
pub(crate) fn run(info: &Info, json: bool) -> Result<ExitCode> {
    let read = |path: &Option<PathBuf>| path.as_deref().map(key_file::read).transpose();
    let (key, previous) = (read(&info.key_file)?, read(&info.previous_key_file)?);
    let keys = key.map(|key| HeldKeys::new(key, previous, false).into_keys());
    let store = opened::store_to_read(&info.store)?;
    let found = identify(&store, keys.as_ref()).map_err(of_fault)?;
    let volume: String = found.volume.iter().map(|byte| format!("{byte:02x}")).collect();
    let size = found.geometry.blocks * BLOCK as u64;
    if json {
        let answer = serde_json::json!({
            "volume": volume,
            "size": size,
            "segment": found.geometry.segment,
            "alignment": found.geometry.align,
            "epoch": found.epoch,
            "clean": found.clean,
            "rotating": found.rotating,
            "verified": keys.is_some(),
        });
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("volume     {volume}");
    println!("size       {}", ByteSize::bytes(size));
    println!(
        "segments   of {}",
        ByteSize::bytes(u64::from(found.geometry.segment))
    );
    println!("alignment  {} bytes", found.geometry.align);
    println!("epoch      {}", found.epoch);
    println!(
        "closed     {}",
        if found.clean {
            "in peace"
        } else {
            "no: open, or ended by a crash"
        }
    );
    if found.rotating {
        println!("rotating   yes: parts of it are under the key before");
    }
    println!(
        "verified   {}",
        if keys.is_some() {
            "yes"
        } else {
            "no: give --key-file"
        }
    );
    Ok(ExitCode::SUCCESS)
}
