//! Reading a ledger through, line by line.

use crate::breakage::Break;
use crate::chain::Chain;
use crate::checkpoint::Checkpoint;
use crate::finding::Fault;
use crate::line::{Lines, Piece};
use crate::record::Record;
use std::io::Read;

/// How a ledger ends whose every whole line is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a checkpoint.
    Whole,
    /// In the middle of a frame.
    Torn,
}

/// Leads `chain` over all of `lines`. `progress` is told how many bytes lie behind.
///
/// # Errors
/// The first break, or that the lines could not be read.
pub(crate) fn walk<R: Read>(
    lines: &mut Lines<R>,
    chain: &mut Chain<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Ending, Fault> {
    loop {
        let (offset, piece) = lines.next().map_err(Fault::unreadable)?;
        let taken = match piece {
            Piece::Line(line) => chain.take(offset, line),
            Piece::TooLong => Err(Break::TooLong),
            Piece::Unfinished => return Ok(Ending::Torn),
            Piece::End if chain.is_open() => return Ok(Ending::Torn),
            Piece::End => return Ok(Ending::Whole),
        };
        if let Err(broken) = taken {
            let found = broken.asks_for_the_next() && comes(lines, chain.frontier.size(), progress)?;
            return Err(Fault::Found(broken.finding(chain, offset, found)));
        }
        progress(lines.offset());
    }
}

/// Whether a record with this index comes further down.
fn comes<R: Read>(lines: &mut Lines<R>, index: u64, progress: &mut dyn FnMut(u64)) -> Result<bool, Fault> {
    loop {
        match lines.next().map_err(Fault::unreadable)?.1 {
            Piece::Line(line) if Checkpoint::is_line(line) => {}
            Piece::Line(line) if Record::parse(line).is_ok_and(|record| record.index == index) => {
                return Ok(true);
            }
            Piece::Line(_) | Piece::TooLong => {}
            Piece::Unfinished | Piece::End => return Ok(false),
        }
        progress(lines.offset());
    }
}
