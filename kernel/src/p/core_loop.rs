//! One core: its processes, its run queue, and the loop from one event to the next.

use core::sync::atomic::Ordering;

use ant_abi::lca::{END_FAULTED, END_KILLED};
use ant_abi::syscall::{INJECT_BAD_RADDR, INJECT_HANG, STATE_READY, STATE_RUNNING};
use ant_abi::{MAX_PROCESSES, store};
use ant_core::sched::RunQueue;
use arrayvec::ArrayVec;

use super::mailbox::{self, Message};
use super::process::{Ending, Owned, Waiting};
use super::syscalls;
use crate::arch::apic::{self, Timer};
use crate::arch::context::VECTOR_SYSCALL;
use crate::arch::{clock, cpu, paging, trap};
use crate::{linux, log, shared};

/// Time slice when more than one process wants the core, in microseconds.
const SLICE_US: u64 = 10_000;

/// What differs between m-kernel and p-kernel.
pub trait Role: Sized {
    /// Takes what other cores report.
    fn reports(&mut self, core: &mut Core);
    /// Serves a system call that not every core has; `None`: there is no such call.
    fn syscall(&mut self, core: &mut Core, slot: u8, number: u64, args: [u64; 3]) -> Option<i64>;
    /// Linux has let go of an LCA whose process is not this core's.
    fn released_elsewhere(&mut self, lca: store::StoreEntry);
    /// A call that the loader of process `slot` made has returned.
    fn loading_returned(&mut self, core: &mut Core, slot: u8);
    /// Takes the memory of a process back that is over and of which Linux has let go.
    fn reap(&mut self, core: &mut Core, process: Owned);
}

/// The state of one core. Only that core has it.
pub struct Core {
    index: usize,
    /// The processes that are this core's, by slot.
    mine: [Option<Owned>; MAX_PROCESSES],
    /// Slots of `mine` that are filled, in no order.
    filled: ArrayVec<u8, MAX_PROCESSES>,
    queue: RunQueue,
    timer: Timer,
    /// What the timer was last asked for.
    deadline: Option<u64>,
    /// Whose page tables are loaded.
    loaded: Option<u8>,
}

impl Core {
    /// A core without processes.
    pub fn new(index: usize, timer: Timer) -> Self {
        Self {
            index,
            mine: [const { None }; MAX_PROCESSES],
            filled: ArrayVec::new(),
            queue: RunQueue::new(clock::cycles(SLICE_US)),
            timer,
            deadline: None,
            loaded: None,
        }
    }

    /// Index within the partition.
    pub fn index(&self) -> usize {
        self.index
    }

    /// A process of this core.
    pub fn process(&mut self, slot: u8) -> Option<&mut Owned> {
        self.mine[usize::from(slot)].as_mut()
    }

    /// The process of this core that a return entry is for.
    pub fn find_lca(&self, entry: store::StoreEntry) -> Option<u8> {
        let call = entry.with_kind(store::KIND_CALL);
        self.find(|process| process.lca.entry() == call)
    }

    /// The process of this core with this id.
    pub fn find_pid(&self, pid: u32) -> Option<u8> {
        self.find(|process| process.pid == pid)
    }

    fn find(&self, is_it: impl Fn(&Owned) -> bool) -> Option<u8> {
        let slots = self.filled.iter().copied();
        { slots }.find(|&slot| self.mine[usize::from(slot)].as_ref().is_some_and(&is_it))
    }

    /// Makes a process this core's.
    pub fn adopt(&mut self, process: Owned) {
        let slot = process.slot();
        if process.waiting == Waiting::No {
            process.set_state(STATE_READY);
            self.queue.add(slot);
        }
        self.mine[usize::from(slot)] = Some(process);
        self.filled.push(slot);
        self.publish_count();
    }

    /// Gives a process up; its page tables are no longer loaded here.
    pub fn give_up(&mut self, slot: u8) -> Owned {
        self.queue.remove(slot);
        if self.loaded == Some(slot) {
            paging::load_kernel();
            self.loaded = None;
        }
        let process = self.mine[usize::from(slot)].take();
        self.filled.retain(|filled| *filled != slot);
        self.publish_count();
        process.expect("only a process of this core is given up")
    }

    fn publish_count(&self) {
        let count = self.filled.len() as u32;
        shared::control(self.index).processes().store(count, Ordering::Relaxed);
    }

    /// Takes a process off the run queue.
    pub fn block(&mut self, slot: u8, waiting: Waiting, state: u32) {
        self.queue.remove(slot);
        if let Some(process) = self.process(slot) {
            process.waiting = waiting;
            process.set_state(state);
        }
    }

