//! Medians with their spread, and geometric means.

use serde_json::{Value, json};

/// Samples of one quantity, of any unit.
#[derive(Clone, Debug)]
pub struct Stat {
    sorted: Vec<f64>,
}

impl Stat {
    /// The statistics of these samples; `None` without any.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Stat> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then_some(Stat { sorted })
    }

    /// The value below which the share `at` (0 to 1) of the samples lies,
    /// interpolated between neighbours.
    pub fn quantile(&self, at: f64) -> f64 {
        let place = at * (self.sorted.len() - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        self.sorted[low] + (self.sorted[high] - self.sorted[low]) * (place - place.floor())
    }

    /// The middle value.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Median, quartiles, extremes and all samples, for the JSON report.
    pub fn json(&self) -> Value {
        json!({
            "median": self.median(),
            "min": self.quantile(0.0),
            "q1": self.quantile(0.25),
            "q3": self.quantile(0.75),
            "max": self.quantile(1.0),
            "samples": self.sorted,
        })
    }
}

/// The geometric mean; `None` of nothing.
pub fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_and_not_the_mean() {
        let stat = Stat::of([3.0, 1.0, 100.0]).expect("three samples");
        assert_eq!(stat.median(), 3.0);
        let stat = Stat::of([4.0, 1.0, 2.0, 3.0]).expect("four samples");
        assert_eq!((stat.median(), stat.quantile(0.25)), (2.5, 1.75));
        assert!(Stat::of([]).is_none());
    }

    #[test]
    fn geometric_mean_weighs_half_and_double_alike() {
        let mean = geometric_mean(&[0.5, 2.0]).expect("two ratios");
        assert!((mean - 1.0).abs() < 1e-12);
        assert!(geometric_mean(&[]).is_none());
    }
}
