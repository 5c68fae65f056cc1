//! The LCA of a process, seen from the kernel.
//!
//! The process may write its LCA at any time it runs, and its proxy while a call is with Linux, so
//! the kernel reads single fields, once, and trusts none of them.

use core::mem::offset_of;

use ant_abi::lca::{CFLAG_CONTINUE, CFLAG_TRACE, Lca, Stamp};
use ant_abi::store::StoreEntry;
use ant_abi::{CpuIndex, LcaIndex, PhysAddr, UserVirt};

use ant_arch::clock;
use ant_arch::paging::phys_to_virt;

/// The LCA page of one process.
#[derive(Debug)]
pub struct LcaPage {
    index: LcaIndex,
    entry: StoreEntry,
}

impl LcaPage {
    /// The page at `raddr`, mapped in the process in the ICA page that is the LCA's.
    pub fn new(index: LcaIndex, raddr: PhysAddr, generation: u16) -> Self {
        Self { index, entry: StoreEntry::call(raddr, generation) }
    }

    /// Which of the partition's LCAs it is.
    pub fn index(&self) -> LcaIndex {
        self.index
    }

    /// What the address stores carry for it.
    pub fn entry(&self) -> StoreEntry {
        self.entry
    }

    /// Where the process has it.
    pub fn virt(&self) -> UserVirt {
        UserVirt::of_ica_page(self.index.ica_page())
    }

    fn pointer(&self) -> *mut Lca {
        phys_to_virt(self.entry.raddr()).cast()
    }

    /// The page, while neither the process runs nor Linux has a call. A proxy that stays has it mapped
    /// all the same: what is written here is not read back, except as hostile.
    pub fn contents(&mut self) -> &mut Lca {
        // SAFETY: a page of the partition that lives as long as the process; every bit pattern is
        // a valid `Lca`; callers hold the process, which doesn't run, and have no call under way. A
        // proxy that writes nevertheless changes its own request only: callers (`Builder`) write, and
        // rely on nothing that they would have to read.
        unsafe { &mut *self.pointer() }
    }

    fn cflag(&self) -> u32 {
        // SAFETY: inside the page.
        unsafe { (&raw const (*self.pointer()).cflag).read_volatile() }
    }

    /// Whether the proxy shall stay for another call.
    pub fn continues(&self) -> bool {
        self.cflag() & CFLAG_CONTINUE != 0
    }

    /// Sets where the result goes back to.
    pub fn set_cid(&mut self, cpu: CpuIndex) {
        // SAFETY: inside the page.
        unsafe { (&raw mut (*self.pointer()).cid).write_volatile(cpu.into()) }
    }

    /// What the proxy has stored as the result.
    pub fn retval(&self) -> i64 {
        // SAFETY: inside the page.
        unsafe { (&raw const (*self.pointer()).retval).read_volatile() }
    }

    /// Copies what Linux has left in the buffer at `offset`.
    pub fn copy_buffer(&self, offset: usize, out: &mut [u8]) {
        let start = offset_of!(Lca, buffer) + offset;
        assert!(start + out.len() <= size_of::<Lca>());
        let from = self.pointer().cast::<u8>();
        // SAFETY: the range was just checked to lie inside the page.
        unsafe { from.add(start).copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) }
    }

    /// Stamps a step of the call, if it is traced. `cpu` is Linux's number.
    pub fn stamp(&mut self, step: usize, linux_cpu: u32, pid: u32) {
        if self.cflag() & CFLAG_TRACE != 0 {
            let stamp = Stamp { tsc: clock::now(), cpu: linux_cpu, pid };
            // SAFETY: inside the page; `step` is one of `STEP_*`.
            unsafe { (&raw mut (*self.pointer()).stamps[step]).write_volatile(stamp) }
        }
    }
}
