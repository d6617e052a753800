//! Lengths of time and ends of time, as people write them: `90s`, `2h`, `7d`, `2027-01-31T18:00:00Z`.

use cofferdam_model::{Problem, Result};
use jiff::{SignedDuration, Timestamp};
use std::{str::FromStr, time::Duration};

/// Units and their milliseconds. `ms` is first, because `s` and `m` are parts of it.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// A length of time greater than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length(Duration);

impl Length {
    /// The length.
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Length {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            Problem::invalid(format!("{shown:?} is not a length of time"))
                .remedy("write a whole number and ms, s, m, h, d or w, such as 90s, 2h or 7d")
        };
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_suffix(name).map(|digits| (digits, unit)))
            .ok_or_else(wrong)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        match count.checked_mul(*unit) {
            Some(length) if length > 0 => Ok(Length(Duration::from_millis(length))),
            _ => Err(wrong()),
        }
    }
}

/// When something ends: at an instant, or after a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At this instant.
    At(Timestamp),
    /// This long from now.
    After(Length),
}

impl End {
    /// The instant, which must lie ahead.
    ///
    /// # Errors
    ///
    /// `invalid` for an instant that has passed, or beyond the calendar.
    pub(crate) fn from(self, now: Timestamp) -> Result<Timestamp> {
        let instant = match self {
            End::At(instant) => instant,
            End::After(length) => SignedDuration::try_from(length.get())
                .ok()
                .and_then(|length| now.checked_add(length).ok())
                .ok_or_else(|| {
                    Problem::invalid("that time lies beyond the calendar")
                        .remedy("leave --until out for a grant without an end")
                })?,
        };
        if instant <= now {
            return Err(Problem::invalid(format!("{instant:.0} has passed already"))
                .remedy("write an instant that lies ahead, or a time from now such as 2h"));
        }
        Ok(instant)
    }
}

impl FromStr for End {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(length) = text.parse() {
            return Ok(End::After(length));
        }
        text.parse().map(End::At).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            Problem::invalid(format!("{shown:?} is not a time")).remedy(
                "write an instant with its zone such as 2027-01-31T18:00:00Z, or a time from now such as 2h or 7d",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        for (text, seconds) in [
            ("90s", 90),
            ("2h", 7_200),
            ("7d", 604_800),
            ("1w", 604_800),
            ("15m", 900),
        ] {
            assert_eq!(text.parse::<Length>().unwrap().get().as_secs(), seconds);
        }
        assert_eq!("200ms".parse::<Length>().unwrap().get().as_millis(), 200);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "-1h",
            "+1h",
            "0s",
            "1.5h",
            "1 h",
            "9999999999999999999w",
            "2y",
            "٣d",
        ] {
            assert!(
                text.parse::<Length>().is_err(),
                "{text:?} was taken for a length of time"
            );
        }
        for text in [
            "tomorrow",
            "2027-01-31",
            "2027-01-31T18:00:00",
            "2027-02-30T00:00:00Z",
            "",
        ] {
            assert!(text.parse::<End>().is_err(), "{text:?} was taken for a time");
        }
    }

    #[test]
    fn ends_lie_ahead() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let end = |text: &str| text.parse::<End>().unwrap().from(now);
        assert_eq!(end("2h").unwrap().to_string(), "2026-11-24T14:00:00Z");
        assert_eq!(
            end("2026-11-24T14:00:00+01:00").unwrap().to_string(),
            "2026-11-24T13:00:00Z"
        );
        assert!(end("2026-11-24T12:00:00Z").is_err());
        assert!(end("999999999w").is_err());
    }
}
