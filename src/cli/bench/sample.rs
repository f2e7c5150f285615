//! Percentiles of exact samples.

use serde::Serialize;

/// Percentiles of a set of samples, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// How many samples.
    pub(super) count: usize,
    /// Half are at or below it.
    pub(super) p50: u64,
    /// 99 of 100 are at or below it.
    pub(super) p99: u64,
    /// The largest.
    pub(super) max: u64,
}

impl Summary {
    /// Of samples in any order; `None` when there are none.
    pub(super) fn of(mut samples: Vec<u64>) -> Option<Self> {
        samples.sort_unstable();
        Some(Summary {
            count: samples.len(),
            p50: percentile(&samples, 50)?,
            p99: percentile(&samples, 99)?,
            max: *samples.last()?,
        })
    }
}

/// The smallest sample that at least `percent` of 100 samples do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let summary = Summary::of((1..=100).rev().collect()).unwrap();
        assert_eq!(summary, Summary { count: 100, p50: 50, p99: 99, max: 100 });
        let summary = Summary::of((1..=1000).collect()).unwrap();
        assert_eq!((summary.p50, summary.p99, summary.max), (500, 990, 1000));
    }

    #[test]
    fn few_samples_show_the_largest_as_p99() {
        assert_eq!(Summary::of(vec![7]).unwrap(), Summary { count: 1, p50: 7, p99: 7, max: 7 });
        assert_eq!(Summary::of(vec![9, 1, 5]).unwrap(), Summary { count: 3, p50: 5, p99: 9, max: 9 });
    }

    #[test]
    fn no_samples_have_no_percentiles() {
        assert_eq!(Summary::of(Vec::new()), None);
    }
}
