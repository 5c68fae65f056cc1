//! From the first instruction to the program's main function, and what happens on a panic.

use core::arch::naked_asm;
use core::panic::PanicInfo;

use crate::{Args, ant, eprintln, log};

/// Marks the file as a program of AnT, and of which ABI revision: an ELF note.
#[repr(C)]
struct Note {
    name_size: u32,
    desc_size: u32,
    kind: u32,
    name: [u8; 4],
    revision: u32,
}

#[used]
#[unsafe(link_section = ".note.ant")]
static NOTE: Note =
    Note { name_size: 4, desc_size: 4, kind: 1, name: *b"AnT\0", revision: ant_abi::REVISION };

unsafe extern "C" {
    /// Defined by [`crate::program!`].
    fn ant_main(stack: *const u64) -> !;
}

/// The stack pointer is at argc.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "xor ebp, ebp", "call {main}", "ud2", main = sym ant_main)
}

/// Runs `main`.
///
/// # Safety
/// `stack` is the stack pointer that the process began with.
pub unsafe fn run(stack: *const u64, main: fn(Args) -> i32) -> ! {
    // SAFETY: the caller's promise; the kernel has laid the stack out.
    let args = unsafe { Args::new(stack) };
    ant::process_exit(main(args))
}

/// Exit status after a panic; Rust's on Linux.
const PANIC_STATUS: i32 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // An OS server has no standard error; `init` may be waiting for Linux.
    if !eprintln!("{info}") {
        log!("{info}");
    }
    ant::process_exit(PANIC_STATUS)
}
