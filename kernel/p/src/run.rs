//! One CPU: the loop from one event to the next.

use core::sync::atomic::Ordering;

use ant_abi::boot::BOOT_IDLE_POLL;
use ant_abi::ipc::Span;
use ant_abi::lca::{EXIT_FAULTED, EXIT_KILLED};
use ant_abi::syscall::STATE_READY;
use ant_abi::{Error, store};
use ant_logic::devices::Rights;
use ant_logic::ipc::{IpcCpu, Packet};
use ant_logic::rings::address::AddressRing;
use arrayvec::ArrayVec;

use crate::fastpath::{self, Next};
use crate::locals::Locals;
use crate::mailbox::{self, Incoming, Message};
use crate::process::{self, BlockReason, ExitReason, Owned};
use crate::{devices, endpoints, exit, interrupts, linux, log, migrate, shared, syscalls};
use ant_arch::apic::Timer;
use ant_arch::context::VECTOR_SYSCALL;
use ant_arch::{clock, trap};

/// What differs between m-kernel and p-kernel.
pub trait Role: Sized {
    /// Takes a message that only one of the two understands.
    fn message(&mut self, cpu: &mut Cpu, from: usize, message: Message);
    /// Serves a system call that not every CPU can.
    fn syscall(&mut self, cpu: &mut Cpu, slot: u8, number: u64, args: [u64; 3]);
    /// Linux has let go of an LCA whose process is not this CPU's.
    fn released_elsewhere(&mut self, cpu: &mut Cpu, lca: store::StoreEntry);
    /// A call that the loader of process `slot` made has returned.
    fn loading_returned(&mut self, cpu: &mut Cpu, slot: u8);
    /// Takes ICA pages back that the process in `slot` gives back, and has unmapped.
    fn freed(&mut self, slot: u8, pid: u32, span: Span);
    /// Takes the memory of a process back that is over.
    fn reap(&mut self, cpu: &mut Cpu, process: Owned);
}

/// The state of one CPU. Only that CPU has it.
pub struct Cpu {
    /// IPC.
    pub ipc: &'static mut IpcCpu,
    /// Its processes.
    pub local: Locals,
    /// Messages about processes that are about to come, and who sent them.
    parked: ArrayVec<(usize, Message), PARKED_MAX>,
    /// Rings to this CPU.
    pub(crate) incoming: Incoming,
    /// What Linux returns to this CPU.
    pub(crate) returns: &'static AddressRing,
    /// It looks for work by itself when it has none.
    pub(crate) polls: bool,
    /// Something may have come from outside: an interrupt came, or this CPU was idle, and more than
    /// what [`Cpu::await_packet`] has taken can have come.
    pub(crate) poll_needed: bool,
}

/// Messages that can come before the process that they are about.
const PARKED_MAX: usize = 16;

/// How long a CPU takes messages before it lets a process run, if more keep coming, in microseconds.
/// The process has as long until it takes more: whatever others send, it has half of the CPU.
const MESSAGE_BUDGET_US: u64 = 100;

impl Cpu {
    /// A CPU without processes. `station` is its own, and empty.
    pub fn new(index: usize, timer: Timer, ipc: &'static mut IpcCpu) -> Self {
        Self {
            ipc,
            local: Locals::new(index, timer),
            parked: ArrayVec::new(),
            incoming: mailbox::incoming(index),
            returns: shared::returns(index),
            polls: shared::boot().flags & BOOT_IDLE_POLL != 0,
            poll_needed: true,
        }
    }

    /// Index within the partition.
    pub fn index(&self) -> usize {
        self.local.index()
    }

    /// Makes a process this CPU's. Callers may have come before it.
    pub fn adopt(&mut self, mut process: Owned) {
        let (slot, endpoint) = (process.slot(), process.endpoint);
        if let Some(endpoint) = endpoint {
            process.grants.notify_at(endpoint, self.index());
        }
        self.ipc.enter(slot, process.base, endpoint);
        process.priority = self.ipc.priority(slot);
        self.local.insert(process);
        if let Some(endpoint) = endpoint {
            self.ipc.receiver_changed(endpoint, &mut self.local);
        }
    }

    /// Works for ever.
    pub fn run(&mut self, role: &mut impl Role) -> ! {
        loop {
            if self.poll_needed && self.local.messages_are_due() {
                self.poll_needed = false;
                self.poll_inputs(role);
            }
            self.expire();
            self.reap_zombies(role);
            if !self.local.migrating.is_empty() {
                migrate::migrate_pending(self);
            }
            match self.local.queue.pick(clock::now()) {
                Some(slot) => {
                    self.local.set_timer();
                    self.run_process(slot, role);
                }
                None => {
                    self.local.end_deferral();
                    self.idle();
                }
            }
        }
    }

