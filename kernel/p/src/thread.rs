//! Threads: what is scheduled.
//!
//! A thread belongs to one CPU at a time, which alone touches it. It runs in the address space of its
//! process; [`Thread::space`] names the page tables, so that switching to a thread does not touch
//! the process. Its calls of IPC and of Linux are its own.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::ipc::Span;
use ant_abi::store::StoreEntry;
use ant_abi::syscall::{ProcessState, Sysnum};
use ant_abi::{CpuIndex, EndpointId, Pid, Priority, ProcessSlot, ThreadSlot, Tid};
use ant_arch::context::Context;
use ant_arch::paging::SpaceRoot;
use ant_logic::id_index::{self, IdIndex};
use ant_logic::releases::{Release, Releases};

use crate::linux::channel::Channels;
use crate::owned::{Entry, Object, Owned};
use crate::shared;
use crate::table::Table;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// Nothing: it is in the run queue.
    Runnable,
    /// Not started, or its process is being loaded.
    NotStarted,
    /// A message.
    Receive,
    /// The reply to its call.
    Reply,
    /// The reply to its m-call.
    MReply,
    /// The end of its sleep.
    Time,
    /// The return of its call from Linux.
    Return,
    /// The release of its LCA, to send the call that it has already asked for.
    Release,
    /// Its end.
    Exit,
}

/// A thread.
pub struct Thread {
    /// Registers. First, because traps write here.
    pub context: Context,
    /// Thread id, never used twice.
    pub tid: Tid,
    /// Its process.
    pub process: ProcessSlot,
    /// Id of its process.
    pub pid: Pid,
    /// Page tables of its process.
    pub space: SpaceRoot,
    /// What it waits for.
    pub blocked_on: BlockReason,
    /// It has a deadline ([`crate::Locals::limit`]).
    pub(crate) has_deadline: bool,
    /// CPU that it shall migrate to as soon as it can.
    pub migrate_to: Option<CpuIndex>,
    /// Its own priority.
    pub base: Priority,
    /// The priority it runs with: its own, that of what it has received, or that of a caller that waits
    /// for it.
    pub priority: Priority,
    /// Where it receives.
    pub endpoint: Option<EndpointId>,
    /// That endpoint is its own and ends with it.
    pub owns_endpoint: bool,
    /// Its call of IPC that is under way.
    pub calling: Calling,
    /// Its m-call that is under way.
    pub m_call: Option<MCall>,
    /// Its channels to Linux.
    pub linux: Channels,
    /// Since its end: what is outstanding before it can be reaped.
    pub releases: Option<Releases>,
}

/// A call of IPC that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calling {
    /// Number of the handle.
    pub handle: u64,
    /// Pages of the caller that went along.
    pub span: Span,
}

/// An m-call that is under way.
#[derive(Clone, Copy, Debug)]
pub struct MCall {
    /// Number of the system call.
    pub number: Sysnum,
    /// First argument.
    pub arg: u64,
}

impl Thread {
    /// A thread that was not started, of a process with these page tables.
    pub fn new(
        tid: Tid,
        (process, pid): (ProcessSlot, Pid),
        space: SpaceRoot,
        priority: Priority,
        linux: Channels,
    ) -> Self {
        Self {
            context: Context::default(),
            tid,
            process,
            pid,
            space,
            blocked_on: BlockReason::NotStarted,
            has_deadline: false,
            migrate_to: None,
            base: priority,
            priority,
            endpoint: None,
            owns_endpoint: false,
            calling: Calling::default(),
            m_call: None,
            linux,
            releases: None,
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.releases.is_some()
    }

    /// Whether it has ended and nothing is outstanding.
    pub fn is_reapable(&self) -> bool {
        self.releases.is_some_and(Releases::is_empty)
    }

    /// A release has come. Before its end that says nothing.
    pub fn complete(&mut self, release: Release) {
        if let Some(releases) = &mut self.releases {
            releases.complete(release);
        }
    }
}

/// What every CPU may read about a thread. Written by the owner, but for what says otherwise.
pub struct PublicThread {
    /// 0: the slot is free. Written by the m-kernel.
    tid: AtomicU32,
    /// Slot of its process. Written by the m-kernel before `tid`.
    process: AtomicU32,
    /// Index of the CPU it runs on.
    cpu: AtomicU32,
    /// A `ProcessState`.
    state: AtomicU32,
    /// Its own priority.
    priority: AtomicU32,
    /// Linux system calls it has made.
    pub calls: AtomicU64,
    /// Its first LCA (`StoreEntry` of kind call), 0 for none. Written by the m-kernel.
    lca: AtomicU64,
}

impl PublicThread {
    const fn new() -> Self {
        Self {
            tid: AtomicU32::new(0),
            process: AtomicU32::new(0),
            cpu: AtomicU32::new(0),
            state: AtomicU32::new(0),
            priority: AtomicU32::new(0),
            calls: AtomicU64::new(0),
            lca: AtomicU64::new(0),
        }
    }

    /// Its id; `None` if the slot is free.
    pub fn tid(&self) -> Option<Tid> {
        Tid::new(self.tid.load(Ordering::Acquire))
    }

    /// Its process.
    pub fn process(&self) -> ProcessSlot {
        ProcessSlot::from_bits(self.process.load(Ordering::Relaxed).into())
    }

