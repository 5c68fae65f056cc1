//! The registers of a process that is not running, and the way into and out of ring 3.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use ant_abi::UserVirt;
use ant_abi::ipc::IPC_WORDS;
use ant_abi::layout::PROCESS_END;
use x86_64::registers::rflags::RFlags;

use super::percpu::OwnArea;
use super::segments;
use super::trap::{pop_registers, pop_registers_and_return};

/// Everything a process has in registers. A trap from ring 3 saves straight into it: its end is
/// the trap stack.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct Context {
    pad: u64,
    /// Kernel stack pointer of the `run` that is under way.
    kernel_rsp: u64,
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rsi: u64,
    rdi: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    r11: u64,
    /// What ended the last `run`: an exception or interrupt vector, or `VECTOR_SYSCALL`.
    pub vector: u64,
    /// Error code of the exception, 0 if it has none. Meaningless after a system call, as `rcx` and
    /// `r11` are.
    pub error: u64,
    /// Where the process goes on.
    pub rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// `Context::vector` of a system call.
pub const VECTOR_SYSCALL: u64 = 256;

/// Where `trap` finds the kernel's stack pointer, from `r15` on.
pub(super) const KERNEL_RSP_BELOW: usize =
    offset_of!(Context, r15) - offset_of!(Context, kernel_rsp);
const KERNEL_RSP: usize = offset_of!(Context, kernel_rsp);
const FIRST: usize = offset_of!(Context, r15);
/// Behind the registers that a system call keeps.
pub(super) const KEPT_END: usize = offset_of!(Context, rcx);
pub(super) const VECTOR: usize = offset_of!(Context, vector);
pub(super) const RIP: usize = offset_of!(Context, rip);
pub(super) const RFLAGS: usize = offset_of!(Context, rflags);
pub(super) const RSP: usize = offset_of!(Context, rsp);

impl Context {
    /// A process that begins at `entry` with stack pointer `stack`.
    pub fn new(entry: UserVirt, stack: UserVirt) -> Self {
        debug_assert!(entry.get() < PROCESS_END);
        Self {
            rip: entry.get(),
            rsp: stack.get(),
            cs: u64::from(segments::USER_CODE.0),
            ss: u64::from(segments::USER_DATA.0),
            rflags: RFlags::INTERRUPT_FLAG.bits(),
            ..Self::default()
        }
    }

    /// Number and arguments of the system call that ended the last run.
    #[inline]
    pub fn syscall(&self) -> (u64, [u64; 3]) {
        (self.rax, [self.rdi, self.rsi, self.rdx])
    }

    /// Sets the result of the system call.
    #[inline]
    pub fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }

    /// The words that a system call of IPC sends (`ant_abi::ipc`).
    #[inline]
    pub fn words(&self) -> [u64; IPC_WORDS] {
        [self.r10, self.r8, self.r9, self.r12]
    }

    /// The message that a system call of IPC sends: words, span, handle.
    #[inline]
    pub fn message(&self) -> ([u64; IPC_WORDS], u64, u64) {
        (self.words(), self.r13, self.r14)
    }

    /// The span and the number of the handle of that message.
    #[inline]
    pub fn span_and_handle(&self) -> (u64, u64) {
        (self.r13, self.r14)
    }

    /// Sets the message that a system call of IPC returns.
    #[inline]
    pub fn set_message(&mut self, words: [u64; IPC_WORDS], span: u64, handle: u64) {
        [self.r10, self.r8, self.r9, self.r12] = words;
        self.set_span(span);
        self.r14 = handle;
    }

    /// Sets the span that a system call of IPC returns.
    #[inline]
    pub fn set_span(&mut self, span: u64) {
        self.r13 = span;
    }

    /// Sets what was received, the sender's badge, and the token for the reply.
    #[inline]
    pub fn set_received(&mut self, kind: u64, token: u64, badge: u64) {
        self.rdi = kind;
        self.rsi = token;
        self.rdx = badge;
    }

    /// Sets the generation that goes with `PeerRestarted`.
    #[inline]
    pub fn set_generation(&mut self, generation: u32) {
        self.rsi = u64::from(generation);
    }

    /// Lets the process issue the `IPC_RECEIVE` or `IPC_REPLY_RECEIVE` that ended the last run once
    /// more, without the reply, which was given, and with this limit of time in microseconds.
    pub fn restart_receive(&mut self, timeout: u64) {
        self.rdi = 0;
        self.rsi = timeout;
        self.restart_syscall();
    }

    /// Lets the process issue the system call that ended the last run once more.
    pub fn restart_syscall(&mut self) {
        const SYSCALL_LEN: u64 = 2;
        self.rip -= SYSCALL_LEN;
    }

    /// Lets the process run in ring 3 until the next trap, interrupt or system call.
    #[inline]
    pub fn run(&mut self, area: &mut OwnArea) {
        area.set_context(self);
        // SAFETY: the context belongs to this CPU now, its selectors are ring 3's, its page
        // tables are loaded (caller: `cpu`), and traps come back through `trap`, which changes
        // every register but `rsp`; the two that cannot be declared as changed are saved here.
        unsafe {
            asm!(
                "push rbx",
                "push rbp",
                "call {enter}",
                "pop rbp",
                "pop rbx",
                enter = sym enter,
                inlateout("rdi") self => _,
                lateout("r12") _,
                lateout("r13") _,
                lateout("r14") _,
                lateout("r15") _,
                clobber_abi("C"),
            )
        }
    }
}

/// Loads the user's registers and goes to ring 3; `rdi` is the context. Traps and system calls from
/// there return from this function.
///
/// A process that made a system call goes on by `sysretq`, which is faster than `iretq`. It faults in ring 0
/// for an address that is not canonical (SDM vol. 2, SYSRET), which `rip` always is: it is just behind
/// an instruction of the process, below `PROCESS_END`, or that instruction, or 0.
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!(
        "mov [rdi + {kernel_rsp}], rsp",
        "lea rsp, [rdi + {first}]",
        "cmp qword ptr [rdi + {vector}], {syscall}",
        "jne 2f",
        pop_registers!(),
        "mov rcx, [rsp + {rip} - {kept_end}]",
        "mov r11, [rsp + {rflags} - {kept_end}]",
        "mov rsp, [rsp + {rsp} - {kept_end}]",
        "sysretq",
        "2:",
        pop_registers_and_return!(),
        kernel_rsp = const KERNEL_RSP,
        first = const FIRST,
        vector = const VECTOR,
        syscall = const VECTOR_SYSCALL,
        rip = const RIP,
        rflags = const RFLAGS,
        rsp = const RSP,
        kept_end = const KEPT_END,
    )
}
