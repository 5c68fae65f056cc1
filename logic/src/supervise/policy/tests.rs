//! Single lives, and long histories against the promise.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy { tries: 3, within: 1_000, delay: 10 };

#[test]
fn at_once_then_later_then_never() {
    let mut history = History::new();
    assert_eq!(history.ended(POLICY, 100), Verdict::Again { at: 100 });
    assert_eq!(history.ended(POLICY, 101), Verdict::Again { at: 111 });
    assert_eq!(history.ended(POLICY, 111), Verdict::Again { at: 131 });
    assert_eq!(history.ended(POLICY, 140), Verdict::GiveUp);
    assert_eq!(history.count(), 3);
}

#[test]
fn old_restarts_do_not_count() {
    let mut history = History::new();
    for now in [100, 200, 300] {
        assert_ne!(history.ended(POLICY, now), Verdict::GiveUp);
    }
    // The last restart was at 320.
    assert_eq!(history.clone().ended(POLICY, 1_099), Verdict::GiveUp);
    assert_eq!(history.ended(POLICY, 1_320), Verdict::Again { at: 1_320 });
    assert_eq!(history.count(), 4);
}

#[test]
fn a_restart_counts_for_so_long() {
    let mut history = History::new();
    for now in [100, 200, 300] {
        history.ended(POLICY, now);
    }
    // The one at 100 no longer counts, the other two do.
    assert_eq!(history.ended(POLICY, 1_100), Verdict::Again { at: 1_120 });
    assert_eq!(history.ended(POLICY, 1_120), Verdict::GiveUp);
}

#[test]
fn nought_tries_is_never() {
    assert_eq!(History::new().ended(Policy { tries: 0, ..POLICY }, 5), Verdict::GiveUp);
}

#[test]
fn the_pause_has_a_bound() {
    let policy = Policy { tries: u32::MAX, within: u64::MAX, delay: 1 };
    let mut history = History::new();
    let pauses: Vec<_> = core::iter::from_fn(|| match history.ended(policy, 0) {
        Verdict::Again { at } => Some(at),
        Verdict::GiveUp => None,
    })
    .collect();
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64, 64]);
    assert_eq!(pauses.len(), TRIES_MAX as usize);
}

#[test]
fn times_at_the_end_of_the_range_do_no_harm() {
    let policy = Policy { tries: 3, within: u64::MAX, delay: u64::MAX };
    let mut history = History::new();
    assert_eq!(history.ended(policy, 5), Verdict::Again { at: 5 });
    assert_eq!(history.ended(policy, 6), Verdict::Again { at: u64::MAX });
    assert_eq!(history.ended(policy, u64::MAX - 1), Verdict::Again { at: u64::MAX });
    assert_eq!(history.ended(policy, u64::MAX - 1), Verdict::GiveUp);
}

proptest! {
    /// However long it lives each time: never more than `tries` restarts in any time of length
    /// `within`, and none is refused without need.
    #[test]
    fn keeps_the_promise(
        tries in 0..20_u32,
        within in 0..1_000_u64,
        delay in 0..50_u64,
        lives in prop::collection::vec(prop_oneof![0..30_u64, 0..1_500_u64], 0..200),
    ) {
        let policy = Policy { tries, within, delay };
        let allowed = tries.min(TRIES_MAX) as usize;
        let mut history = History::new();
        let mut restarts = Vec::new();
        let mut now = 0;
        for life in lives {
            now += life;
            let recent = restarts.iter().filter(|&&at| at + within > now).count();
            match history.ended(policy, now) {
                Verdict::GiveUp => prop_assert_eq!(recent, allowed),
                Verdict::Again { at } => {
                    prop_assert!(recent < allowed);
                    prop_assert!(now <= at && at <= now + (delay << DOUBLINGS_MAX));
                    prop_assert!(recent > 0 || at == now, "at once");
                    restarts.push(at);
                    now = at;
                }
            }
        }
        prop_assert_eq!(history.count() as usize, restarts.len());
        for (n, start) in restarts.iter().enumerate() {
            let in_time = restarts[n..].iter().filter(|&&at| at < start + within).count();
            prop_assert!(in_time <= allowed);
        }
    }
}
