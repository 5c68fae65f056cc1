//! A CPU without a process to run.

use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, ThreadSlot};
use core::sync::atomic::Ordering;

use crate::cpu::Cpu;
use crate::mailbox;
use crate::role::Role;
use crate::{fastpath, shared};
use ant_arch::{clock, cpu};

impl Cpu {
    /// Sleeps, or polls, until something has come.
    pub(crate) fn idle(&mut self) {
        self.local.set_timer();
        self.rest();
        self.poll_needed = true;
    }

    /// As [`Cpu::idle`], for the fast path, which waits for a packet: takes the first that comes. The
    /// process that runs then, past the loop; `None`: there is work for the loop.
    #[inline]
    pub(crate) fn await_packet(&mut self, role: &mut impl Role) -> Option<ThreadSlot> {
        if !self.local.queue.is_empty() {
            return None;
        }
        self.local.end_deferral();
        self.poll_needed = true;
        let from = self.rest()?;
        let next = self.take_packet(from, role)?;
        self.poll_needed = self.has_work();
        if self.poll_needed {
            self.local.thread(next)?.set_state(ProcessState::Ready);
            return None;
        }
        Some(next)
    }

    /// Takes the next packet from CPU `from`. The process that runs then, at once.
    #[inline]
    fn take_packet(&mut self, from: CpuIndex, role: &mut impl Role) -> Option<ThreadSlot> {
        match mailbox::receive_unless(&self.incoming[from.index()], |words| {
            fastpath::take(self, from, words)
        })? {
            Ok(next) => Some(next),
            Err(message) => {
                self.handle_message(from, message, role);
                None
            }
        }
    }

    /// Whether something has come for the loop to look at, which no interrupt announces any more.
    #[inline]
    fn has_work(&self) -> bool {
        mailbox::waiting(self.incoming).is_some() || self.has_more()
    }

    /// The part of [`Cpu::has_work`] that is no packet.
    #[inline]
    fn has_more(&self) -> bool {
        !self.returns.is_empty() || self.local.control.interrupts().load(Ordering::Relaxed) != 0
    }

    /// Sleeps, or polls, until there is work, or the timer has fired; any interrupt ends the
    /// sleep. A CPU from which a packet has come; `None` also if the timer has fired.
    #[inline]
    fn rest(&mut self) -> Option<CpuIndex> {
        let control = self.local.control;
        let fired = control.timer_interrupts().load(Ordering::Relaxed);
        let start = clock::now();
        control.idle_since().store(start, Ordering::Relaxed);
        shared::count(control.kernel_entries());
        let from = if self.polls { self.poll(fired) } else { self.sleep() };
        shared::count(control.kernel_entries());
        control.idle_since().store(0, Ordering::Relaxed);
        shared::add(control.idle_cycles(), clock::now().wrapping_sub(start));
        if control.timer_interrupts().load(Ordering::Relaxed) != fired {
            self.local.timer_fired();
            return None;
        }
        from
    }

    fn sleep(&self) -> Option<CpuIndex> {
        if !self.has_work() {
            cpu::wait_for_interrupt();
        }
        mailbox::waiting(self.incoming)
    }

    /// Looks for work until there is some, or the timer has fired more often than `fired`, open for
    /// interrupts. A CPU that has sent meanwhile has not rung: the caller looks into the rings.
    fn poll(&self, fired: u64) -> Option<CpuIndex> {
        let timer = self.local.control.timer_interrupts();
        mailbox::start_polling(self.index());
        let from = loop {
            if let Some(from) = mailbox::waiting(self.incoming) {
                break Some(from);
            }
            if self.has_more() || timer.load(Ordering::Relaxed) != fired {
                break None;
            }
            cpu::take_interrupts();
        };
        mailbox::stop_polling(self.index());
        from
    }
}
