//! How much of a sweep a run takes: all cases, or a sample that is the same in every run.

/// How far the sample is apart from one sweep of a group to the next. It has no divisor in common with the
/// usual numbers of cases, so that sweeps over the same cases take each of them in turn.
const STRIDE: usize = 5;

/// How much of a sweep is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every case: the long run.
    All,
    /// A sample, by the place of the sweep in its group: together, the sweeps of a group take each kind of
    /// case.
    Sample(usize),
}

impl Extent {
    /// All of `cases`, or one of them.
    pub fn of<T>(self, cases: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut cases: Vec<T> = cases.into_iter().collect();
        match self {
            Self::Sample(turn) if !cases.is_empty() => {
                vec![cases.swap_remove(turn * STRIDE % cases.len())]
            }
            _ => cases,
        }
    }

    /// `all` rounds, or `sample` of them.
    pub fn rounds<N>(self, all: N, sample: N) -> N {
        if self == Self::All { all } else { sample }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_of_a_group_take_every_case_in_turn() {
        for count in 1..=4 {
            let mut taken: Vec<_> =
                (0..count).flat_map(|turn| Extent::Sample(turn).of(0..count)).collect();
            taken.sort_unstable();
            assert_eq!(taken, Extent::All.of(0..count));
        }
        assert!(Extent::Sample(3).of([0; 0]).is_empty());
    }
}