    /// The CPU that it runs on, or is to.
    pub fn cpu(&self) -> CpuIndex {
        CpuIndex::from_bits(self.cpu.load(Ordering::Relaxed).into())
    }

    /// Whether this is what it does.
    pub fn is_in(&self, state: ProcessState) -> bool {
        self.state() == u32::from(state)
    }

    /// Publishes what it does. Its owner only.
    #[inline]
    pub(crate) fn set_state(&self, state: ProcessState) {
        self.state.store(state.into(), Ordering::Relaxed);
    }

    /// What it does, a `ProcessState`.
    pub fn state(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }

    /// Its own priority.
    pub fn priority(&self) -> u32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Its first LCA, if it has one.
    pub fn lca(&self) -> Option<StoreEntry> {
        let entry = self.lca.load(Ordering::Relaxed);
        (entry != 0).then_some(StoreEntry(entry))
    }
}

static TABLE: Table<Entry<Thread>> = Table::empty();
/// Memory of [`ids`].
static ID_BUCKETS: Table<AtomicU32> = Table::empty();

/// Makes the table of threads, and the index of their ids, in memory of the m-kernel's.
pub fn make_table(alloc: &mut impl FnMut(usize) -> *mut u8) {
    let count = shared::tables().threads as usize;
    let buckets = id_index::buckets(count);
    let entry = |index: usize| Entry::new(ThreadSlot::from_bits(index as u64), PublicThread::new());
    let memory = alloc(Table::<Entry<Thread>>::bytes(count));
    // SAFETY: here and below: fresh memory of the m-kernel's, given away for ever.
    unsafe { TABLE.place(memory, count, entry) };
    let memory = alloc(Table::<AtomicU32>::bytes(buckets));
    // SAFETY: as above.
    unsafe { ID_BUCKETS.place(memory, buckets, |_| AtomicU32::new(0)) };
}

/// Where the thread with an id is. Written by the m-kernel.
fn ids() -> IdIndex<'static> {
    IdIndex::new(ID_BUCKETS.all())
}

impl Object for Thread {
    type Slot = ThreadSlot;
    type Public = PublicThread;

    #[inline]
    fn entry(slot: ThreadSlot) -> &'static Entry<Self> {
        TABLE.get(slot.index()).expect("a slot of the table")
    }
}

impl Owned<Thread> {
    /// Puts a thread into a free slot; `cpu` is the one that it is to run on. The m-kernel only.
    pub fn begin(slot: ThreadSlot, thread: Thread, cpu: CpuIndex) -> Self {
        let tid = thread.tid;
        let lca = thread.linux.first_entry().map_or(0, |entry| entry.0);
        let (process, priority) = (thread.process.bits() as u32, thread.base);
        let owned = Self::create(slot, thread);
        let public = owned.public();
        public.process.store(process, Ordering::Relaxed);
        public.cpu.store(cpu.into(), Ordering::Relaxed);
        public.state.store(ProcessState::Created.into(), Ordering::Relaxed);
        public.priority.store(priority.into(), Ordering::Relaxed);
        public.calls.store(0, Ordering::Relaxed);
        public.lca.store(lca, Ordering::Relaxed);
        public.tid.store(tid.get(), Ordering::Release);
        owned
    }

    /// Takes the thread out of its slot, which is free then. The m-kernel only.
    pub fn remove(self) -> Thread {
        let public = self.public();
        let thread = self.take();
        ids().free(thread.tid.get());
        public.tid.store(0, Ordering::Release);
        thread
    }

    /// Says which CPU it is to run on. What is sent after it finds it there from now on.
    pub fn set_cpu(&self, cpu: CpuIndex) {
        self.public().cpu.store(cpu.into(), Ordering::Relaxed);
    }

    /// Publishes what it does.
    #[inline]
    pub fn set_state(&self, state: ProcessState) {
        self.public().set_state(state);
    }

    /// Gives it another priority of its own.
    pub fn set_base(&mut self, priority: Priority) {
        self.base = priority;
        self.public().priority.store(priority.into(), Ordering::Relaxed);
    }
}

/// A slot without a thread.
pub fn free_slot() -> Option<ThreadSlot> {
    TABLE.all().iter().find(|entry| entry.public.tid().is_none()).map(Entry::slot)
}

/// The next id after `last`, for a thread in `slot`. The m-kernel only.
pub fn allocate_id(last: Option<Tid>, slot: ThreadSlot) -> Tid {
    let id = ids().allocate(last.map_or(0, Tid::get), slot.index());
    Tid::new(id).expect("0 is no id")
}

/// What every CPU may read about the thread in a slot.
pub fn public(slot: ThreadSlot) -> &'static PublicThread {
    &Thread::entry(slot).public
}

/// Slot of the thread with an id, and what every CPU may read about it.
pub fn find(tid: Tid) -> Option<(ThreadSlot, &'static PublicThread)> {
    let slot = ThreadSlot::new(ids().slot(tid.get())?)?;
    let public = public(slot);
    (public.tid() == Some(tid)).then_some((slot, public))
}

/// Slot of the thread with an LCA, as far as the LCA's generation says: the low bits of its thread's id.
#[inline]
pub fn with_lca(entry: StoreEntry) -> Option<ThreadSlot> {
    ThreadSlot::new(ids().slot(entry.generation().into())?)
}
