//! The process table.
//!
//! A process belongs to one CPU at a time; only that CPU touches it. Owning is a value,
//! [`Owned`], which is moved from CPU to CPU by message. What `ps` shows is beside it, as atomics
//! that the owner writes and anyone reads.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::ipc::Span;
use ant_abi::lca::ExitKind;
use ant_abi::store::StoreEntry;
use ant_abi::syscall::{NAME_LEN, ProcessInfo, ProcessKind, ProcessState, Sysnum};
use ant_abi::{CpuIndex, EndpointId, MAX_PROCESSES, PhysAddr, Pid, Priority, ThreadSlot};
use arrayvec::ArrayString;

use crate::devices::Grants;
use crate::handles::Handles;
use crate::linux::lca::LcaPage;
use ant_arch::context::Context;
use ant_arch::paging::AddressSpace;

/// Longest text about the end of a process.
pub const EXIT_TEXT_MAX: usize = 160;

/// Why a process ends.
#[derive(Clone, Debug)]
pub struct ExitReason {
    /// In which way.
    pub kind: ExitKind,
    /// The number that goes with it.
    pub number: u64,
    /// For people; empty when the rest says it all.
    pub text: ArrayString<EXIT_TEXT_MAX>,
}

impl ExitReason {
    /// An end with the text that `args` make, cut to what fits.
    pub fn new(kind: ExitKind, number: u64, args: fmt::Arguments<'_>) -> Self {
        Self { kind, number, text: crate::log::cut(args) }
    }
}

/// What the LCA of a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LcaState {
    /// The process may fill it.
    Idle,
    /// With Linux, which shall return it; whether the proxy stays.
    Outstanding {
        /// The call has `CFLAG_CONTINUE`.
        proxy_stays: bool,
    },
    /// Returned for good: Linux is about to let go of it. The next call waits for that.
    Releasing,
    /// Sent with the notice of the end.
    Exiting,
}

/// How a process learns of the return of its call from Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is blocked until then.
    Wake,
    /// By a notification: it goes on meanwhile.
    Notify,
}

/// What the process itself waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// Nothing: it is in the run queue.
    Runnable,
    /// Not started, or being loaded.
    NotStarted,
    /// A message.
    Receive,
    /// The reply to its call.
    Reply,
    /// What it asked the m-kernel for.
    MReply,
    /// The end of its sleep.
    Time,
    /// The return of its call from Linux.
    Return,
    /// The release of its LCA, to send the call it has already asked for.
    Release,
    /// Its end.
    Exit,
}

/// A process.
pub struct Process {
    /// Registers. First, because traps write here.
    pub context: Context,
    /// Process id, never used twice.
    pub pid: Pid,
    /// Page tables.
    pub space: AddressSpace,
    /// Its LCA; servers have none.
    pub lca: Option<LcaPage>,
    /// What the LCA is doing.
    pub lca_state: LcaState,
    /// How the process learns of the return of its call from Linux.
    pub completion: Completion,
    /// What the process waits for.
    pub blocked_on: BlockReason,
    /// Set once it is to end. Linux is told when its LCA is not with Linux.
    pub exit: Option<ExitReason>,
    /// No other CPU's IPC knows it any more, after its end.
    pub ipc_released: bool,
    /// Linux has let go of its LCA, after its end.
    pub linux_released: bool,
    /// CPU that it shall go to as soon as it can.
    pub migrate_to: Option<CpuIndex>,
    /// Its own priority.
    pub base: Priority,
    /// The priority it runs with: its own, or that of a caller that waits for it.
    pub priority: Priority,
    /// It may use the calls of `init`.
    pub is_init: bool,
    /// What it can reach.
    pub handles: Handles,
    /// Where it receives.
    pub endpoint: Option<EndpointId>,
    /// That endpoint is its own and ends with it.
    pub owns_endpoint: bool,
    /// Its call that is under way: the handle, and its pages that went along.
    pub calling: Calling,
    /// What it asked the m-kernel for.
    pub m_call: Option<MCall>,
    /// It has had ICA pages.
    pub used_ica: bool,
    /// What stands in the place of pages that it was lent and that were taken back early.
    pub scratch: PhysAddr,
    /// Devices that it was granted.
    pub grants: Grants,
}

/// A call of IPC that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calling {
    /// Number of the handle.
    pub handle: u64,
    /// Pages of the caller that went along.
    pub span: Span,
}

/// A system call that the m-kernel serves.
#[derive(Clone, Copy, Debug)]
pub struct MCall {
    /// Its number.
    pub number: Sysnum,
    /// First argument.
    pub arg: u64,
}

