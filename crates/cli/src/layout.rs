//! Aligned plain text: tables with a header, and lists of named facts.
//!
//! INVARIANT: a [`Block`] holds no deceiving character but the line feeds and the bold header that are
//! put in here.

use crate::visible::visible;

/// The space between two columns.
const GAP: usize = 2;

/// Finished lines.
#[derive(Debug)]
pub(crate) struct Block(String);

impl Block {
    /// The lines, each with its end.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// A table whose header names its columns.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, bold: bool) -> Block {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| visible(&cell)))
        .collect();
    let mut widths = header.map(width);
    for row in &rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    let names = line(header.map(str::to_owned).iter().zip(widths));
    let mut text = if bold {
        format!("\u{1b}[1m{names}\u{1b}[0m\n")
    } else {
        names + "\n"
    };
    for row in &rows {
        text.push_str(&line(row.iter().zip(widths)));
        text.push('\n');
    }
    Block(text)
}

/// A list of named facts, one a line.
pub(crate) fn facts(facts: &[(&str, String)]) -> Block {
    let wide = facts.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let text = facts.iter().map(|(name, fact)| {
        let fact = visible(fact);
        line([(&(*name).to_owned(), wide), (&fact, 0)].into_iter()) + "\n"
    });
    Block(text.collect())
}

fn line<'a>(cells: impl Iterator<Item = (&'a String, usize)>) -> String {
    let padded: String = cells
        .map(|(cell, wide)| format!("{cell:<pad$}", pad = wide + GAP))
        .collect();
    padded.trim_end().to_owned()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text, cut to at most `longest` characters with a mark where it was cut.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if width(text) <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![
            ["a".to_owned(), "1".to_owned()],
            ["long".to_owned(), "2".to_owned()],
        ];
        assert_eq!(table(["X", "Y"], rows, false).0, "X     Y\na     1\nlong  2\n");
    }

    #[test]
    fn cells_stay_on_their_line() {
        let rows = vec![["a\nb\u{1b}[1m".to_owned()]];
        assert_eq!(table(["X"], rows, false).0, "X\na\\nb\\u{1b}[1m\n");
    }

    #[test]
    fn headers_are_bold_on_a_terminal() {
        assert_eq!(table(["X"], vec![], true).0, "\u{1b}[1mX\u{1b}[0m\n");
    }

    #[test]
    fn long_text_is_cut_visibly() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
