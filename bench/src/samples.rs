//! A set of measurements.

/// Measurements of one thing, sorted.
pub struct Samples(Vec<u64>);

impl Samples {
    /// At least one measurement, in any order.
    pub fn new(mut values: Vec<u64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_unstable();
        Self(values)
    }

    /// Minimum, median and 99th percentile.
    pub fn figures(&self) -> [u64; 3] {
        [self.0[0], self.median(), self.percentile(99)]
    }

    /// The one in the middle.
    pub fn median(&self) -> u64 {
        self.percentile(50)
    }

    /// The least that so many percent do not exceed.
    fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn ranks_are_the_nearest() {
        let samples = Samples::new((1..=100).rev().collect());
        assert_eq!(samples.figures(), [1, 50, 99]);
        assert_eq!(Samples::new(vec![7]).figures(), [7; 3]);
    }
}
