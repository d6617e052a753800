//! A disk to measure exporters with: sealed cells in one big file that was written before, no cleaning, no recovery.
//! Prints the device, serves until its standard input ends, prints what it cost.
//!
//! ```text
//! stand_in DIRECTORY SIZE_GIB [threads=4] [buffered]
//! ```

mod cells;

use cells::Cells;
use cofferdam_disk_server::exporter::{Exporter, FuseLoop};
use std::error::Error;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(size)) = (arguments.next(), arguments.next()) else {
        return Err("usage: stand_in DIRECTORY SIZE_GIB [threads=N] [buffered]".into());
    };
    let mut exporter = FuseLoop::default();
    let mut buffered = false;
    for argument in arguments {
        match argument.split_once('=') {
            Some(("threads", number)) => exporter.threads = number.parse()?,
            None if argument == "buffered" => buffered = true,
            _ => return Err(format!("{argument}: no such option").into()),
        }
    }
    let disk = Arc::new(Cells::open(
        Path::new(&directory),
        size.parse::<u64>()? << 30,
        buffered,
    )?);
    let mut attached = exporter.attach(disk)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", attached.device().display())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    attached.detach()?;
    Ok(())
}
