//! Every single figure, their medians, and the table and the JSON made of them.

use super::{
    contestants::Kind,
    plan::Plan,
    promises::{Definition, ROWS, Subject},
};
use crate::bench::table::{Row, Table};
use e2e::Outcome;
use serde_json::{Value, json};

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Figure {
    subject: Subject,
    contestant: Kind,
    repetition: u32,
    value: f64,
}

/// All of them, in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    pub(crate) fn add(&mut self, subject: Subject, contestant: Kind, repetition: u32, value: f64) {
        self.0.push(Figure {
            subject,
            contestant,
            repetition,
            value,
        });
    }

    /// The middle one of a contestant's figures; of an even number, the mean of the two in the middle.
    fn median(&self, subject: Subject, contestant: Kind) -> Option<f64> {
        let mut values: Vec<f64> = self
            .0
            .iter()
            .filter(|figure| figure.subject == subject && figure.contestant == contestant)
            .map(|figure| figure.value)
            .collect();
        values.sort_by(f64::total_cmp);
        let upper = values.get(values.len() / 2)?;
        let lower = values.get((values.len() - 1) / 2)?;
        Some(f64::midpoint(*lower, *upper))
    }

    /// The rows of which there is at least one figure.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        for definition in &ROWS {
            if self.0.iter().any(|figure| figure.subject == definition.subject) {
                table.push(self.row(definition));
            }
        }
        table
    }

    fn row(&self, definition: &Definition) -> Row {
        let of = |kind| self.median(definition.subject, kind);
        let ours = of(Kind::Ours);
        let mut row = Row {
            ours,
            ..Row::empty(definition.what, definition.unit)
        };
        for kind in Kind::RIVALS {
            if let Some(value) = of(kind) {
                let ratio = ours.and_then(|ours| definition.better.ratio(ours, value));
                row = row.rival(kind.word(), value, ratio);
            }
        }
        let text: Vec<String> = definition
            .promises
            .iter()
            .map(|promise| promise.text(definition.unit))
            .collect();
        let verdicts: Option<Vec<bool>> = definition
            .promises
            .iter()
            .map(|promise| promise.holds(definition.better, ours?, of))
            .collect();
        let ok = verdicts
            .filter(|verdicts| !verdicts.is_empty())
            .map(|verdicts| verdicts.into_iter().all(|holds| holds));
        row.promise(text.join(", "), ok)
    }

    /// The plan, the table and every single figure.
    pub(crate) fn json(&self, plan: &Plan) -> Outcome<String> {
        let figures: Vec<Value> = self.0.iter().map(Figure::json).collect();
        let all = json!({
            "ratios": "above 1 ours is better, in every row",
            "plan": plan,
            "rows": self.table(),
            "figures": figures,
        });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

impl Figure {
    fn json(&self) -> Value {
        let definition = self.subject.definition();
        json!({
            "what": definition.map_or("", |row| row.what.trim_start()),
            "unit": definition.map_or("", |row| row.unit),
            "contestant": self.contestant.word(),
            "repetition": self.repetition,
            "value": self.value,
        })
    }
}

impl Subject {
    /// Its row.
    pub(crate) fn definition(self) -> Option<&'static Definition> {
        ROWS.iter().find(|row| row.subject == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[(Kind, f64)]) -> Figures {
        let mut figures = Figures::default();
        for (number, (kind, value)) in values.iter().enumerate() {
            figures.add(Subject::Untar, *kind, u32::try_from(number).unwrap(), *value);
        }
        figures
    }

    #[test]
    fn the_median_ignores_the_outlier() {
        let three = figures(&[(Kind::Ours, 9.0), (Kind::Ours, 1.0), (Kind::Ours, 2.0)]);
        assert_eq!(three.median(Subject::Untar, Kind::Ours), Some(2.0));
        let two = figures(&[(Kind::Ours, 1.0), (Kind::Ours, 2.0)]);
        assert_eq!(two.median(Subject::Untar, Kind::Ours), Some(1.5));
        assert_eq!(two.median(Subject::Untar, Kind::Loop), None);
        assert_eq!(two.median(Subject::Find, Kind::Ours), None);
    }

    #[test]
    fn a_row_holds_only_if_all_its_promises_do() {
        let verdict = |gocryptfs, plain| {
            let figures = figures(&[
                (Kind::Ours, 1.0),
                (Kind::Gocryptfs, gocryptfs),
                (Kind::Loop, plain),
            ]);
            figures.row(&ROWS[0]).ok
        };
        assert_eq!(verdict(14.0, 0.8), Some(true));
        assert_eq!(verdict(13.0, 0.8), Some(false));
        assert_eq!(verdict(14.0, 0.7), Some(false));
        assert_eq!(
            figures(&[(Kind::Ours, 1.0), (Kind::Loop, 1.0)]).row(&ROWS[0]).ok,
            None
        );
        assert_eq!(figures(&[(Kind::Loop, 1.0)]).row(&ROWS[0]).ok, None);
    }

    #[test]
    fn every_single_figure_is_in_the_json() {
        let text = figures(&[(Kind::Loop, 1.25), (Kind::Loop, 2.5)])
            .json(&Plan::quick(1))
            .unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["figures"][1]["value"], 2.5);
        assert_eq!(all["figures"][0]["contestant"], "loop");
        assert_eq!(all["rows"][0]["rivals"][0]["value"], 1.875);
    }
}
