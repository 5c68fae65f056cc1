//! The state of one CPU. What happens on it is elsewhere: `run` is the loop, `messages` what other CPUs
//! ask for, `syscalls` what its processes ask for.

use ant_abi::boot::BOOT_IDLE_POLL;
use ant_abi::{CpuIndex, EndpointId, Error, Pid, Priority, ThreadSlot};
use ant_arch::apic::Timer;
use ant_logic::devices::Rights;
use ant_logic::ipc::{IpcCpu, Target};
use ant_logic::rings::address::AddressRing;
use arrayvec::ArrayVec;

use crate::cpu_tables::CpuTables;
use crate::locals::{Caller, Locals};
use crate::mailbox::{self, Incoming, Message};
use crate::process::WithThread;
use crate::{endpoints, shared};

/// Messages that can come before the process that they are about.
const PARKED_MAX: usize = 16;

/// The state of one CPU. Only that CPU has it.
pub struct Cpu {
    /// IPC.
    pub ipc: IpcCpu,
    /// Its threads and processes.
    pub local: Locals,
    /// Messages about threads that are about to come, and the CPUs that sent them.
    pub(crate) parked: ArrayVec<(CpuIndex, Message), PARKED_MAX>,
    /// Rings to this CPU.
    pub(crate) incoming: Incoming,
    /// What Linux returns to this CPU.
    pub(crate) returns: &'static AddressRing,
    /// It looks for work by itself when it has none.
    pub(crate) polls: bool,
    /// Something may have come from outside: an interrupt came, or this CPU was idle, and more than
    /// what `await_packet` has taken can have come.
    pub(crate) poll_needed: bool,
}

impl Cpu {
    /// The CPU that runs this, without threads. It is asked for once.
    pub fn new(index: CpuIndex, timer: Timer) -> Self {
        let CpuTables { ipc, local } = CpuTables::take(index);
        Self {
            ipc: IpcCpu::new(index, ipc),
            local: Locals::new(index, timer, local),
            parked: ArrayVec::new(),
            incoming: mailbox::incoming(index),
            returns: shared::returns(index),
            polls: shared::boot().flags & BOOT_IDLE_POLL != 0,
            poll_needed: true,
        }
    }

    /// Index within the partition.
    pub fn index(&self) -> CpuIndex {
        self.local.index()
    }

    /// Makes a process and its thread this CPU's. Calls to it may have come before it.
    pub fn adopt(&mut self, mut new: WithThread) {
        let (slot, endpoint) = (new.thread.slot(), new.thread.endpoint);
        if let Some(endpoint) = endpoint {
            new.process.grants.notify_at(endpoint, self.index());
        }
        self.ipc.enter(slot, new.thread.base, endpoint);
        new.thread.priority = self.ipc.priority(slot);
        self.local.insert(new);
        if let Some(endpoint) = endpoint {
            self.ipc.receiver_changed(endpoint, &mut self.local);
        }
    }

    /// An endpoint has another receiver, or none.
    pub fn receiver_changed(&mut self, endpoint: EndpointId) {
        let index = self.index();
        if let Target::Bound { cpu, server } = endpoints::state(endpoint).target()
            && cpu == index
            && let Ok(Caller { thread, process }) = self.local.caller(server)
        {
            thread.endpoint = Some(endpoint);
            process.grants.notify_at(endpoint, index);
            self.ipc.bind(server, endpoint);
        }
        self.ipc.receiver_changed(endpoint, &mut self.local);
        endpoints::bits(endpoint).look();
        self.ipc.notify(endpoint, &mut self.local);
    }

    /// Gives the process of a thread of this CPU ports and interrupts, which come where the thread
    /// receives.
    pub fn grant(&mut self, slot: ThreadSlot, rights: &Rights) -> Result<(), Error> {
        let index = self.index();
        let Caller { thread, process } = self.local.caller(slot)?;
        process.grants.add(rights, thread.endpoint, index)
    }

    /// Tells the receiver of an endpoint that notification bits were raised there.
    pub fn notify(&mut self, endpoint: EndpointId) {
        self.ipc.notify(endpoint, &mut self.local);
    }

    /// Gives a process of this CPU another priority.
    pub fn set_priority(&mut self, pid: Pid, priority: Priority) {
        let Some(slot) = self.local.find_pid(pid) else { return };
        if let Some(thread) = self.local.thread(slot) {
            thread.set_base(priority);
        }
        self.ipc.set_base(slot, priority, &mut self.local);
    }
}
