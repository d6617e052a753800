//! Reading lines from the end towards the beginning.

use crate::record::LINE_MAX;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at a time, in bytes.
const PIECE: u64 = 64 << 10;

/// Lines of a file, the last first.
#[derive(Debug)]
pub(super) struct Backwards<'f> {
    file: &'f File,
    // INVARIANT: what was read and not given out yet: the bytes of the file from `at` on.
    at: u64,
    read: Vec<u8>,
}

impl<'f> Backwards<'f> {
    /// Of the first `end` bytes.
    pub(super) fn new(file: &'f File, end: u64) -> Self {
        Backwards {
            file,
            at: end,
            read: Vec::new(),
        }
    }

    /// The line before the one given last, without its newline; none at the beginning.
    ///
    /// # Errors
    /// As reading; `InvalidData` where the line does not end in a newline or is longer than any may be.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.read.is_empty() && !self.more()? {
            return Ok(None);
        }
        if self.read.pop() != Some(b'\n') {
            return Err(invalid("a line of the ledger does not end"));
        }
        loop {
            if let Some(newline) = self.read.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.read.split_off(newline + 1)));
            }
            if self.read.len() > LINE_MAX {
                return Err(invalid("a line of the ledger is longer than any may be"));
            }
            if !self.more()? {
                return Ok(Some(std::mem::take(&mut self.read)));
            }
        }
    }

    /// Reads what comes before; whether there was anything.
    fn more(&mut self) -> io::Result<bool> {
        let from = self.at.saturating_sub(PIECE);
        let mut piece = vec![0; usize::try_from(self.at - from).unwrap_or(0)];
        self.file.read_exact_at(&mut piece, from)?;
        let any = !piece.is_empty();
        piece.append(&mut self.read);
        self.read = piece;
        self.at = from;
        Ok(any)
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_from_the_end() {
        let lengths = [0, 1, 70_000, 65_535, 65_536, 3, LINE_MAX, 0, 0, 9];
        let lines: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
        let mut file = tempfile::tempfile().unwrap();
        for line in &lines {
            file.write_all(line).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let end = file.metadata().unwrap().len();
        let mut backwards = Backwards::new(&file, end);
        for line in lines.iter().rev() {
            assert!(backwards.next().unwrap().as_ref() == Some(line), "{}", line.len());
        }
        assert_eq!(backwards.next().unwrap(), None);
        assert!(Backwards::new(&file, end - 1).next().is_err());
        assert!(Backwards::new(&file, end + 1).next().is_err());
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; LINE_MAX + 1]).unwrap();
        file.write_all(b"\n").unwrap();
        let end = LINE_MAX as u64 + 2;
        assert!(Backwards::new(&file, end).next().is_err());
        assert!(Backwards::new(&file, 5).next().is_err());
        assert_eq!(Backwards::new(&file, 0).next().unwrap(), None);
    }
}
