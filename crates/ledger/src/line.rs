//! Lines of a file that anybody may have written: one at a time, bounded, each with its place.

use crate::record::LINE_MAX;
use std::io::{self, BufRead, BufReader, Read};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// A line that is longer than any may be; it was passed over.
    TooLong,
    /// Bytes without a newline, then the end.
    Unfinished,
    /// The end.
    End,
}

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    offset: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Of `input`, whose first byte is the file's byte `offset`.
    pub(crate) fn new(input: R, offset: u64) -> Self {
        Lines {
            input: BufReader::with_capacity(64 << 10, input),
            offset,
            line: Vec::new(),
        }
    }

    /// The file's byte that is read next.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece, and the byte at which it begins.
    ///
    /// # Errors
    /// As reading.
    pub(crate) fn next(&mut self) -> io::Result<(u64, Piece<'_>)> {
        let start = self.offset;
        if self.part()? == 0 {
            return Ok((start, Piece::End));
        }
        while self.line.last() != Some(&b'\n') {
            if self.part()? == 0 {
                return Ok((start, Piece::Unfinished));
            }
        }
        let whole = self.offset - start == self.line.len() as u64;
        match self.line.strip_suffix(b"\n") {
            Some(line) if whole => Ok((start, Piece::Line(line))),
            _ => Ok((start, Piece::TooLong)),
        }
    }

    /// Reads up to a newline, or as much as the longest line has. What was read before is given up.
    fn part(&mut self) -> io::Result<usize> {
        self.line.clear();
        let room = LINE_MAX as u64 + 1;
        let read = (&mut self.input).take(room).read_until(b'\n', &mut self.line)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_with_their_places() {
        let mut lines = Lines::new(&b"one\n\ntwo"[..], 10);
        assert_eq!(lines.next().unwrap(), (10, Piece::Line(b"one")));
        assert_eq!(lines.next().unwrap(), (14, Piece::Line(b"")));
        assert_eq!(lines.next().unwrap(), (15, Piece::Unfinished));
        assert_eq!(lines.next().unwrap(), (18, Piece::End));
    }

    #[test]
    fn long_lines_are_passed_over() {
        let longest = [vec![b'x'; LINE_MAX], b"\n".to_vec()].concat();
        let longer = [vec![b'x'; LINE_MAX + 1], b"\n".to_vec()].concat();
        let much_longer = [vec![b'x'; 3 * LINE_MAX], b"\n".to_vec()].concat();
        let all = [
            &longest[..],
            &longer,
            &much_longer,
            b"y\n",
            &longer[..LINE_MAX + 1],
        ]
        .concat();
        let mut lines = Lines::new(&all[..], 0);
        assert_eq!(lines.next().unwrap(), (0, Piece::Line(&longest[..LINE_MAX])));
        let mut at = longest.len() as u64;
        assert_eq!(lines.next().unwrap(), (at, Piece::TooLong));
        at += longer.len() as u64;
        assert_eq!(lines.next().unwrap(), (at, Piece::TooLong));
        at += much_longer.len() as u64;
        assert_eq!(lines.next().unwrap(), (at, Piece::Line(b"y")));
        assert_eq!(lines.next().unwrap(), (at + 2, Piece::Unfinished));
        assert!(lines.line.capacity() <= 4 * LINE_MAX);
    }
}