    /// Puts a process back on the run queue.
    pub fn wake(&mut self, slot: u8) {
        if let Some(process) = self.process(slot) {
            process.waiting = Waiting::No;
            process.set_state(STATE_READY);
            self.queue.add(slot);
        }
    }

    /// Lets the others of this core run first.
    pub fn yield_current(&mut self) {
        self.queue.yield_current();
    }

    /// Works for ever.
    pub fn run(&mut self, role: &mut impl Role) -> ! {
        loop {
            role.reports(self);
            while let Some(message) = mailbox::receive(self.index) {
                self.obey(message, role);
            }
            linux::call::take_returns(self, role);
            match self.queue.pick(clock::now()) {
                Some(slot) => self.run_process(slot, role),
                None => self.idle(),
            }
        }
    }

    /// Does what every core does on a message.
    pub fn obey(&mut self, message: Message, role: &mut impl Role) {
        match message {
            Message::Adopt(process) => self.adopt(process),
            Message::Kill { pid, signal } => {
                if let Some(slot) = self.find_pid(pid) {
                    self.kill(slot, signal);
                }
            }
            Message::Released { pid } => {
                linux::call::released_by_message(self, pid, role);
            }
            Message::Inject(kind) => self.inject(kind),
        }
    }

    /// Ends a process as a signal would.
    pub fn kill(&mut self, slot: u8, signal: u8) {
        let text = format_args!("killed by signal {signal}");
        linux::call::end(self, slot, Ending::new(END_KILLED, u64::from(signal), text));
    }

    fn run_process(&mut self, slot: u8, role: &mut impl Role) {
        let control = shared::control(self.index);
        self.set_timer();
        let before = self.loaded;
        let process = self.mine[usize::from(slot)].as_mut().expect("the queue holds own processes");
        if before != Some(slot) {
            process.space.load();
            self.loaded = Some(slot);
            shared::count(control.switches());
        }
        process.set_state(STATE_RUNNING);
        control.running_pid().store(process.pid, Ordering::Relaxed);
        process.context.run();
        control.running_pid().store(0, Ordering::Relaxed);
        match process.context.vector {
            VECTOR_SYSCALL => syscalls::serve(self, slot, role),
            vector if vector >= 32 => {
                process.set_state(STATE_READY);
                trap::interrupt(vector);
                if vector == u64::from(trap::TIMER_VECTOR) {
                    // It has fired, early or late: whoever still waits needs it set again.
                    self.deadline = None;
                }
            }
            vector => self.fault(slot, vector),
        }
    }

    /// Asks for a timer interrupt only when somebody waits for the core (tickless otherwise).
    fn set_timer(&mut self) {
        let deadline = self.queue.deadline();
        if deadline != self.deadline {
            self.timer.set(deadline);
            self.deadline = deadline;
        }
    }

    fn idle(&mut self) {
        self.set_timer();
        if mailbox::pending(self.index) || !shared::returns(self.index).is_empty() {
            return;
        }
        let control = shared::control(self.index);
        let start = clock::now();
        control.idle_since().store(start, Ordering::Relaxed);
        cpu::wait_for_interrupt();
        control.idle_since().store(0, Ordering::Relaxed);
        let idle = control.idle_cycles();
        let cycles = clock::now().wrapping_sub(start);
        idle.store(idle.load(Ordering::Relaxed).wrapping_add(cycles), Ordering::Relaxed);
    }

    /// Ends a process that has run into an exception.
    fn fault(&mut self, slot: u8, vector: u64) {
        shared::count(shared::control(self.index).faults());
        let cpu = shared::linux_cpu(self.index);
        let Some(process) = self.process(slot) else { return };
        let (rip, name) = (process.context.rip, trap::name(vector));
        let end = |args| Ending::new(END_FAULTED, u64::from(linux::signal_of(vector)), args);
        let ending = if vector == trap::PAGE_FAULT {
            let access = trap::access_name(process.context.error);
            let address = trap::fault_address();
            end(format_args!("{name} ({access} {address:#x}) at {rip:#x} on CPU {cpu}"))
        } else {
            end(format_args!("{name} at {rip:#x} on CPU {cpu}"))
        };
        log::warning!("process {}: {}", process.pid, ending.text);
        linux::call::end(self, slot, ending);
    }

    fn inject(&mut self, kind: u32) {
        let cpu = shared::linux_cpu(self.index);
        log::warning!("failing on purpose on CPU {cpu}");
        match kind {
            INJECT_HANG => cpu::hang(),
            INJECT_BAD_RADDR => {
                // Linux's own first page, and an address that is not a page of anyone.
                for raddr in [0, store::ENTRY_ADDRESS_MASK] {
                    let _ = shared::requests(self.index).push(raddr);
                }
                apic::ring_linux(self.index);
            }
            _ => panic!("asked for"),
        }
    }
}
