//! Doorbells: the interrupts by which this CPU tells Linux, or another CPU of the partition, to look
//! into its rings.

use core::sync::atomic::{Ordering, fence};

use ant_abi::CpuIndex;
use ant_abi::cpu_block::{ROUTE_APIC_SHIFT, ROUTE_NONE};
use ant_abi::layout::DOORBELL_VECTOR;
use ant_arch::apic;
use ant_arch::trap::FIRST_INTERRUPT;

use crate::shared;

/// Rings Linux for CPU `cpu`, which is the caller's. Does nothing while there is no route.
pub fn ring_linux(cpu: CpuIndex) {
    // What was put into the request store must be visible before the route is read. Pairs with the
    // module, which publishes a new route, then looks into the store: one of the two sees the other.
    fence(Ordering::SeqCst);
    let route = shared::control(cpu).route().load(Ordering::Acquire);
    // The apic id is Linux's to choose, but a vector below 32 would be an exception.
    let vector = route as u8;
    if route == ROUTE_NONE || u64::from(vector) < FIRST_INTERRUPT {
        return;
    }
    apic::send_interrupt((route >> ROUTE_APIC_SHIFT) as u32, vector);
}

/// Rings another CPU of the partition.
#[inline]
pub fn ring_cpu(cpu: CpuIndex) {
    apic::send_interrupt(shared::apic_id(cpu), DOORBELL_VECTOR as u8);
}
