//! The processes of one CPU: which there are, which runs, and the deadlines of those that wait. Only
//! that CPU has them.

use core::sync::atomic::Ordering;

use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, MAX_PROCESSES, Pid, ThreadSlot, store};
use ant_logic::deadlines::Deadlines;
use ant_logic::sched::RunQueue;
use arrayvec::ArrayVec;

use crate::mailbox;
use crate::process::{BlockReason, Owned};
use crate::shared::{self, Control};
use ant_arch::apic::Timer;
use ant_arch::percpu::OwnArea;
use ant_arch::{clock, paging};

/// Time slice when more than one process of a priority wants the CPU, in microseconds.
const SLICE_US: u64 = 10_000;
/// Time until zombies are offered to the m-kernel again, in microseconds.
const REAP_RETRY_US: u64 = 1_000;

/// The processes of one CPU.
pub struct Locals {
    index: CpuIndex,
    pub(crate) control: Control,
    area: OwnArea,
    /// The processes that are this CPU's, by slot.
    mine: [Option<Owned>; MAX_PROCESSES],
    /// Slots of `mine` that are filled, in no order.
    occupied: ArrayVec<ThreadSlot, MAX_PROCESSES>,
    pub(crate) queue: RunQueue,
    pub(crate) deadlines: Deadlines,
    timer: Timer,
    /// What the timer was last asked for.
    deadline: Option<u64>,
    /// Until then the CPU takes no messages, and is not rung for them.
    messages_deferred_until: Option<u64>,
    /// The process that has its page tables loaded; `None`: the kernel's are.
    loaded: Option<ThreadSlot>,
    /// Zombies that can be reaped.
    pub(crate) zombies: ArrayVec<ThreadSlot, MAX_PROCESSES>,
    /// Processes that are to migrate as soon as they can.
    pub(crate) migrating: ArrayVec<ThreadSlot, MAX_PROCESSES>,
}

impl Locals {
    /// A CPU without processes; its kernel runs.
    pub fn new(index: CpuIndex, timer: Timer) -> Self {
        let control = shared::control(index);
        control.kernel_entries().store(1, Ordering::Relaxed);
        Self {
            index,
            control,
            area: OwnArea::of_this_cpu(),
            mine: [const { None }; MAX_PROCESSES],
            occupied: ArrayVec::new(),
            queue: RunQueue::new(clock::cycles(SLICE_US)),
            deadlines: Deadlines::new(),
            timer,
            deadline: None,
            messages_deferred_until: None,
            loaded: None,
            zombies: ArrayVec::new(),
            migrating: ArrayVec::new(),
        }
    }

    /// Index of the CPU within the partition.
    pub fn index(&self) -> CpuIndex {
        self.index
    }

    /// A process of this CPU.
    #[inline]
    pub fn process(&mut self, slot: ThreadSlot) -> Option<&mut Owned> {
        self.mine[slot.index()].as_mut()
    }

    /// A process of this CPU that has no deadline, and the run queue.
    #[inline]
    pub(crate) fn one_without_deadline(
        &mut self,
        slot: ThreadSlot,
    ) -> Option<(&mut Owned, &mut RunQueue)> {
        let process = self.mine[slot.index()].as_mut()?;
        (!self.deadlines.has(slot)).then_some((process, &mut self.queue))
    }

    /// Two processes of this CPU, the second without a deadline, and the run queue.
    #[inline]
    pub(crate) fn two_without_deadline(
        &mut self,
        a: ThreadSlot,
        b: ThreadSlot,
    ) -> Option<([&mut Owned; 2], &mut RunQueue)> {
        let pair = self.mine.get_disjoint_mut([a.index(), b.index()]).ok()?;
        let [first, second] = pair;
        let pair = [first.as_mut()?, second.as_mut()?];
        (!self.deadlines.has(b)).then_some((pair, &mut self.queue))
    }

    /// A process of this CPU that makes a system call.
    pub fn caller(&mut self, slot: ThreadSlot) -> Result<&mut Owned, Error> {
        self.process(slot).ok_or(Error::NoProcess)
    }

    /// The process of this CPU that a return entry is for.
    pub fn find_lca(&self, entry: store::StoreEntry) -> Option<ThreadSlot> {
        let call = Some(entry.with_kind(store::KIND_CALL));
        self.find(|process| process.lca_entry() == call)
    }