    /// Hands over who is over, as far as the m-kernel takes messages.
    fn reap_zombies(&mut self, role: &mut impl Role) {
        while !self.local.zombies.is_empty() && mailbox::has_room(self.index(), 0) {
            let Some(slot) = self.local.zombies.pop() else { return };
            let process = self.local.remove(slot);
            role.reap(self, process);
        }
    }

    /// Takes what has come from devices, from other CPUs and from Linux.
    fn poll_inputs(&mut self, role: &mut impl Role) {
        let start = clock::now();
        self.take_interrupts();
        let has_all = self.take_messages(role);
        // Some came before the process that they are about, from another CPU than it.
        for (from, message) in core::mem::take(&mut self.parked) {
            self.handle_message(from, message, role);
        }
        linux::call::take_returns(self, role);
        if !has_all {
            self.local.defer_messages(clock::now().saturating_sub(start));
            self.poll_needed = true;
        }
    }

    /// Takes messages, from the other CPUs in turns. Whether it has taken all.
    fn take_messages(&mut self, role: &mut impl Role) -> bool {
        let until = clock::now().saturating_add(clock::cycles(MESSAGE_BUDGET_US));
        while mailbox::waiting(self.incoming).is_some() {
            for (from, ring) in self.incoming.iter().enumerate() {
                if let Some(message) = mailbox::receive(ring) {
                    self.handle_message(from, message, role);
                }
            }
            if clock::now() >= until {
                return mailbox::waiting(self.incoming).is_none();
            }
        }
        true
    }

    /// Does what another CPU asks for.
    pub fn handle_message(&mut self, from: usize, message: Message, role: &mut impl Role) {
        if let Some(pid) = message.with_process()
            && self.local.find_pid(pid).is_none()
        {
            return self.forward(from, pid, message);
        }
        match message {
            Message::Ipc(packet) => {
                if let Packet::Wakeup { endpoint } = packet {
                    endpoints::bits(endpoint).end_wakeup();
                }
                self.ipc.take(from as u8, packet, &mut self.local);
            }
            Message::Adopt(process) => self.adopt(process),
            Message::Kill { pid, signal } => {
                self.with_process(pid, |cpu, slot| cpu.kill(slot, signal))
            }
            // A return that Linux put here before must be seen first.
            Message::Released { pid } => {
                linux::call::take_returns(self, role);
                self.with_process(pid, linux::call::released);
            }
            Message::ProxyDied { pid } => {
                linux::call::take_returns(self, role);
                self.with_process(pid, linux::call::proxy_died);
            }
            #[cfg(feature = "fault-injection")]
            Message::Inject(kind) => crate::fault_injection::fail(self, kind),
            Message::ReceiverChanged { endpoint } => self.receiver_changed(endpoint),
            Message::Priority { pid, priority } => self.set_priority(pid, priority),
            Message::Move { pid, cpu } => migrate::request(self, pid, cpu),
            Message::Grant { pid, grant } => {
                self.with_process(pid, |cpu, slot| {
                    if let Err(error) =
                        devices::resolve(&grant).and_then(|rights| cpu.grant(slot, &rights))
                    {
                        log::warning!("process {pid} gets no device: {error:?}");
                    }
                });
            }
            Message::MReply { slot, result } => syscalls::m_call_returned(self, slot, result),
            other => role.message(self, from, other),
        }
    }

    /// Does what a message says to the process with this id, if it is still there.
    fn with_process(&mut self, pid: u32, act: impl FnOnce(&mut Self, u8)) {
        if let Some(slot) = self.local.find_pid(pid) {
            act(self, slot);
        }
    }

    /// Sends a message after a process that has left this CPU, or keeps it for one that is about to
    /// come. One about a process that is over is nobody's.
    fn forward(&mut self, from: usize, pid: u32, message: Message) {
        let sent = match process::home_of(pid) {
            None => true,
            Some(home) if home == self.index() => self.parked.try_push((from, message)).is_ok(),
            Some(home) => mailbox::send(self.index(), home, message).is_ok(),
        };
        if !sent {
            log::error!("a message about process {pid} is lost");
        }
    }

    /// Ends a process as a signal would.
    pub fn kill(&mut self, slot: u8, signal: u8) {
        let text = format_args!("killed by signal {signal}");
        exit::exit(self, slot, ExitReason::new(EXIT_KILLED, u64::from(signal), text));
    }

