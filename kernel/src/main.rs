//! The AnT kernel: a microkernel that runs on the cores a stock Linux has given away.
//!
//! - `arch`: the one place with assembler, page tables, APIC, traps.
//! - `m`: what only the m-kernel has: memory manager, process creation, placement.
//! - `p`: what every core runs: traps, scheduling, messages between cores.
//! - `linux`: the Linux side of a process: `linux_call`, the loader.
//!
//! One kernel stack per core, interrupts always off in the kernel: the kernel runs from one event
//! to the next and never waits. No core takes a lock: a process belongs to one core at a time and
//! is handed over by message.
#![no_std]
#![no_main]

mod arch;
mod linux;
mod log;
mod m;
mod p;
mod panic;
mod shared;

/// A core's first Rust code: the first core becomes the m-kernel, every other a p-kernel.
fn start(core: usize) -> ! {
    match core {
        0 => m::start(),
        _ => p::start(core),
    }
}
