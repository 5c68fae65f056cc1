//! Kills that are pending.

use std::vec::Vec;

use crate::supervise::PendingKills;

fn told(pending: &mut PendingKills, now: u64, exist: bool) -> Vec<u32> {
    let mut told = Vec::new();
    pending.advance(now, |pid| {
        told.push(pid);
        exist
    });
    told
}

#[test]
fn a_kill_is_repeated_until_the_process_ends() {
    let mut pending = PendingKills::new();
    assert_eq!(pending.deadline(), u64::MAX);
    pending.add(7, 1_000);
    pending.add(9, 2_000);
    pending.add(7, 3_000);
    let due = pending.deadline();
    assert_eq!(told(&mut pending, due - 1, true), []);
    assert_eq!(told(&mut pending, due, true), [7, 9]);
    pending.ended(7);
    let due = pending.deadline();
    assert_eq!(told(&mut pending, due, false), [9]);
    assert_eq!(pending.deadline(), u64::MAX);
}
