//! The AnT kernel: a microkernel that runs on the CPUs a stock Linux has given away.
//!
//! Three crates, none of which can name the next:
//! - `ant_arch` (`kernel/arch`): what depends on the processor.
//! - `ant_p` (`kernel/p`): what every CPU runs: traps, IPC, scheduling, delegation to Linux.
//! - `ant_m` (`kernel/m`): what only the m-kernel has: memory manager, process creation, placement.
//!
//! One kernel stack per CPU, interrupts always off in the kernel: the kernel runs from one event
//! to the next and never waits. No CPU takes a lock: a process belongs to one CPU at a time and
//! is handed over by message.
#![no_std]
#![no_main]

/// A CPU's first Rust code: the first CPU becomes the m-kernel, every other a p-kernel.
#[unsafe(no_mangle)]
extern "Rust" fn ant_kernel_start(cpu: usize) -> ! {
    match cpu {
        0 => ant_m::start(),
        _ => ant_p::start(cpu),
    }
}
