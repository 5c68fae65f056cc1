//! x86-64.

pub mod apic;
pub mod clock;
pub mod context;
pub mod cpu;
mod entry;
mod machine_check;
pub mod paging;
pub mod percpu;
pub mod segments;
pub mod trap;
