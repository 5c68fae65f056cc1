//! Interrupts: each is counted and acknowledged. What it is about lies in shared memory, where the
//! CPU looks after every interrupt.

use ant_abi::layout::DOORBELL_VECTOR;
use ant_arch::apic;
use ant_arch::trap::{SPURIOUS_VECTOR, TIMER_VECTOR};

use crate::shared;

/// Counts and acknowledges an interrupt.
pub fn take(vector: u64) {
    let control = shared::control(shared::this_cpu());
    if vector == u64::from(SPURIOUS_VECTOR) {
        shared::count(control.unexpected_interrupts());
        return;
    }
    shared::count(match vector {
        DOORBELL_VECTOR => control.doorbells(),
        vector if vector == u64::from(TIMER_VECTOR) => control.timer_interrupts(),
        _ => control.unexpected_interrupts(),
    });
    apic::end_of_interrupt();
}
