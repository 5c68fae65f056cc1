//! Traps: all 256 vectors, and `syscall`.
//!
//! From ring 3 every trap ends the `Context::run` that is under way. In the kernel, interrupts come
//! only while the CPU sleeps, and go to the kernel's handler; an exception there is a bug of the
//! kernel, and a panic. A machine check that is no error of this CPU's changes nothing, wherever it comes.

use core::arch::{global_asm, naked_asm};
use core::cell::UnsafeCell;

use x86_64::VirtAddr;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::context::{self, Context, VECTOR_SYSCALL};
use super::{machine_check, percpu, segments};

/// Vector of the local timer.
pub const TIMER_VECTOR: u8 = 0xef;
/// Vector of interrupts that the APIC withdrew; gets no EOI (SDM vol. 3, 11.9).
pub const SPURIOUS_VECTOR: u8 = 0xff;

const NMI: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const MACHINE_CHECK: u64 = 18;
/// Vector of the page fault.
pub const PAGE_FAULT: u64 = 14;
/// Lowest vector that is not an exception's.
pub const FIRST_INTERRUPT: u64 = 32;
const STUB_SIZE: u64 = 16;

// One stub per vector, 16 bytes apart: an error code where the processor pushed none (SDM vol. 3,
// table 6-1), the vector, then the common part. NMI, double fault and machine check have stacks of
// their own, so they never save into a context.
global_asm!(
    ".balign 16",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 \
         || vector == 21 || vector == 29 || vector == 30)",
    "pushq $0",
    ".endif",
    "pushq $vector",
    ".if vector == 2 || vector == 8 || vector == 18",
    "jmp {own_stack}",
    ".else",
    "jmp {common}",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    common = sym common,
    own_stack = sym own_stack,
    options(att_syntax),
);

unsafe extern "C" {
    #[link_name = "trap_stubs"]
    static TRAP_STUBS: u8;
}

/// The registers an exception in the kernel has pushed, from `r15` up.
#[repr(C)]
struct KernelFrame {
    registers: [u64; 15],
    vector: u64,
    error: u64,
    rip: u64,
}

/// Pushes the general registers that a system call keeps, in the order of `Context` and
/// `KernelFrame`.
macro_rules! push_registers {
    () => {
        concat!(
            "push rax\npush rdx\npush rdi\npush rsi\npush r8\npush r9\npush r10\n",
            "push rbx\npush rbp\npush r12\npush r13\npush r14\npush r15",
        )
    };
}

/// Undoes `push_registers`.
macro_rules! pop_registers {
    () => {
        concat!(
            "pop r15\npop r14\npop r13\npop r12\npop rbp\npop rbx\n",
            "pop r10\npop r9\npop r8\npop rsi\npop rdi\npop rdx\npop rax",
        )
    };
}
pub(super) use pop_registers;

/// Undoes `push_registers` and the push of the other two general registers, drops vector and error
/// code, goes back to where the trap came from.
macro_rules! pop_registers_and_return {
    () => {
        concat!($crate::x86_64::trap::pop_registers!(), "\npop rcx\npop r11\nadd rsp, 16\niretq")
    };
}
pub(super) use pop_registers_and_return;

/// Behind the stubs: on the stack are vector, error code, rip, cs.
#[unsafe(naked)]
unsafe extern "C" fn common() {
    naked_asm!(
        "push r11",
        "push rcx",
        push_registers!(),
        "cld",
        "test byte ptr [rsp + 144], 3", // cs, above 15 registers, vector, error and rip
        "jnz {leave}",
        "jmp {in_kernel}",
        leave = sym leave,
        in_kernel = sym in_kernel,
    )
}

/// Behind the stubs of the vectors with a stack of their own, whatever was interrupted.
#[unsafe(naked)]
unsafe extern "C" fn own_stack() {
    naked_asm!(
        "push r11",
        "push rcx",
        push_registers!(),
        "cld",
        "jmp {in_kernel}",
        in_kernel = sym in_kernel,
    )
}

