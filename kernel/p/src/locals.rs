//! The threads and processes of one CPU: which there are, which thread runs, and the deadlines of those
//! that wait. Only that CPU has them.

use core::sync::atomic::Ordering;

use ant_abi::store::{EntryKind, StoreEntry};
use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, Pid, ProcessSlot, ThreadSlot, Tid};
use ant_logic::deadlines::Deadlines;
use ant_logic::releases::Release;
use ant_logic::sched::RunQueue;
use ant_logic::slot_list::SlotList;

use crate::cpu_tables::LocalTables;
use crate::linux::call::ChannelOf;
use crate::mailbox;
use crate::owned::Owned;
use crate::process::{Process, WithThread};
use crate::shared::{self, Control};
use crate::thread::{self, BlockReason, Thread};
use ant_arch::apic::Timer;
use ant_arch::clock;
use ant_arch::paging::SpaceRoot;
use ant_arch::percpu::OwnArea;

/// Time slice when more than one process of a priority wants the CPU, in microseconds.
const SLICE_US: u64 = 10_000;
/// Time until zombies are offered to the m-kernel again, in microseconds.
const REAP_RETRY_US: u64 = 1_000;

/// A thread and its process.
pub struct Caller<'a> {
    /// The thread.
    pub thread: &'a mut Owned<Thread>,
    /// Its process.
    pub process: &'a mut Owned<Process>,
}

/// The threads and processes of one CPU.
pub struct Locals {
    index: CpuIndex,
    pub(crate) control: Control,
    area: OwnArea,
    /// The threads that are this CPU's.
    threads: &'static mut [Option<Owned<Thread>>],
    /// The processes this CPU owns.
    processes: &'static mut [Option<Owned<Process>>],
    /// How many processes there are.
    process_count: u32,
    pub(crate) queue: RunQueue,
    deadlines: Deadlines,
    timer: Timer,
    /// What the timer was last asked for.
    deadline: Option<u64>,
    /// Until then the CPU takes no messages, and is not rung for them.
    messages_deferred_until: Option<u64>,
    /// The page tables that are loaded: a process's or the kernel's.
    loaded: SpaceRoot,
    /// Threads that have ended and can be reaped.
    pub(crate) zombies: SlotList,
    /// Threads that are to migrate as soon as they can.
    pub(crate) migrating: SlotList,
}

impl Locals {
    /// A CPU without threads; its kernel runs. The tables are the CPU's but for those of IPC.
    pub fn new(index: CpuIndex, timer: Timer, tables: LocalTables) -> Self {
        let control = shared::control(index);
        control.kernel_entries().store(1, Ordering::Relaxed);
        Self {
            index,
            control,
            area: OwnArea::of_this_cpu(),
            threads: tables.threads,
            processes: tables.processes,
            process_count: 0,
            queue: RunQueue::new(clock::cycles(SLICE_US), tables.run),
            deadlines: Deadlines::new(tables.deadlines),
            timer,
            deadline: None,
            messages_deferred_until: None,
            loaded: SpaceRoot::kernel(),
            zombies: SlotList::new(tables.zombies),
            migrating: SlotList::new(tables.migrating),
        }
    }

    /// Index of the CPU within the partition.
    pub fn index(&self) -> CpuIndex {
        self.index
    }

    /// A thread of this CPU.
    #[inline]
    pub fn thread(&mut self, slot: ThreadSlot) -> Option<&mut Owned<Thread>> {
        self.threads.get_mut(slot.index())?.as_mut()
    }

    /// A process this CPU owns.
    #[inline]
    pub fn process(&mut self, slot: ProcessSlot) -> Option<&mut Owned<Process>> {
        self.processes.get_mut(slot.index())?.as_mut()
    }

