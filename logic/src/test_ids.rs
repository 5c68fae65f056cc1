//! Ids by their numbers, for tests.

use ant_abi::{CpuIndex, EndpointId, Generation, Priority, ProcessSlot, ThreadSlot};
use proptest::prelude::*;

pub(crate) const fn slot_no(number: usize) -> ThreadSlot {
    ThreadSlot::new(number).expect("a slot")
}

pub(crate) const fn process_no(number: usize) -> ProcessSlot {
    ProcessSlot::new(number).expect("a slot")
}

pub(crate) const fn cpu_no(number: usize) -> CpuIndex {
    CpuIndex::new(number).expect("a CPU")
}

pub(crate) const fn endpoint_no(number: usize) -> EndpointId {
    EndpointId::new(number).expect("an endpoint")
}

pub(crate) const fn priority_no(number: usize) -> Priority {
    Priority::new(number).expect("a priority")
}

pub(crate) const fn generation_no(number: u32) -> Generation {
    Generation::new(number)
}

/// Any of these slots.
pub(crate) fn slots(numbers: core::ops::Range<usize>) -> impl Strategy<Value = ThreadSlot> + Clone {
    numbers.prop_map(slot_no)
}

/// Any of these processes.
pub(crate) fn processes(
    numbers: core::ops::Range<usize>,
) -> impl Strategy<Value = ProcessSlot> + Clone {
    numbers.prop_map(process_no)
}

/// Any priority.
pub(crate) fn priorities() -> impl Strategy<Value = Priority> + Clone {
    (0..Priority::COUNT).prop_map(priority_no)
}

/// Threads that a partition of the tests has room for.
pub(crate) const THREADS: usize = 128;

/// Memory of a table.
pub(crate) fn places<T: Clone>(empty: T, count: usize) -> crate::places::Places<T> {
    std::vec![empty; count].into_boxed_slice()
}
