//! The AnT kernel: a microkernel that runs on the cores a stock Linux has given away.
//!
//! Two crates, and the one that is light cannot name the other:
//! - `ant_p` (`kernel/p`): what every core runs: traps, IPC, scheduling, delegation to Linux.
//! - `ant_m` (`kernel/m`): what only the m-kernel has: memory manager, process creation, placement.
//!
//! One kernel stack per core, interrupts always off in the kernel: the kernel runs from one event
//! to the next and never waits. No core takes a lock: a process belongs to one core at a time and
//! is handed over by message.
#![no_std]
#![no_main]

/// A core's first Rust code: the first core becomes the m-kernel, every other a p-kernel.
#[unsafe(no_mangle)]
extern "Rust" fn ant_kernel_start(core: usize) -> ! {
    match core {
        0 => ant_m::start(),
        _ => ant_p::start(core),
    }
}
