//! A kernel of p-kernels only. It is never run: what it weighs, and what it lacks, is the p-kernel's.
#![no_std]
#![no_main]

#[unsafe(no_mangle)]
extern "Rust" fn ant_kernel_start(cpu: usize) -> ! {
    ant_p::start(cpu)
}
