//! The `syscall` instruction, and memory that the kernel has mapped: the LCA, pages of the ICA, and
//! the process's own as the marshalling sees it.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::ipc::{IPC_WORDS, Span};
use ant_abi::lca::Lca;
use ant_abi::syscall::{LcaGrant, Sysnum};
use ant_abi::{Error, PAGE_SIZE, UserVirt};
use ant_logic::lca::Memory;

/// Issues an AnT system call.
///
/// # Safety
/// What the call does with its arguments as addresses must be sound.
#[inline]
pub unsafe fn syscall(number: Sysnum, args: [u64; 3]) -> i64 {
    let result;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11; the rest is the caller's
    // promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The registers of an IPC system call: in, what is sent; out, what has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    /// `rdi`, `rsi`, `rdx`.
    pub operands: [u64; 3],
    /// `r10`, `r8`, `r9`, `r12`.
    pub words: [u64; IPC_WORDS],
    /// `r13`.
    pub span: u64,
    /// `r14`.
    pub handle: u64,
}

/// Issues an IPC system call.
///
/// # Safety
/// The span's pages must be the caller's to give in that way; batches: see `syscall`.
#[inline]
pub unsafe fn exchange(number: Sysnum, registers: &mut Registers) -> i64 {
    let Registers { operands, words, span, handle } = registers;
    let result;
    // SAFETY: the kernel preserves all other registers but rcx and r11; the rest is the caller's
    // promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            inlateout("rdi") operands[0],
            inlateout("rsi") operands[1],
            inlateout("rdx") operands[2],
            inlateout("r10") words[0],
            inlateout("r8") words[1],
            inlateout("r9") words[2],
            inlateout("r12") words[3],
            inlateout("r13") *span,
            inlateout("r14") *handle,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The token with this number of the kernel's; 0 is none.
#[cfg(feature = "raw")]
pub fn token(number: u64) -> Option<crate::ipc::Token> {
    crate::ipc::Token::new(number)
}

/// The kernel's number for a token.
#[cfg(feature = "raw")]
pub fn token_number(token: &crate::ipc::Token) -> u64 {
    token.number()
}

/// Where the pages of a span begin, and how many bytes they are.
fn ica_range(span: Span) -> (u64, usize) {
    (UserVirt::of_ica_page(span.first()).get(), span.count() as usize * PAGE_SIZE)
}

/// The pages of a span, which no other process can write.
///
/// # Safety
/// For `'a`, the pages are mapped and only read.
pub unsafe fn ica_bytes<'a>(span: Span) -> &'a [u8] {
    let (start, len) = ica_range(span);
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start as *const u8, len) }
}

/// The pages of a span, which no other process has.
///
/// # Safety
/// For `'a`, the pages are mapped, writable, and the caller's alone.
pub unsafe fn ica_bytes_mut<'a>(span: Span) -> &'a mut [u8] {
    let (start, len) = ica_range(span);
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, len) }
}

/// The pages of a span, which others may write meanwhile.
///
/// # Safety
/// For `'a`, the pages are mapped, and this process has no slice of them.
pub unsafe fn ica_words<'a>(span: Span) -> &'a [AtomicU64] {
    let (start, len) = ica_range(span);
    // SAFETY: the caller's promise; a page is aligned, and atomics may change at any time.
    unsafe { core::slice::from_raw_parts(start as *const AtomicU64, len / 8) }
}

/// Where the LCA is mapped; 0 before the first call of Linux. Written once by `find_lca`.
static LCA: AtomicU64 = AtomicU64::new(0);
/// Real address of the LCA. Written once by `find_lca`. The process has one thread: the orders of these
/// two need no pairing.
static LCA_RADDR: AtomicU64 = AtomicU64::new(0);

/// Asks the kernel for the LCA, the first time. An OS server has none.
pub fn find_lca() -> Result<(), Error> {
    if LCA.load(Ordering::Relaxed) == 0 {
        let grant = crate::ant::lca_get(0)?;
        LCA.store(grant.virt, Ordering::Relaxed);
        LCA_RADDR.store(grant.raddr, Ordering::Relaxed);
    }
    Ok(())
}

/// Real address of the process's LCA.
pub fn lca_raddr() -> u64 {
    LCA_RADDR.load(Ordering::Relaxed)
}

/// The process's LCA, after [`find_lca`]. `work` must not make a system call of Linux itself.
pub fn with_lca<R>(work: impl FnOnce(&mut Lca) -> R) -> R {
    let lca = LCA.load(Ordering::Relaxed) as *mut Lca;
    assert!(!lca.is_null(), "`find_lca` comes first");
    LcaPage(lca).with(work)
}

/// The LCA of a channel.
#[derive(Debug)]
pub struct LcaPage(*mut Lca);

impl LcaPage {
    /// That of a grant.
    pub fn of(grant: &LcaGrant) -> Self {
        Self(grant.virt as *mut Lca)
    }

    /// Works on it while Linux does not have it.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Lca) -> R) -> R {
        // SAFETY: the kernel mapped the page for as long as the process exists; every bit pattern is a valid
        // `Lca`; the process has one thread, and no call is under way through the page: `channel::Channel`
        // sees to that, and a call of `linux` has returned when its caller goes on.
        work(unsafe { &mut *self.0 })
    }
}

/// The memory of this process. Addresses come from references of the caller of [`crate::linux`].
pub struct OwnMemory;

impl Memory for OwnMemory {
    fn read(&self, addr: u64, out: &mut [u8]) -> Result<(), Error> {
        // SAFETY: `linux::call` is unsafe for exactly this reason: its caller vouches for the
        // addresses among the arguments. A wild one faults, and ends this process only.
        unsafe { (addr as *const u8).copy_to(out.as_mut_ptr(), out.len()) }
        Ok(())
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Error> {
        // SAFETY: as in `read`.
        unsafe { (addr as *mut u8).copy_from(data.as_ptr(), data.len()) }
        Ok(())
    }
}
