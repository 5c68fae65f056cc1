//! Processes: an address space with what it can reach, and the threads that run in it.
//!
//! A process has one home CPU, which alone touches it. What `ps` shows is beside it, as atomics that
//! the owner writes and every CPU may read.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use ant_abi::lca::ExitKind;
use ant_abi::syscall::{NAME_LEN, ProcessInfo, ProcessKind};
use ant_abi::{CpuIndex, PhysAddr, Pid, ProcessSlot, ThreadSlot, Tid};
use ant_arch::paging::AddressSpace;
use arrayvec::{ArrayString, ArrayVec};
use core::sync::atomic::AtomicU64;

use crate::devices::Grants;
use crate::handles::Handles;
use crate::locals::Caller;
use crate::owned::{Entry, Object, Owned};
use crate::shared;
use crate::table::Table;
use crate::thread::{self, Thread};

/// Longest text about the end of a process.
pub const EXIT_TEXT_MAX: usize = 160;
/// Threads that one process can have.
pub const THREADS_PER_PROCESS: usize = 16;

/// Why a process ends.
#[derive(Clone)]
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

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:#x} {}", self.kind, self.number, self.text.as_str())
    }
}

/// A process.
pub struct Process {
    /// Process id, never used twice.
    pub pid: Pid,
    /// Page tables.
    pub space: AddressSpace,
    /// Its threads that have not been reaped.
    pub threads: ArrayVec<ThreadSlot, THREADS_PER_PROCESS>,
    /// Set once it is to end.
    pub exit: Option<ExitReason>,
    /// It may use the calls of `init`.
    pub is_init: bool,
    /// What it can reach.
    pub handles: Handles,
    /// It has had ICA pages.
    pub used_ica: bool,
    /// What stands in the place of pages that it was lent and that were taken back early.
    pub scratch: PhysAddr,
    /// Devices that it was granted.
    pub grants: Grants,
}

impl Process {
    /// A process with this address space and no threads.
    pub fn new(pid: Pid, space: AddressSpace, scratch: PhysAddr) -> Self {
        Self {
            pid,
            space,
            threads: ArrayVec::new(),
            exit: None,
            is_init: false,
            handles: Handles::default(),
            used_ica: false,
            scratch,
            grants: Grants::default(),
        }
    }
}

/// A process with its only thread: as it is made, migrates and is reaped.
pub struct WithThread {
    /// The process.
    pub process: Owned<Process>,
    /// Its thread.
    pub thread: Owned<Thread>,
}

impl WithThread {
    /// Both, to be changed.
    pub fn both(&mut self) -> Caller<'_> {
        Caller { thread: &mut self.thread, process: &mut self.process }
    }

    /// Says which CPU both are to be on.
    pub fn set_home(&self, home: CpuIndex) {
        self.process.set_home(home);
        self.thread.set_cpu(home);
    }
}

/// What every CPU may read about a process. Written by the owner, but for what says otherwise.
pub struct PublicProcess {
    /// 0: the slot is free. Written by the m-kernel.
    pid: AtomicU32,
    /// Index of its home CPU.
    home: AtomicU32,
    /// Pages it has, tables and what others have lent it included.
    pub pages: AtomicU32,
    /// A `ProcessKind`. Written by the m-kernel.
    kind: AtomicU32,
    name: [AtomicU64; NAME_LEN / 8],
}

impl PublicProcess {
    const fn new() -> Self {
        Self {
            pid: AtomicU32::new(0),
            home: AtomicU32::new(0),
            pages: AtomicU32::new(0),
            kind: AtomicU32::new(0),
            name: [const { AtomicU64::new(0) }; NAME_LEN / 8],
        }
    }

    /// Its id; `None` if the slot is free.
    pub fn pid(&self) -> Option<Pid> {
        Pid::new(self.pid.load(Ordering::Acquire))
    }

