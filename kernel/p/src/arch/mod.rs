//! What depends on the processor. The only place with assembler, page tables and the APIC.

mod x86_64;

pub use x86_64::*;
