//! Processes that are to end.

use std::vec::Vec;

use crate::server::Doomed;

fn told(doomed: &mut Doomed, now: u64, exist: bool) -> Vec<u32> {
    let mut told = Vec::new();
    doomed.advance(now, |pid| {
        told.push(pid);
        exist
    });
    told
}

#[test]
fn who_does_not_end_is_told_again() {
    let mut doomed = Doomed::new();
    assert_eq!(doomed.deadline(), u64::MAX);
    doomed.add(7, 1_000);
    doomed.add(9, 2_000);
    doomed.add(7, 3_000);
    let due = doomed.deadline();
    assert_eq!(told(&mut doomed, due - 1, true), []);
    assert_eq!(told(&mut doomed, due, true), [7, 9]);
    doomed.ended(7);
    let due = doomed.deadline();
    assert_eq!(told(&mut doomed, due, false), [9]);
    assert_eq!(doomed.deadline(), u64::MAX);
}
