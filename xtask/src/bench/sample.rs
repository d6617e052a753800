//! Times of repeated runs, and what is said of them.

use std::time::Duration;

/// A sorted set of times.
#[derive(Debug)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Sample(times)
    }

    /// The time that this part (0 to 100) of the runs stayed within, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// The middle one, in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let sample = Sample::new((1..=100).rev().map(Duration::from_millis).collect());
        assert!((sample.median() - 50.0).abs() < 1e-9);
        assert!((sample.percentile(99) - 99.0).abs() < 1e-9);
        assert!(Sample::new(Vec::new()).median().is_nan());
    }
}