/// What anyone may read about a process. Written by the owner, but for what says otherwise.
pub struct Public {
    /// 0: the slot is free.
    pub pid: AtomicU32,
    /// Index of the CPU it runs on.
    pub cpu: AtomicU32,
    /// An `ant_abi::syscall::ProcessState`.
    pub state: AtomicU32,
    /// Pages it has, tables and what others have lent it included.
    pub pages: AtomicU32,
    /// Linux system calls it has made.
    pub calls: AtomicU64,
    /// Its LCA (`StoreEntry` of kind call), 0 for none. Written by the m-kernel.
    pub lca: AtomicU64,
    /// Its own priority.
    pub priority: AtomicU32,
    /// An `ant_abi::syscall::ProcessKind`. Written by the m-kernel.
    pub kind: AtomicU32,
    name: [AtomicU64; NAME_LEN / 8],
}

impl Public {
    const fn new() -> Self {
        Self {
            pid: AtomicU32::new(0),
            cpu: AtomicU32::new(0),
            state: AtomicU32::new(0),
            pages: AtomicU32::new(0),
            calls: AtomicU64::new(0),
            lca: AtomicU64::new(0),
            priority: AtomicU32::new(0),
            kind: AtomicU32::new(0),
            name: [const { AtomicU64::new(0) }; NAME_LEN / 8],
        }
    }

    /// Its id; `None` if the slot is free.
    pub fn pid(&self) -> Option<Pid> {
        Pid::new(self.pid.load(Ordering::Acquire))
    }

    /// The CPU that it runs on, or is to.
    pub fn home(&self) -> CpuIndex {
        CpuIndex::from_bits(self.cpu.load(Ordering::Relaxed).into())
    }

    /// Whether this is what it does.
    pub fn is_in(&self, state: ProcessState) -> bool {
        self.state.load(Ordering::Relaxed) == u32::from(state)
    }

    /// Whether this is what it is.
    pub fn is_a(&self, kind: ProcessKind) -> bool {
        self.kind.load(Ordering::Relaxed) == u32::from(kind)
    }

    /// Sets the name: the last part of `path`, cut to what fits.
    pub fn set_name(&self, path: &[u8]) {
        let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let mut name = [0; NAME_LEN];
        let len = base.len().min(NAME_LEN);
        name[..len].copy_from_slice(&base[..len]);
        let (words, _) = name.as_chunks::<8>();
        for (target, word) in self.name.iter().zip(words) {
            target.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
    }

    /// Adds to what the process has, or takes away.
    pub fn add_pages(&self, pages: i64) {
        self.pages.fetch_add(pages as u32, Ordering::Relaxed);
    }

    /// The line for `ps`, or nothing for a free slot.
    pub fn info(&self) -> Option<ProcessInfo> {
        let pid = self.pid.load(Ordering::Acquire);
        if pid == 0 {
            return None;
        }
        let mut name = [0; NAME_LEN];
        for (bytes, word) in name.as_chunks_mut::<8>().0.iter_mut().zip(&self.name) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        Some(ProcessInfo {
            pid,
            cpu: self.cpu.load(Ordering::Relaxed),
            state: self.state.load(Ordering::Relaxed),
            pages: self.pages.load(Ordering::Relaxed),
            priority: self.priority.load(Ordering::Relaxed),
            kind: self.kind.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            name,
        })
    }
}

struct Entry {
    public: Public,
    process: UnsafeCell<Option<Process>>,
}

// SAFETY: `process` is only reached through the entry's one `Owned`.
unsafe impl Sync for Entry {}

impl Entry {
    fn is_free(&self) -> bool {
        self.public.pid.load(Ordering::Relaxed) == 0
    }
}

static TABLE: [Entry; MAX_PROCESSES] =
    [const { Entry { public: Public::new(), process: UnsafeCell::new(None) } }; MAX_PROCESSES];

/// The one right to touch a process.
pub struct Owned {
    slot: ThreadSlot,
    entry: &'static Entry,
}

impl Owned {
    /// Puts a process into a free slot; `home` is the CPU that it is to run on. The m-kernel only: it
    /// alone fills and frees slots.
    pub fn create(slot: ThreadSlot, process: Process, kind: ProcessKind, home: CpuIndex) -> Self {
        let entry = &TABLE[slot.index()];
        assert_eq!(entry.public.pid.load(Ordering::Relaxed), 0, "slot {slot} is taken");
        let pid = process.pid;
        let lca = process.lca.as_ref().map_or(0, |lca| lca.entry().0);
        let priority = process.base.into();
        // SAFETY: a free slot has no `Owned`, and this makes the slot taken.
        unsafe { *entry.process.get() = Some(process) };
        let public = &entry.public;
        public.cpu.store(home.into(), Ordering::Relaxed);
        public.calls.store(0, Ordering::Relaxed);
        public.lca.store(lca, Ordering::Relaxed);
        public.priority.store(priority, Ordering::Relaxed);
        public.kind.store(kind.into(), Ordering::Relaxed);
        public.state.store(ProcessState::Created.into(), Ordering::Relaxed);
        public.pid.store(pid.get(), Ordering::Release);
        Self { slot, entry }
    }