    /// The process of this CPU with this id.
    pub fn find_pid(&self, pid: Pid) -> Option<ThreadSlot> {
        self.find(|process| process.pid == pid)
    }

    fn find(&self, is_it: impl Fn(&Owned) -> bool) -> Option<ThreadSlot> {
        let slots = self.occupied.iter().copied();
        { slots }.find(|&slot| self.mine[slot.index()].as_ref().is_some_and(&is_it))
    }

    /// Makes a process this CPU's.
    pub(crate) fn insert(&mut self, process: Owned) {
        let slot = process.slot();
        if process.blocked_on != BlockReason::NotStarted {
            // One that was not started counts where it will run.
            process.set_home(self.index);
        }
        if process.blocked_on == BlockReason::Runnable {
            process.set_state(ProcessState::Ready);
            self.queue.add(slot, process.priority);
        }
        self.mine[slot.index()] = Some(process);
        self.occupied.push(slot);
        self.publish_count();
    }

    /// Gives a process up; its page tables are no longer loaded here.
    pub(crate) fn remove(&mut self, slot: ThreadSlot) -> Owned {
        self.queue.remove(slot);
        self.deadlines.clear(slot);
        if self.loaded == Some(slot) {
            paging::load_kernel();
            self.loaded = None;
        }
        let process = self.mine[slot.index()].take();
        self.occupied.retain(|occupied| *occupied != slot);
        self.migrating.retain(|mover| *mover != slot);
        self.publish_count();
        process.expect("only a process of this CPU is given up")
    }

    /// A process is to migrate.
    pub(crate) fn note_migrating(&mut self, slot: ThreadSlot) {
        if !self.migrating.contains(&slot) {
            self.migrating.push(slot);
        }
    }

    fn publish_count(&self) {
        let count = self.occupied.len() as u32;
        self.control.processes().store(count, Ordering::Relaxed);
    }

    /// Takes a process off the run queue.
    pub fn block(&mut self, slot: ThreadSlot, blocked_on: BlockReason, state: ProcessState) {
        self.queue.remove(slot);
        if let Some(process) = self.process(slot) {
            process.blocked_on = blocked_on;
            process.set_state(state);
        }
    }

    /// Limits the time that a process waits, in microseconds from now.
    pub fn limit(&mut self, slot: ThreadSlot, us: u64) {
        if us == ant_abi::ipc::FOREVER {
            return;
        }
        let when = clock::now().saturating_add(clock::cycles(us));
        self.deadlines.set(slot, when);
    }

    /// Puts a process back on the run queue.
    pub fn wake(&mut self, slot: ThreadSlot) {
        let Some(process) = self.process(slot) else { return };
        process.blocked_on = BlockReason::Runnable;
        process.set_state(ProcessState::Ready);
        let priority = process.priority;
        self.deadlines.clear(slot);
        if self.queue.current().is_none() {
            // A client has just called and waits, say: its server goes on at once.
            self.queue.switch_to(slot, priority);
        } else {
            self.queue.add(slot, priority);
        }
    }

    /// Wakes a process with the result of its system call.
    pub fn wake_with(&mut self, slot: ThreadSlot, result: i64) {
        if let Some(process) = self.process(slot) {
            process.context.set_result(result);
        }
        self.wake(slot);
    }

    /// Has a process reaped if its last release has come.
    pub(crate) fn note_if_reapable(&mut self, slot: ThreadSlot) {
        let is_reapable = self.process(slot).is_some_and(|process| process.is_reapable());
        if is_reapable && !self.zombies.contains(&slot) {
            self.zombies.push(slot);
        }
    }

    /// Whether the page tables of a process are loaded on this CPU.
    pub fn is_loaded(&self, slot: ThreadSlot) -> bool {
        self.loaded == Some(slot)
    }

    /// Lets a process run until its next trap, and says which.
    #[inline]
    pub(crate) fn run(&mut self, slot: ThreadSlot) -> u64 {
        let process = self.mine[slot.index()].as_mut().expect("the queue holds own processes");
        if self.loaded != Some(slot) {
            process.space.load();
            self.loaded = Some(slot);
            shared::count(self.control.switches());
        }
        process.set_state(ProcessState::Running);
        self.control.running_pid().store(process.pid.get(), Ordering::Relaxed);
        shared::count(self.control.kernel_entries());
        process.context.run(&mut self.area);
        shared::count(self.control.kernel_entries());
        process.context.vector
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
