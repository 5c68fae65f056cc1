//! Where each core's IPC state is: too large for a kernel stack, so it has memory of its own.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::MAX_CORES;
use ant_core::ipc::Station;

/// Bytes of one.
pub const SIZE: usize = size_of::<Station>();

/// Where they are, 0 for not yet. Written by the m-kernel before a core starts.
static PLACES: [AtomicU64; MAX_CORES] = [const { AtomicU64::new(0) }; MAX_CORES];
static EMPTY: Station = Station::new(0);

/// Gives core `core` its memory.
///
/// # Safety
/// `memory` is mapped on every core, [`SIZE`] long, aligned to a page, and nobody else's for ever.
pub unsafe fn place(core: usize, memory: *mut u8) {
    let station = memory.cast::<Station>();
    // SAFETY: the caller's promise. A station owns nothing, so it may be copied.
    unsafe {
        station.copy_from_nonoverlapping(&raw const EMPTY, 1);
        (*station).begin_on(core as u8);
    }
    PLACES[core].store(memory as u64, Ordering::Release);
}

/// The station of the core that asks, which asks once.
pub fn of(core: usize) -> &'static mut Station {
    let place = PLACES[core].swap(0, Ordering::Acquire);
    assert!(place != 0, "a core has its station once");
    // SAFETY: `place` put a station there, for this core alone, and gives it away once.
    unsafe { &mut *(place as *mut Station) }
}
