//! How a decision is explained: the container beside each app's rule, the differing points marked, and what would change the answer.

use crate::{context::Context, exit, layout, report::Report};
use cofferdam_model::api::{Compared, Explained, Point, Remedy, VolumeDecision};

/// What was decided of one volume, with every reason and the policies.
pub(crate) fn judged(report: Report, asked: &VolumeDecision) -> Report {
    let answer = match (asked.allowed, asked.read_only) {
        (true, false) => "allowed",
        (true, true) => "allowed, read-only",
        (false, _) => "refused",
    };
    let app = asked
        .app
        .as_ref()
        .map_or_else(|| "; no app matches".to_owned(), |app| format!(" as {app}"));
    let report = report
        .line("")
        .line(format_args!("{}: {answer}{app}", asked.volume));
    let report = asked
        .reasons
        .iter()
        .fold(report, |report, reason| report.line(format_args!("  - {reason}")));
    match asked.policies.as_slice() {
        [] => report,
        policies => report.line(format_args!("  by {}", policies.join(", "))),
    }
}

/// Every app that comes into question, side by side with the container.
pub(crate) fn side_by_side(report: Report, explained: &Explained, context: &Context) -> Report {
    let report = explained
        .compared
        .iter()
        .fold(report, |report, compared| beside(report, compared, context));
    match explained.more {
        0 => report,
        more => report
            .line("")
            .line(format_args!("{more} more apps come into question.")),
    }
}

fn beside(report: Report, compared: &Compared, context: &Context) -> Report {
    let granted: Vec<String> = compared.granted.iter().map(ToString::to_string).collect();
    let granted = match granted.as_slice() {
        [] => String::new(),
        granted => format!(", which has a grant on {}", granted.join(", ")),
    };
    let differs = match compared.differing() {
        0 => "the container is what its rule asks for".to_owned(),
        1 => "the container differs from its rule in 1 point".to_owned(),
        more => format!("the container differs from its rule in {more} points"),
    };
    let newer = match compared.newer {
        true => " (its rule was made after this decision)",
        false => "",
    };
    let rows = compared.points.iter().map(|point| row(point, context));
    let header = ["", "POINT", "THE RULE", "FOUND"];
    report
        .line("")
        .line(format_args!("{}{granted}: {differs}{newer}", compared.app))
        .block(layout::table(header, rows.collect(), context.bold))
}

fn row(point: &Point, context: &Context) -> [String; 4] {
    let mark = match (point.differs, context.unicode) {
        (false, _) => "=",
        (true, true) => "≠",
        (true, false) => "!=",
    };
    [
        mark.to_owned(),
        point.what.clone(),
        point.rule.clone(),
        point.found.clone(),
    ]
}

/// What would change the answer.
pub(crate) fn way_out(report: Report, explained: &Explained) -> Report {
    match &explained.remedy {
        Remedy::None => report,
        Remedy::Now => report
            .line("")
            .line("As apps and grants are now, it would be allowed; start it again."),
        Remedy::Told(step) => report.line("").line(exit::step(step)),
        Remedy::Never(reason) => report.line("").line(format_args!("Nothing should: {reason}.")),
        Remedy::Command { line, besides } => {
            let heading = match explained.decision.refused {
                Some(_) => "If this container is meant to have it, allow it with:",
                None => "If this container is meant to have more, allow it with:",
            };
            let report = report.line("").line(heading).line(format_args!("  {line}"));
            match besides {
                Some(besides) => report.line(besides),
                None => report,
            }
        }
    }
}
