//! What a benchmark found: one row for each number.

use e2e::Outcome;
use serde::Serialize;
use std::fmt;

/// One number beside its rival.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Our number.
    pub(crate) ours: f64,
    /// The rival's, where there is one.
    pub(crate) rival: Option<f64>,
    /// Ours divided by the rival's.
    pub(crate) ratio: Option<f64>,
    /// The unit of both.
    pub(crate) unit: &'static str,
    /// What was promised.
    pub(crate) hold: String,
    /// Whether it holds; none where nothing was promised.
    pub(crate) ok: Option<bool>,
}

impl Row {
    /// A number beside its rival, without a promise.
    pub(crate) fn beside(what: impl Into<String>, unit: &'static str, ours: f64, rival: f64) -> Self {
        Row {
            rival: Some(rival),
            ratio: (rival > 0.0).then(|| ours / rival),
            ..Row::alone(what, unit, ours)
        }
    }

    /// A number without rival or promise.
    pub(crate) fn alone(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Row {
            what: what.into(),
            ours,
            rival: None,
            ratio: None,
            unit,
            hold: String::new(),
            ok: None,
        }
    }

    /// The same with the promise that `value` stays within `limit`.
    pub(crate) fn hold(mut self, value: f64, limit: f64) -> Self {
        self.hold = format!("≤ {limit} {}", self.unit);
        self.ok = Some(value <= limit);
        self
    }
}

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// The rows as a JSON list.
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(&self.0)? + "\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        let mut lines = vec![["what", "ours", "rival", "ratio", "hold", "ok"].map(str::to_owned)];
        for row in &self.0 {
            let ok = match row.ok {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "–",
            };
            lines.push([
                row.what.clone(),
                format!("{:.3} {}", row.ours, row.unit),
                number(row.rival),
                number(row.ratio),
                if row.hold.is_empty() {
                    "–".to_owned()
                } else {
                    row.hold.clone()
                },
                ok.to_owned(),
            ]);
        }
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in &lines {
            for (cell, width) in line.iter().zip(widths) {
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
        assert_eq!((row.ratio, row.ok), (Some(1.5), Some(true)));
        assert_eq!(Row::alone("x", "ms", 9.0).hold(9.0, 8.0).ok, Some(false));
    }
}
