//! What other CPUs ask of this one.

use ant_abi::{CpuIndex, Pid, ThreadSlot, Tid};
use ant_arch::clock;
use ant_logic::ipc::Packet;

use crate::cpu::Cpu;
use crate::mailbox::{self, Message};
use crate::role::Role;
use crate::{devices, endpoints, exit, linux, log, migrate, syscalls, thread};

/// Message budget: how long a CPU takes messages before it lets a process run, if more keep coming, in
/// microseconds. The process has as long until the CPU takes more: whatever others send, it has half of
/// the CPU.
const MESSAGE_BUDGET_US: u64 = 100;

impl Cpu {
    /// Takes messages, from the other CPUs in turns. Whether it has taken all.
    pub(crate) fn take_messages(&mut self, role: &mut impl Role) -> bool {
        let until = clock::now().saturating_add(clock::cycles(MESSAGE_BUDGET_US));
        while mailbox::waiting(self.incoming).is_some() {
            for (from, ring) in CpuIndex::all().zip(self.incoming) {
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

    /// Takes the messages again that came before the process that they are about: it came from another
    /// CPU than they.
    pub(crate) fn take_parked(&mut self, role: &mut impl Role) {
        for (from, message) in core::mem::take(&mut self.parked) {
            self.handle_message(from, message, role);
        }
    }

    /// Does what another CPU asks for.
    pub fn handle_message(&mut self, from: CpuIndex, message: Message, role: &mut impl Role) {
        if let Some(tid) = message.target()
            && self.local.find_tid(tid).is_none()
        {
            return self.forward(from, tid, message);
        }
        match message {
            Message::Ipc(packet) => {
                if let Packet::Wakeup { endpoint } = packet {
                    endpoints::bits(endpoint).end_wakeup();
                }
                self.ipc.take(from, packet, &mut self.local);
            }
            Message::Adopt(new) => self.adopt(new),
            Message::Kill { pid, signal } => {
                self.with_process(pid, |cpu, slot| exit::kill(cpu, slot, signal))
            }
            // A return that Linux put here before must be seen first.
            Message::Released { tid } => {
                linux::call::take_returns(self, role);
                self.with_thread(tid, linux::call::program_released);
            }
            Message::Closed { tid } => {
                linux::call::take_returns(self, role);
                self.with_thread(tid, linux::call::program_closed);
            }
            #[cfg(feature = "fault-injection")]
            Message::Inject(kind) => crate::fault_injection::fail(self.index(), kind),
            Message::ReceiverChanged { endpoint } => self.receiver_changed(endpoint),
            Message::Priority { pid, priority } => self.set_priority(pid, priority),
            Message::Move { pid, cpu } => migrate::request(self, pid, cpu),
            Message::Grant { pid, grant } => {
                self.with_process(pid, |cpu, slot| {
                    let granted = devices::resolve(&grant);
                    if let Err(error) = granted.and_then(|rights| cpu.grant(slot, &rights)) {
                        log::warning!("process {pid} gets no device: {error:?}");
                    }
                });
            }
            Message::MReply { slot, result } => syscalls::m_call_returned(self, slot, result),
            other => role.message(self, from, other),
        }
    }

    /// Does what a message says to the first thread of the process with this id, if it is still there.
    fn with_process(&mut self, pid: Pid, act: impl FnOnce(&mut Self, ThreadSlot)) {
        self.with_thread(Tid::first_of(pid), act);
    }

    /// Does what a message says to the thread with this id, if it is still there.
    fn with_thread(&mut self, tid: Tid, act: impl FnOnce(&mut Self, ThreadSlot)) {
        if let Some(slot) = self.local.find_tid(tid) {
            act(self, slot);
        }
    }

    /// Sends a message after a thread that has left this CPU, or parks it for one that is about to
    /// come. One about a thread that has been reaped is dropped.
    fn forward(&mut self, from: CpuIndex, tid: Tid, message: Message) {
        let sent = match thread::find(tid).map(|(_, public)| public.cpu()) {
            None => true,
            Some(cpu) if cpu == self.index() => self.parked.try_push((from, message)).is_ok(),
            Some(cpu) => mailbox::send(self.index(), cpu, message).is_ok(),
        };
        if !sent {
            log::error!("a message about thread {tid} is lost");
        }
    }
}
