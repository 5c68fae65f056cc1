//! `antctl bench`: what a call from AnT costs, beside what Linux's own ways cost in the same run.
//!
//! The unit is the time-stamp counter's: cycles, or instructions in a guest whose clock counts
//! them. Figures of one run may be compared with each other; figures of a guest under emulation
//! say nothing about hardware.

mod futex;
mod null;
mod samples;

pub use null::{Options, run};

/// The guest's command line says so when the time-stamp counter counts instructions.
const COUNTS_INSTRUCTIONS: &str = "ant.icount";

/// What the time-stamp counter counts here.
fn unit() -> &'static str {
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    match command_line.split_ascii_whitespace().any(|word| word == COUNTS_INSTRUCTIONS) {
        true => "instructions",
        false => "TSC cycles",
    }
}
