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

    /// The least.
    pub fn min(&self) -> u64 {
        self.0[0]
    }

    /// The one in the middle.
    pub fn median(&self) -> u64 {
        self.percentile(50)
    }

    /// The least that so many percent do not exceed.
    pub fn percentile(&self, percent: usize) -> u64 {
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
        assert_eq!((samples.min(), samples.median(), samples.percentile(99)), (1, 50, 99));
        let one = Samples::new(vec![7]);
        assert_eq!((one.min(), one.median(), one.percentile(99)), (7, 7, 7));
    }
}
