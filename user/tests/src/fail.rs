//! Instructions that fault, by which a program fails on purpose.

use core::arch::asm;

/// Reads where nothing is mapped.
pub fn read_nothing() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("mov al, [{at}]", at = in(reg) 0x10u64, out("al") _) }
}

/// Reads at an address that this process has lost.
pub fn read_at(address: u64) {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("mov al, [{at}]", at = in(reg) address, out("al") _) }
}

/// Writes at an address that this process has lost, or may only read.
pub fn write_at(address: u64) {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("mov byte ptr [{at}], 1", at = in(reg) address) }
}

/// Writes to the program's own text.
pub fn write_text() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("mov byte ptr [{at}], 0", at = in(reg) write_text as *const ()) }
}

/// Jumps to the stack.
pub fn execute_data() {
    let data = [0xc3u8; 16];
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("call {at}", at = in(reg) data.as_ptr()) }
}

/// Reads the kernel's text.
pub fn read_kernel() {
    let kernel = ant_abi::layout::IMAGE_VIRT;
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("mov al, [{at}]", at = in(reg) kernel, out("al") _) }
}

/// Divides by zero.
pub fn divide_by_zero() {
    // SAFETY: none; the process is meant to fault.
    unsafe {
        asm!("xor edx, edx", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
    }
}

/// Executes what is no instruction.
pub fn invalid_opcode() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("ud2") }
}

/// Executes what only a kernel may.
pub fn halt() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("hlt") }
}

/// Reads a port by the processor's own instruction, which only a kernel may.
pub fn read_port() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("in al, dx", in("dx") 0x2fdu16, out("al") _) }
}

/// Writes a port by the processor's own instruction, which only a kernel may.
pub fn write_port() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("out dx, al", in("dx") 0x2f8u16, in("al") b'!') }
}

/// Uses the way into the kernel that AnT does not have.
pub fn sysenter() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("sysenter") }
}

/// Uses floating point.
pub fn float() {
    // SAFETY: none; the process is meant to fault.
    unsafe { asm!("fldz") }
}

/// Uses more stack than there is.
pub fn overflow_stack(depth: u64) -> u64 {
    let page = core::hint::black_box([depth; 512]);
    if depth == u64::MAX { page[0] } else { overflow_stack(depth + 1) + page[511] }
}
