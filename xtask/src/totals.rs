//! Counting what passed and failed, from the lines that test runners end with.

use std::ops::AddAssign;

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// Tests and checks that passed.
    pub(crate) passed: u64,
    /// Those that failed.
    pub(crate) failed: u64,
}

impl Totals {
    /// One check.
    pub(crate) fn one(passed: bool) -> Self {
        Totals {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        }
    }

    /// What a line of a runner counts: `test result: ok. 12 passed; 0 failed; …`.
    pub(crate) fn in_line(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let before = |word: &str| -> Option<u64> {
            let (head, _) = counts.split_once(word)?;
            head.split_whitespace().next_back()?.parse().ok()
        };
        Some(Totals {
            passed: before(" passed")?,
            failed: before(" failed")?,
        })
    }

    /// 0 only if nothing failed.
    pub(crate) fn exit_code(self) -> u8 {
        u8::from(self.failed > 0)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(
            Totals::in_line(line),
            Some(Totals {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(Totals::in_line("running 12 tests"), None);
        assert_eq!(Totals::in_line("test result: nothing"), None);
    }
}
