//! The loop of a CPU, from one event to the next.

use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, ThreadSlot};
use ant_arch::context::VECTOR_SYSCALL;
use ant_arch::{clock, trap};

use crate::cpu::Cpu;
use crate::owned::Owned;
use crate::role::Role;
use crate::thread::{BlockReason, Thread};
use crate::{devices, fault, interrupts, linux, mailbox, migrate, syscalls};

/// What comes, past the loop, after the run of a thread, which is in its place.
pub enum Next {
    /// This thread runs.
    Thread(Owned<Thread>),
    /// The thread waits for another CPU, and this one for a packet.
    Packet,
}

impl Cpu {
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
                    self.run_thread(slot, role);
                }
                None => {
                    self.local.end_deferral();
                    self.idle();
                }
            }
        }
    }

    /// Hands zombies to the m-kernel to be reaped, as far as it takes messages.
    fn reap_zombies(&mut self, role: &mut impl Role) {
        while !self.local.zombies.is_empty() && mailbox::has_room(self.index(), CpuIndex::M_KERNEL)
        {
            let Some(slot) = self.local.zombies.pop() else { return };
            let zombie = self.local.remove(slot);
            role.reap(self, zombie);
        }
    }

    /// Takes what has come from devices, from other CPUs and from Linux.
    fn poll_inputs(&mut self, role: &mut impl Role) {
        let start = clock::now();
        let control = self.local.control;
        devices::take_interrupts(control, |endpoint| self.notify(endpoint));
        let has_all = self.take_messages(role);
        self.take_parked(role);
        linux::call::take_returns(self, role);
        if !has_all {
            self.local.defer_messages(clock::now().saturating_sub(start));
            self.poll_needed = true;
        }
    }

    /// Runs a thread, and those that it and they pass the CPU to directly, until something comes
    /// that the loop has to look at.
    fn run_thread(&mut self, slot: ThreadSlot, role: &mut impl Role) {
        let mut thread = self.local.take(slot).expect("the queue holds own threads");
        loop {
            self.local.run(&mut thread);
            if thread.context.vector != VECTOR_SYSCALL {
                return self.trapped(thread);
            }
            match syscalls::serve(self, thread, role) {
                Some(Next::Thread(next)) => thread = next,
                Some(Next::Packet) => {
                    self.local.runs_no_process();
                    match self.await_packet(role).and_then(|next| self.local.take(next)) {
                        Some(next) => thread = next,
                        None => return,
                    }
                }
                None => return,
            }
        }
    }

    /// An interrupt or an exception has ended the run of a thread.
    #[cold]
    fn trapped(&mut self, thread: Owned<Thread>) {
        let (slot, vector) = (thread.slot(), thread.context.vector);
        self.local.runs_no_process();
        if vector < trap::FIRST_INTERRUPT {
            self.local.put(thread);
            return fault::take(self, slot, vector);
        }
        thread.set_state(ProcessState::Ready);
        self.local.put(thread);
        self.poll_needed = true;
        interrupts::take(vector);
        if vector == u64::from(trap::TIMER_VECTOR) {
            self.local.timer_fired();
        }
    }

    /// Wakes every thread that has passed its deadline.
    fn expire(&mut self) {
        while let Some(slot) = self.local.take_due() {
            let Some(thread) = self.local.thread(slot) else { continue };
            match thread.blocked_on {
                BlockReason::Receive => {
                    self.ipc.stop_receiving(slot, &mut self.local);
                    self.local.wake_with(slot, Error::TimedOut.to_return());
                }
                BlockReason::Reply => self.ipc.time_out(slot, &mut self.local),
                BlockReason::Time => self.local.wake_with(slot, 0),
                _ => {}
            }
        }
    }
}