    /// Its home CPU, or the one that is to be.
    pub fn home(&self) -> CpuIndex {
        CpuIndex::from_bits(self.home.load(Ordering::Relaxed).into())
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
        let pid = self.pid()?;
        let (_, thread) = thread::find(Tid::first_of(pid))?;
        let mut name = [0; NAME_LEN];
        for (bytes, word) in name.as_chunks_mut::<8>().0.iter_mut().zip(&self.name) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        Some(ProcessInfo {
            pid: pid.get(),
            cpu: self.home().into(),
            state: thread.state(),
            pages: self.pages.load(Ordering::Relaxed),
            priority: thread.priority(),
            kind: self.kind.load(Ordering::Relaxed),
            calls: thread.calls.load(Ordering::Relaxed),
            name,
        })
    }
}

static TABLE: Table<Entry<Process>> = Table::empty();

/// Makes the table of processes, in memory of the m-kernel's.
pub fn make_table(alloc: &mut impl FnMut(usize) -> *mut u8) {
    let count = shared::tables().processes as usize;
    let memory = alloc(Table::<Entry<Process>>::bytes(count));
    let entry =
        |index: usize| Entry::new(ProcessSlot::from_bits(index as u64), PublicProcess::new());
    // SAFETY: fresh memory of the m-kernel's, given away for ever.
    unsafe { TABLE.place(memory, count, entry) };
}

impl Object for Process {
    type Slot = ProcessSlot;
    type Public = PublicProcess;

    #[inline]
    fn entry(slot: ProcessSlot) -> &'static Entry<Self> {
        TABLE.get(slot.index()).expect("a slot of the table")
    }
}

impl Owned<Process> {
    /// Puts a process into a free slot; `home` is the CPU that is to be its home. The m-kernel only.
    pub fn begin(slot: ProcessSlot, process: Process, kind: ProcessKind, home: CpuIndex) -> Self {
        let pid = process.pid;
        let owned = Self::create(slot, process);
        let public = owned.public();
        public.home.store(home.into(), Ordering::Relaxed);
        public.kind.store(kind.into(), Ordering::Relaxed);
        public.pid.store(pid.get(), Ordering::Release);
        owned
    }

    /// Takes the process out of its slot, which is free then. The m-kernel only.
    pub fn remove(self) -> Process {
        let public = self.public();
        let process = self.take();
        public.pid.store(0, Ordering::Release);
        process
    }

    /// Says which CPU is to be its home. What is sent after it finds it there from now on.
    pub fn set_home(&self, home: CpuIndex) {
        self.public().home.store(home.into(), Ordering::Relaxed);
    }
}

/// How many processes have a CPU as their home, or will.
pub fn count_on(cpu: CpuIndex) -> usize {
    let lives_there = |public: &&PublicProcess| public.pid().is_some() && public.home() == cpu;
    TABLE.all().iter().map(|entry| &entry.public).filter(lives_there).count()
}

/// The process with the lowest id from `pid` on.
pub fn next_from(pid: u32) -> Option<ProcessInfo> {
    let infos = TABLE.all().iter().filter_map(|entry| entry.public.info());
    infos.filter(|info| info.pid >= pid).min_by_key(|info| info.pid)
}

/// Id of the process in a slot.
pub fn pid_in(slot: ProcessSlot) -> Option<Pid> {
    TABLE.get(slot.index())?.public.pid()
}

/// A slot without a process.
pub fn free_slot() -> Option<ProcessSlot> {
    free().next()
}

/// How many processes there is room for.
pub fn free_slots() -> usize {
    free().count()
}

fn free() -> impl Iterator<Item = ProcessSlot> {
    let is_free = |entry: &&Entry<Process>| entry.public.pid().is_none();
    TABLE.all().iter().filter(is_free).map(Entry::slot)
}

/// Slot of the process with an id, and what every CPU may read about it.
pub fn find(pid: Pid) -> Option<(ProcessSlot, &'static PublicProcess)> {
    // Its first thread, which is reaped with it, has the same number.
    let (_, thread) = thread::find(Tid::first_of(pid))?;
    let slot = thread.process();
    let public = &TABLE.get(slot.index())?.public;
    (public.pid() == Some(pid)).then_some((slot, public))
}