    /// Gives a process of this CPU ports and interrupts.
    pub fn grant(&mut self, slot: u8, rights: &Rights) -> Result<(), Error> {
        let index = self.index();
        let process = self.local.caller(slot)?;
        let endpoint = process.endpoint;
        process.grants.add(rights, endpoint, index)
    }

    /// An endpoint has another receiver, or none.
    pub fn receiver_changed(&mut self, endpoint: u8) {
        let index = self.index();
        if let ant_logic::ipc::Target::Bound { cpu, server } = endpoints::state(endpoint).target()
            && usize::from(cpu) == index
            && let Some(process) = self.local.process(server)
        {
            process.endpoint = Some(endpoint);
            process.grants.notify_at(endpoint, index);
            self.ipc.bind(server, endpoint);
        }
        self.ipc.receiver_changed(endpoint, &mut self.local);
        endpoints::bits(endpoint).look();
        self.ipc.notify(endpoint, &mut self.local);
    }

    /// Tells whoever receives at an endpoint that notification bits were raised there.
    pub fn notify(&mut self, endpoint: u8) {
        self.ipc.notify(endpoint, &mut self.local);
    }

    /// Gives a process of this CPU another priority.
    pub fn set_priority(&mut self, pid: u32, priority: u8) {
        let Some(slot) = self.local.find_pid(pid) else { return };
        if let Some(process) = self.local.process(slot) {
            process.base = priority;
            process.public().priority.store(u32::from(priority), Ordering::Relaxed);
        }
        self.ipc.set_base(slot, priority, &mut self.local);
    }

    /// Runs a process, and those that it and they pass the CPU to directly, until something comes
    /// that the loop has to look at.
    fn run_process(&mut self, mut slot: u8, role: &mut impl Role) {
        let vector = loop {
            let vector = self.local.run(slot);
            match fastpath::serve(self, slot, vector) {
                Next::Process(next) => slot = next,
                Next::Packet => {
                    self.local.runs_no_process();
                    match self.await_packet(role) {
                        Some(next) => slot = next,
                        None => return,
                    }
                }
                Next::SlowPath => break vector,
            }
        };
        self.local.runs_no_process();
        match vector {
            #[cfg(feature = "fault-injection")]
            VECTOR_SYSCALL => crate::fault_injection::serve(self, slot, role),
            #[cfg(not(feature = "fault-injection"))]
            VECTOR_SYSCALL => syscalls::serve(self, slot, role),
            vector if vector >= trap::FIRST_INTERRUPT => {
                if let Some(process) = self.local.process(slot) {
                    process.set_state(STATE_READY);
                }
                self.poll_needed = true;
                interrupts::take(vector);
                if vector == u64::from(trap::TIMER_VECTOR) {
                    self.local.timer_fired();
                }
            }
            vector => self.fault(slot, vector),
        }
    }

    /// Ends the waiting of everyone whose time is over.
    fn expire(&mut self) {
        if self.local.deadlines.next().is_none() {
            return;
        }
        let now = clock::now();
        while let Some(slot) = self.local.deadlines.take_due(now) {
            let Some(process) = self.local.process(slot) else { continue };
            match process.blocked_on {
                BlockReason::Receive => {
                    self.ipc.stop_receiving(slot);
                    self.local.wake_with(slot, Error::TimedOut.to_return());
                }
                BlockReason::Reply => self.ipc.time_out(slot, &mut self.local),
                BlockReason::Time => self.local.wake_with(slot, 0),
                _ => {}
            }
        }
    }

    /// Ends a process that has run into an exception.
    fn fault(&mut self, slot: u8, vector: u64) {
        shared::count(shared::control(self.index()).faults());
        let linux_cpu = shared::linux_cpu(self.index());
        let Some(process) = self.local.process(slot) else { return };
        let (rip, name) = (process.context.rip, trap::name(vector));
        let end = |args| ExitReason::new(EXIT_FAULTED, u64::from(linux::signal_of(vector)), args);
        let exit = if vector == trap::PAGE_FAULT {
            let access = trap::access_name(process.context.error);
            let address = trap::fault_address();
            end(format_args!("{name} ({access} {address:#x}) at {rip:#x} on CPU {linux_cpu}"))
        } else {
            end(format_args!("{name} at {rip:#x} on CPU {linux_cpu}"))
        };
        log::warning!("process {}: {}", process.pid, exit.text);
        exit::exit(self, slot, exit);
    }
}
