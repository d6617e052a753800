//! Instants as people say them: `3 minutes ago`, `in 6 days`.

use jiff::Timestamp;

/// Units, largest first: name, seconds, and from how many seconds on it is used.
const UNITS: [(&str, i64, i64); 4] = [
    ("day", 86_400, 172_800),
    ("hour", 3_600, 3_600),
    ("minute", 60, 60),
    ("second", 1, 0),
];

/// The instant, told from `now`.
pub(crate) fn relative(instant: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(instant.as_second());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("{} ago", length(seconds)),
        _ => format!("in {}", length(seconds.saturating_neg())),
    }
}

/// The instant to the second in UTC, and told from `now`.
pub(crate) fn full(instant: Timestamp, now: Timestamp) -> String {
    format!("{instant:.0} ({})", relative(instant, now))
}

fn length(seconds: i64) -> String {
    let (name, unit, _) = UNITS
        .into_iter()
        .find(|(_, _, from)| seconds >= *from)
        .unwrap_or(("second", 1, 0));
    match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_people_say_it() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (instant, said) in [
            ("2026-11-24T12:00:00Z", "now"),
            ("2026-11-24T11:59:59Z", "1 second ago"),
            ("2026-11-24T11:57:01Z", "2 minutes ago"),
            ("2026-11-24T10:59:00Z", "1 hour ago"),
            ("2026-11-22T12:00:01Z", "47 hours ago"),
            ("2026-11-22T12:00:00Z", "2 days ago"),
            ("2026-11-30T12:00:00Z", "in 6 days"),
            ("9999-12-30T00:00:00Z", "in 2912113 days"),
        ] {
            assert_eq!(relative(instant.parse().unwrap(), now), said);
        }
        assert_eq!(
            full("2026-11-24T11:00:00.25Z".parse().unwrap(), now),
            "2026-11-24T11:00:00Z (1 hour ago)"
        );
    }
}