/// Handles a trap on the stack it came to, and goes back.
#[unsafe(naked)]
unsafe extern "C" fn in_kernel() {
    naked_asm!(
        "mov rdi, rsp",
        "call {kernel_trap}",
        pop_registers_and_return!(),
        kernel_trap = sym kernel_trap,
    )
}

/// Back from ring 3: `rsp` is at `Context::r15`, below it the kernel's stack pointer. Returns from
/// the `enter` that went to ring 3. Flags that ring 3 has set go, above all AC, which an interrupt
/// gate leaves and which would switch SMAP off.
#[unsafe(naked)]
unsafe extern "C" fn leave() {
    naked_asm!(
        "mov rsp, [rsp - {kernel_rsp}]",
        "push 2",
        "popfq",
        "ret",
        kernel_rsp = const context::KERNEL_RSP_BELOW,
    )
}

/// `syscall` from ring 3 saves what a trap would have pushed, but for the registers that it destroys,
/// and for those that never change. It has cleared the flags that `leave` clears.
#[unsafe(naked)]
unsafe extern "C" fn syscall_entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{scratch}], rsp",
        "mov rsp, gs:[{trap_stack}]",
        "mov qword ptr [rsp - {top} + {vector}], {syscall}",
        "mov [rsp - {top} + {rip}], rcx",
        "mov [rsp - {top} + {rflags}], r11",
        "mov rcx, gs:[{scratch}]",
        "swapgs",
        "mov [rsp - {top} + {rsp}], rcx",
        "sub rsp, {top} - {kept_end}",
        push_registers!(),
        "mov rsp, [rsp - {kernel_rsp}]",
        "ret",
        scratch = const percpu::SCRATCH,
        trap_stack = const percpu::TRAP_STACK,
        top = const size_of::<Context>(),
        kept_end = const context::KEPT_END,
        vector = const context::VECTOR,
        rip = const context::RIP,
        rflags = const context::RFLAGS,
        rsp = const context::RSP,
        syscall = const VECTOR_SYSCALL,
        kernel_rsp = const context::KERNEL_RSP_BELOW,
    )
}

/// Where `syscall` goes.
pub(super) fn syscall_entry_address() -> u64 {
    syscall_entry as *const () as u64
}

/// An exception, NMI or interrupt met the kernel itself, or has come on a stack of its own.
extern "C" fn kernel_trap(frame: &KernelFrame) {
    match frame.vector {
        NMI => (handlers().nmi)(),
        MACHINE_CHECK if machine_check::take() => {}
        vector if vector >= FIRST_INTERRUPT => (handlers().interrupt)(vector),
        vector => {
            let address = match vector {
                DOUBLE_FAULT | PAGE_FAULT => fault_address(),
                _ => 0,
            };
            // Without a stack, a page fault becomes a double fault.
            assert!(!percpu::is_in_guard(address), "the kernel stack is full at {:#x}", frame.rip);
            panic!(
                "{} in the kernel at {:#x}, error {:#x}, address {address:#x}",
                name(vector),
                frame.rip,
                frame.error,
            )
        }
    }
}

/// The address that the last page fault was about.
pub fn fault_address() -> u64 {
    x86_64::registers::control::Cr2::read_raw()
}

/// What a page fault with this error code was (SDM vol. 3, 4.7).
pub fn access_name(error: u64) -> &'static str {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    match error {
        error if error & FETCH != 0 => "execute",
        error if error & WRITE != 0 => "write",
        _ => "read",
    }
}

/// What the SDM calls an exception (vol. 3, table 6-1).
pub fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "NMI",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "floating point, which AnT programs don't have yet",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection",
        14 => "page fault",
        16 => "x87 error",
        17 => "misaligned access",
        18 => "machine check",
        19 => "SIMD error",
        21 => "control protection",
        _ => "reserved exception",
    }
}

