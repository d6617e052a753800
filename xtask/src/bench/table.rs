//! What a benchmark found: one row for each number.

use e2e::Outcome;
use serde::Serialize;
use std::fmt;

/// A rival's number, and how ours stands to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rival {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its number.
    pub(crate) value: f64,
    /// Ours to its; the benchmark says which way round.
    pub(crate) ratio: Option<f64>,
}

/// One number beside its rivals.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Our number; none where only rivals were measured.
    pub(crate) ours: Option<f64>,
    /// The rivals', where there are any.
    pub(crate) rivals: Vec<Rival>,
    /// The unit of all.
    pub(crate) unit: &'static str,
    /// What was promised.
    pub(crate) hold: String,
    /// Whether it holds; none where nothing was promised.
    pub(crate) ok: Option<bool>,
}

impl Row {
    /// A number beside its rival, without a promise; the ratio is ours divided by the rival's.
    pub(crate) fn beside(what: impl Into<String>, unit: &'static str, ours: f64, rival: f64) -> Self {
        Row::alone(what, unit, ours).rival("rival", rival, (rival > 0.0).then(|| ours / rival))
    }

    /// A number without rival or promise.
    pub(crate) fn alone(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Row {
            ours: Some(ours),
            ..Row::empty(what, unit)
        }
    }

    /// Nothing yet.
    pub(crate) fn empty(what: impl Into<String>, unit: &'static str) -> Self {
        Row {
            what: what.into(),
            ours: None,
            rivals: Vec::new(),
            unit,
            hold: String::new(),
            ok: None,
        }
    }

    /// The same beside one more rival.
    pub(crate) fn rival(mut self, name: &'static str, value: f64, ratio: Option<f64>) -> Self {
        self.rivals.push(Rival { name, value, ratio });
        self
    }

    /// The same with the promise that `value` stays within `limit`.
    pub(crate) fn hold(self, value: f64, limit: f64) -> Self {
        let text = format!("≤ {limit} {}", self.unit);
        self.promise(text, Some(value <= limit))
    }

    /// The same with any promise, and whether it holds.
    pub(crate) fn promise(mut self, text: String, ok: Option<bool>) -> Self {
        self.hold = text;
        self.ok = ok;
        self
    }
}

/// All rows.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// The rows as a JSON list.
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(&self.0)? + "\n")
    }

    /// Every rival's name, in the order in which they first appear.
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for rival in self.0.iter().flat_map(|row| &row.rivals) {
            if !names.contains(&rival.name) {
                names.push(rival.name);
            }
        }
        names
    }

    /// Heads and cells, as text.
    fn lines(&self) -> Vec<Vec<String>> {
        let names = self.names();
        let ratio_head = |name: &&str| match names.len() {
            1 => "ratio".to_owned(),
            _ => format!("to {name}"),
        };
        let mut head = vec!["what".to_owned(), "ours".to_owned()];
        head.extend(names.iter().map(|&name| name.to_owned()));
        head.extend(names.iter().map(ratio_head));
        head.extend(["hold".to_owned(), "ok".to_owned()]);
        let cells = self.0.iter().map(|row| row.cells(&names));
        std::iter::once(head).chain(cells).collect()
    }
}

impl Row {
    fn cells(&self, names: &[&'static str]) -> Vec<String> {
        let rival = |name: &&str| self.rivals.iter().find(|rival| rival.name == *name);
        let ours = self.ours.map_or_else(
            || format!("– {}", self.unit),
            |ours| format!("{} {}", number(ours), self.unit),
        );
        let mut cells = vec![self.what.clone(), ours];
        cells.extend(
            names
                .iter()
                .map(|name| cell(rival(name).map(|rival| rival.value))),
        );
        cells.extend(
            names
                .iter()
                .map(|name| cell(rival(name).and_then(|rival| rival.ratio))),
        );
        cells.push(if self.hold.is_empty() {
            "–".to_owned()
        } else {
            self.hold.clone()
        });
        cells.push(match self.ok {
            Some(true) => "yes".to_owned(),
            Some(false) => "NO".to_owned(),
            None => "–".to_owned(),
        });
        cells
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), number)
}

/// Three decimals, fewer where the number is large.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let columns = lines.first().map_or(0, Vec::len);
        let mut widths = vec![0; columns];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in &lines {
            for (cell, width) in line.iter().zip(&widths) {
                write!(f, "{cell:width$}  ")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_it_holds() {
        let row = Row::beside("x", "ms", 3.0, 2.0).hold(1.0, 8.0);
        assert_eq!((row.rivals[0].ratio, row.ok), (Some(1.5), Some(true)));
        assert_eq!(Row::alone("x", "ms", 9.0).hold(9.0, 8.0).ok, Some(false));
    }

    #[test]
    fn every_rival_has_a_column_and_a_ratio() {
        let mut table = Table::default();
        table.push(Row::alone("a", "s", 1.0).rival("loop", 2.0, Some(2.0)));
        table.push(Row::empty("b", "IOPS").rival("directory", 12345.6, None));
        let lines = table.lines();
        assert_eq!(
            lines[0],
            [
                "what",
                "ours",
                "loop",
                "directory",
                "to loop",
                "to directory",
                "hold",
                "ok"
            ]
        );
        assert_eq!(lines[1], ["a", "1.000 s", "2.000", "–", "2.000", "–", "–", "–"]);
        assert_eq!(lines[2], ["b", "– IOPS", "–", "12346", "–", "–", "–", "–"]);
    }
}
