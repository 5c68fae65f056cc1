//! What one thread sees; `tests/loom` has the rest.

use super::*;

#[test]
fn only_who_does_not_poll_needs_a_doorbell() {
    let attention = DoorbellSuppression::new();
    assert!(attention.needs_doorbell());
    attention.start_polling();
    assert!(!attention.needs_doorbell());
    assert!(!attention.needs_doorbell(), "asking changes nothing");
    attention.stop_polling();
    assert!(attention.needs_doorbell());
}

#[test]
fn has_a_line_of_the_cache_to_itself() {
    assert_eq!((size_of::<DoorbellSuppression>(), align_of::<DoorbellSuppression>()), (64, 64));
}
