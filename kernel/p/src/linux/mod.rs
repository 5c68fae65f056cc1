//! The Linux side of a thread: its channels, `linux_call`, the exit notice.

pub mod call;
pub mod channel;
pub mod lca;

use linux_raw_sys::general::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};

/// The Linux signal that stands for an exception.
pub fn signal_of(vector: u64) -> u32 {
    match vector {
        0 | 7 | 16 | 19 => SIGFPE,
        1 | 3 => SIGTRAP,
        6 => SIGILL,
        11 | 12 | 17 => SIGBUS,
        _ => SIGSEGV,
    }
}
