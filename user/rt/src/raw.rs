//! The `syscall` instruction and the process's own memory as the marshalling sees it. All the
//! unsafe code of this crate but its first instructions.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::Error;
use ant_abi::lca::Lca;
use ant_core::lca::Memory;

/// Issues an AnT system call.
///
/// # Safety
/// What the call does with its arguments as addresses must be sound.
pub unsafe fn syscall(number: u64, args: [u64; 3]) -> i64 {
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

/// Where the LCA is mapped; 0 before the program starts. Written once by `set_lca`.
static LCA: AtomicU64 = AtomicU64::new(0);
/// Real address of the LCA. Written once by `set_lca`.
static LCA_RADDR: AtomicU64 = AtomicU64::new(0);

/// Remembers where the LCA is.
pub fn set_lca(virt: u64, raddr: u64) {
    LCA.store(virt, Ordering::Relaxed);
    LCA_RADDR.store(raddr, Ordering::Relaxed);
}

/// Real address of the process's LCA.
pub fn lca_raddr() -> u64 {
    LCA_RADDR.load(Ordering::Relaxed)
}

/// The process's LCA. `work` must not make a system call of Linux itself.
pub fn with_lca<R>(work: impl FnOnce(&mut Lca) -> R) -> R {
    let lca = LCA.load(Ordering::Relaxed) as *mut Lca;
    assert!(!lca.is_null(), "a system call of Linux before the program has started");
    // SAFETY: the kernel mapped the page for the life of the process; every bit pattern is a valid
    // `Lca`; the process has one thread, and no call is under way while it runs.
    work(unsafe { &mut *lca })
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