/// What the kernel does about traps that meet it. Both run with interrupts off, on whatever stack
/// the trap came to.
#[derive(Clone, Copy)]
pub struct Handlers {
    /// An NMI has come, at any point of the kernel or of a process.
    pub nmi: fn(),
    /// An interrupt with this vector has come while the CPU slept. The handler acknowledges it.
    pub interrupt: fn(u64),
}

/// Vector table and handlers, the same for every CPU. Filled by the m-kernel before another CPU runs.
struct Traps {
    vectors: UnsafeCell<InterruptDescriptorTable>,
    handlers: UnsafeCell<Handlers>,
}

// SAFETY: written once, by `fill`, while one CPU runs and no trap comes; only read after that.
unsafe impl Sync for Traps {}

static TRAPS: Traps = Traps {
    vectors: UnsafeCell::new(InterruptDescriptorTable::new()),
    handlers: UnsafeCell::new(Handlers { nmi: || {}, interrupt: |_| {} }),
};

#[inline]
fn handlers() -> &'static Handlers {
    // SAFETY: a trap comes only after `fill`, which is the last to write it.
    unsafe { &*TRAPS.handlers.get() }
}

/// Fills the vector table and sets the handlers. The m-kernel, once, before `init`.
pub fn fill(handlers: Handlers) {
    // SAFETY: the m-kernel runs alone, and has no vector table yet.
    let idt = unsafe {
        *TRAPS.handlers.get() = handlers;
        &mut *TRAPS.vectors.get()
    };
    // SAFETY: every stub saves and restores all registers and ends in `iretq` or in `leave`; the
    // interrupt stacks exist on every CPU.
    unsafe {
        let stub = |vector: u64| VirtAddr::from_ptr(&raw const TRAP_STUBS) + vector * STUB_SIZE;
        idt.divide_error.set_handler_addr(stub(0));
        idt.debug.set_handler_addr(stub(1));
        idt.non_maskable_interrupt.set_handler_addr(stub(2)).set_stack_index(segments::IST_NMI);
        idt.breakpoint.set_handler_addr(stub(3)).set_privilege_level(x86_64::PrivilegeLevel::Ring3);
        idt.overflow.set_handler_addr(stub(4));
        idt.bound_range_exceeded.set_handler_addr(stub(5));
        idt.invalid_opcode.set_handler_addr(stub(6));
        idt.device_not_available.set_handler_addr(stub(7));
        idt.double_fault.set_handler_addr(stub(8)).set_stack_index(segments::IST_DOUBLE_FAULT);
        idt.invalid_tss.set_handler_addr(stub(10));
        idt.segment_not_present.set_handler_addr(stub(11));
        idt.stack_segment_fault.set_handler_addr(stub(12));
        idt.general_protection_fault.set_handler_addr(stub(13));
        idt.page_fault.set_handler_addr(stub(14));
        idt.x87_floating_point.set_handler_addr(stub(16));
        idt.alignment_check.set_handler_addr(stub(17));
        idt.machine_check.set_handler_addr(stub(18)).set_stack_index(segments::IST_MACHINE_CHECK);
        idt.simd_floating_point.set_handler_addr(stub(19));
        idt.virtualization.set_handler_addr(stub(20));
        idt.cp_protection_exception.set_handler_addr(stub(21));
        idt.hv_injection_exception.set_handler_addr(stub(28));
        idt.vmm_communication_exception.set_handler_addr(stub(29));
        idt.security_exception.set_handler_addr(stub(30));
        for vector in FIRST_INTERRUPT..256 {
            idt[vector as u8].set_handler_addr(stub(vector));
        }
    }
}

/// Loads the vector table on this CPU.
pub fn init() {
    // SAFETY: filled before (see `fill`), never changed after, lives for ever.
    unsafe { (*TRAPS.vectors.get()).load_unsafe() }
}