    /// Takes the process out of its slot, which is free then. The m-kernel only.
    pub fn remove(self) -> Process {
        // SAFETY: `self` is the one owner.
        let process = unsafe { (*self.entry.process.get()).take() };
        self.entry.public.pid.store(0, Ordering::Release);
        process.expect("an owned slot holds a process")
    }

    /// The owner of a slot, at the end of a message.
    ///
    /// # Safety
    /// The `Owned` of this slot was given up to the message.
    pub unsafe fn from_slot(slot: ThreadSlot) -> Self {
        Self { slot, entry: &TABLE[slot.index()] }
    }

    /// Its slot.
    pub fn slot(&self) -> ThreadSlot {
        self.slot
    }

    /// What anyone may read about it.
    pub fn public(&self) -> &'static Public {
        &self.entry.public
    }

    /// Index of the CPU that it runs on, or is to.
    pub fn home(&self) -> CpuIndex {
        self.public().home()
    }

    /// Says which CPU it is to run on. What is sent after it finds it there from now on.
    pub fn set_home(&self, home: CpuIndex) {
        self.public().cpu.store(home.into(), Ordering::Relaxed);
    }

    /// What the address stores carry for its LCA, if it has one.
    pub fn lca_entry(&self) -> Option<StoreEntry> {
        self.lca.as_ref().map(LcaPage::entry)
    }

    /// Publishes what it does.
    #[inline]
    pub fn set_state(&self, state: ProcessState) {
        self.public().state.store(state.into(), Ordering::Relaxed);
    }
}

impl Process {
    /// Whether it has ended and everyone outside AnT's memory manager has let go of it.
    pub fn is_reapable(&self) -> bool {
        self.exit.is_some() && self.ipc_released && self.linux_released && self.m_call.is_none()
    }
}

impl Deref for Owned {
    type Target = Process;

    #[inline]
    fn deref(&self) -> &Process {
        // SAFETY: the one owner; the slot is filled as long as an owner exists.
        unsafe { (*self.entry.process.get()).as_ref().unwrap_unchecked() }
    }
}

impl DerefMut for Owned {
    #[inline]
    fn deref_mut(&mut self) -> &mut Process {
        // SAFETY: as in `deref`.
        unsafe { (*self.entry.process.get()).as_mut().unwrap_unchecked() }
    }
}

/// How many processes run, or will run, on a CPU.
pub fn count_on(cpu: CpuIndex) -> usize {
    let lives_there = |public: &&Public| public.pid().is_some() && public.home() == cpu;
    TABLE.iter().map(|entry| &entry.public).filter(lives_there).count()
}

/// The process with the lowest id from `pid` on.
pub fn next_from(pid: u32) -> Option<ProcessInfo> {
    let infos = TABLE.iter().filter_map(|entry| entry.public.info());
    infos.filter(|info| info.pid >= pid).min_by_key(|info| info.pid)
}

/// Id of the process in a slot.
pub fn pid_in(slot: ThreadSlot) -> Option<Pid> {
    TABLE[slot.index()].public.pid()
}

/// The CPU that has the process with an id, or is about to.
pub fn home_of(pid: Pid) -> Option<CpuIndex> {
    Some(find_pid(pid)?.1.home())
}

/// A slot without a process.
pub fn free_slot() -> Option<ThreadSlot> {
    ThreadSlot::all().find(|slot| TABLE[slot.index()].is_free())
}

/// How many processes there is room for.
pub fn free_slots() -> usize {
    TABLE.iter().filter(|entry| entry.is_free()).count()
}

/// ThreadSlot of the process with an id, and what anyone may read about it.
pub fn find_pid(pid: Pid) -> Option<(ThreadSlot, &'static Public)> {
    let mut processes = ThreadSlot::all().map(|slot| (slot, &TABLE[slot.index()].public));
    processes.find(|(_, public)| public.pid() == Some(pid))
}

/// What anyone may read about the process of which `is_it` holds.
pub fn find(is_it: impl Fn(&Public) -> bool) -> Option<&'static Public> {
    let mut processes = TABLE.iter().map(|entry| &entry.public);
    processes.find(|public| public.pid().is_some() && is_it(public))
}
