//! `info`: what a store holds; without a key, what it claims to hold.

use crate::{arguments::Info, key_file, opened, problem::of_fault};
use cofferdam_disk::{BLOCK, volume::identify};
use cofferdam_model::{ByteSize, Result};
use std::process::ExitCode;

/// Does it.
///
/// # Errors
/// Where there is no head, or it does not verify.
pub(crate) fn run(info: &Info, json: bool) -> Result<ExitCode> {
    let key = info.key_file.as_deref().map(key_file::read).transpose()?;
    let store = opened::store_to_read(&info.store)?;
    let found = identify(&store, key.as_ref()).map_err(of_fault)?;
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
            "verified": key.is_some(),
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
    println!(
        "verified   {}",
        if key.is_some() {
            "yes"
        } else {
            "no: give --key-file"
        }
    );
    Ok(ExitCode::SUCCESS)
}