    /// A thread of this CPU and its process.
    pub fn caller(&mut self, slot: ThreadSlot) -> Result<Caller<'_>, Error> {
        let Self { threads, processes, .. } = self;
        let thread = threads.get_mut(slot.index()).and_then(Option::as_mut);
        let thread = thread.ok_or(Error::NoProcess)?;
        let process = processes.get_mut(thread.process.index()).and_then(Option::as_mut);
        Ok(Caller { thread, process: process.ok_or(Error::NoProcess)? })
    }

    /// Takes a thread of this CPU from its place, so that it runs and is at hand. Until
    /// [`Locals::put`] nothing else finds it.
    #[inline]
    pub(crate) fn take(&mut self, slot: ThreadSlot) -> Option<Owned<Thread>> {
        self.threads.get_mut(slot.index())?.take()
    }

    /// Puts a thread of this CPU into its place.
    #[inline]
    pub(crate) fn put(&mut self, thread: Owned<Thread>) {
        let slot = thread.slot().index();
        self.threads[slot] = Some(thread);
    }

    /// The place of a thread of this CPU, and the run queue.
    #[inline]
    pub(crate) fn place_and_queue(
        &mut self,
        slot: ThreadSlot,
    ) -> Option<(&mut Option<Owned<Thread>>, &mut RunQueue)> {
        Some((self.threads.get_mut(slot.index())?, &mut self.queue))
    }

    /// The channel, of a thread of this CPU, that an entry of the return store is for.
    pub fn find_lca(&mut self, entry: StoreEntry) -> Option<ChannelOf> {
        let slot = thread::with_lca(entry)?;
        let wanted = entry.with_kind(EntryKind::Call);
        let index = self.thread(slot)?.linux.position(|lca| lca.entry() == wanted)?;
        Some(ChannelOf { slot, index })
    }

    /// The thread of this CPU with this id.
    pub fn find_tid(&mut self, tid: Tid) -> Option<ThreadSlot> {
        let (slot, _) = thread::find(tid)?;
        self.thread(slot).is_some().then_some(slot)
    }

    /// The first thread, which is this CPU's, of the process with this id.
    pub fn find_pid(&mut self, pid: Pid) -> Option<ThreadSlot> {
        self.find_tid(Tid::first_of(pid))
    }

    /// Makes a process and its thread this CPU's.
    pub(crate) fn insert(&mut self, new: WithThread) {
        if new.thread.blocked_on != BlockReason::NotStarted {
            // One that was not started counts where it will run.
            new.set_home(self.index);
        }
        let WithThread { process, thread } = new;
        let slot = thread.slot();
        if thread.blocked_on == BlockReason::Runnable {
            thread.set_state(ProcessState::Ready);
            self.queue.add(slot, thread.priority);
        }
        self.threads[slot.index()] = Some(thread);
        let place = process.slot().index();
        self.processes[place] = Some(process);
        self.count_processes(1);
    }

    /// Gives a thread up, and its process, of which it is the only one; the page tables are no longer
    /// loaded here.
    pub(crate) fn remove(&mut self, slot: ThreadSlot) -> WithThread {
        self.queue.remove(slot);
        self.clear_deadline(slot);
        self.migrating.remove(slot);
        let thread = self.threads[slot.index()].take();
        let thread = thread.expect("only a thread of this CPU is given up");
        if self.loaded == thread.space {
            self.loaded = SpaceRoot::kernel();
            self.loaded.load();
        }
        let process = self.processes[thread.process.index()].take();
        self.count_processes(-1);
        let process = process.expect("a thread's process has its home here");
        WithThread { process, thread }
    }

    fn count_processes(&mut self, more: i32) {
        self.process_count = self.process_count.wrapping_add_signed(more);
        self.control.processes().store(self.process_count, Ordering::Relaxed);
    }

    /// Takes a thread off the run queue.
    pub fn block(&mut self, slot: ThreadSlot, blocked_on: BlockReason, state: ProcessState) {
        self.queue.remove(slot);
        if let Some(thread) = self.thread(slot) {
            thread.blocked_on = blocked_on;
            thread.set_state(state);
        }
    }

    /// Limits the time that a thread waits, in microseconds from now.
    pub fn limit(&mut self, slot: ThreadSlot, us: u64) {
        if us == ant_abi::ipc::FOREVER {
            return;
        }
        let when = clock::now().saturating_add(clock::cycles(us));
        if let Some(thread) = self.thread(slot) {
            thread.has_deadline = true;
            self.deadlines.set(slot, when);
        }
    }

    /// A thread of this CPU has no deadline any more. The one that it had.
    pub(crate) fn clear_deadline(&mut self, slot: ThreadSlot) -> Option<u64> {
        if let Some(thread) = self.thread(slot) {
            thread.has_deadline = false;
        }
        self.deadlines.clear(slot)
    }

    /// A thread that has passed its deadline, which it has no more.
    pub(crate) fn take_due(&mut self) -> Option<ThreadSlot> {
        self.deadlines.next()?;
        let slot = self.deadlines.take_due(clock::now())?;
        if let Some(thread) = self.thread(slot) {
            thread.has_deadline = false;
        }
        Some(slot)
    }

    /// Puts a thread back on the run queue.
    pub fn wake(&mut self, slot: ThreadSlot) {
        let Some(thread) = self.thread(slot) else { return };
        thread.blocked_on = BlockReason::Runnable;
        thread.set_state(ProcessState::Ready);
        let priority = thread.priority;
        self.clear_deadline(slot);
        if self.queue.current().is_none() {
            // A client has just called and waits, say: its server goes on at once.
            self.queue.switch_to(slot, priority);
        } else {
            self.queue.add(slot, priority);
        }
    }

    /// Wakes a thread with the result of its system call.
    pub fn wake_with(&mut self, slot: ThreadSlot, result: i64) {
        if let Some(thread) = self.thread(slot) {
            thread.context.set_result(result);
        }
        self.wake(slot);
    }

    /// A release of a thread of this CPU has come.
    pub(crate) fn complete(&mut self, slot: ThreadSlot, release: Release) {
        if let Some(thread) = self.thread(slot) {
            thread.complete(release);
            self.note_if_reapable(slot);
        }
    }

    /// Has a thread reaped if its last release has come.
    pub(crate) fn note_if_reapable(&mut self, slot: ThreadSlot) {
        let is_reapable = self.thread(slot).is_some_and(|thread| thread.is_reapable());
        if is_reapable {
            self.zombies.insert(slot);
        }
    }

    /// The process of a thread of this CPU, and whether its page tables are loaded here.
    #[inline]
    pub(crate) fn process_and_loaded(
        &mut self,
        slot: ThreadSlot,
    ) -> Result<(&mut Owned<Process>, bool), Error> {
        let loaded = self.loaded;
        let Caller { thread, process } = self.caller(slot)?;
        Ok((process, thread.space == loaded))
    }

    /// Lets a thread run until its next trap.
    #[inline]
    pub(crate) fn run(&mut self, thread: &mut Owned<Thread>) {
        let (thread, public) = thread.parts();
        let space = thread.space;
        if self.loaded != space {
            space.load();
            self.loaded = space;
            shared::count(self.control.switches());
        }
        public.set_state(ProcessState::Running);
        self.control.running_pid().store(thread.pid.get(), Ordering::Relaxed);
        shared::count(self.control.kernel_entries());
        thread.context.run(&mut self.area);
        shared::count(self.control.kernel_entries());
    }

    /// Tells Linux that no process runs.
    #[inline]
    pub(crate) fn runs_no_process(&self) {
        self.control.running_pid().store(0, Ordering::Relaxed);
    }

    /// Leaves the CPU to processes for so many cycles, whatever messages come.
    pub(crate) fn defer_messages(&mut self, cycles: u64) {
        self.messages_deferred_until = Some(clock::now().saturating_add(cycles));
        mailbox::start_polling(self.index);
    }

    /// Whether the CPU takes messages, or does again. The caller looks into the rings then.
    pub(crate) fn messages_are_due(&mut self) -> bool {
        if self.messages_deferred_until.is_some_and(|until| clock::now() < until) {
            return false;
        }
        self.end_deferral();
        true
    }

    /// The CPU takes messages again. The caller looks into the rings.
    #[inline]
    pub(crate) fn end_deferral(&mut self) {
        if self.messages_deferred_until.is_some() {
            self.stop_deferral();
        }
    }

    #[cold]
    fn stop_deferral(&mut self) {
        self.messages_deferred_until = None;
        mailbox::stop_polling(self.index);
    }

    /// Asks for a timer interrupt only if a process waits for the CPU or has a deadline (tickless
    /// otherwise), if messages are deferred, or if a zombie waits for room in the ring to the m-kernel,
    /// which does not say when there is some.
    #[inline]
    pub(crate) fn set_timer(&mut self) {
        let mut deadline = earlier(self.queue.deadline(), self.deadlines.next());
        deadline = earlier(deadline, self.messages_deferred_until);
        if !self.zombies.is_empty() {
            let retry = clock::now().saturating_add(clock::cycles(REAP_RETRY_US));
            deadline = earlier(deadline, Some(retry));
        }
        if deadline != self.deadline {
            self.timer.set(deadline);
            self.deadline = deadline;
        }
    }

    /// The timer has fired, early or late: for a process that still waits it must be set again.
    pub(crate) fn timer_fired(&mut self) {
        self.deadline = None;
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
