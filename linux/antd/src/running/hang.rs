//! What becomes of programs on CPUs that hang.
//!
//! A CPU that does not leave its kernel is found by the [`HangDetector`](crate::hang::HangDetector).
//! A CPU that was rung because it got a process, and has not counted that doorbell, does not take
//! interrupts. Sessions on other CPUs go on.

use std::time::Instant;

use ant_protocol::{ExitReason, Reply};
use rustix::process::Signal;

use super::{Ctx, PartitionFailed, RunningPartition};
use crate::explain::{cpu_does_not_answer, cpu_hangs};
use crate::hang::Change;
use crate::ids::SessionId;
use crate::sessions::{Session, Stage};

impl RunningPartition {
    /// Detects CPUs that hang, and ends the sessions of the programs there.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub(super) fn check_for_hangs(
        &mut self,
        now: Instant,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        for cpu_index in 0..self.partition.cpus.len() as u32 {
            let kernel_entries = self.partition.shared().kernel_entries(cpu_index);
            let cpu = self.partition.cpu_of(cpu_index);
            match self.hangs.observe(cpu_index, kernel_entries, now) {
                Some(Change::Hangs) => tracing::error!("{}", cpu_hangs(cpu)),
                Some(Change::Resumed) => tracing::warn!("CPU {cpu} has left its kernel after all"),
                None => {}
            }
        }
        for (id, text) in self.sessions_on_hung_cpus(now) {
            self.fail_session_on_hung_cpu(id, &text, ctx)?;
        }
        Ok(())
    }

    /// The sessions with a process on a CPU that hangs, and how that was detected.
    fn sessions_on_hung_cpus(&mut self, now: Instant) -> Vec<(SessionId, String)> {
        let mut failed = Vec::new();
        for (id, session) in self.sessions.iter_mut() {
            let Stage::Exists { cpu_index, .. } = session.stage else { continue };
            let cpu = self.partition.cpu_of(cpu_index);
            if self.hangs.hangs(cpu_index) && is_waited_for(session) {
                failed.push((id, cpu_hangs(cpu)));
            } else if missed_deadline(session, self.partition.shared().doorbells(cpu_index), now) {
                failed.push((id, cpu_does_not_answer(cpu)));
            }
        }
        failed
    }

    /// Tells the clients of a session that its CPU hangs, and kills its proxy.
    fn fail_session_on_hung_cpu(
        &mut self,
        id: SessionId,
        text: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        session.doorbell = None;
        let lost = Reply::Over(ExitReason::Lost { text: text.into() });
        self.give_up_waiting(id, &lost, &Reply::Failed(text.into()), ctx);
        self.end_session(id, Signal::KILL.as_raw(), text, None, ctx)
    }
}

/// Whether a client still waits for the end of a session.
fn is_waited_for(session: &Session) -> bool {
    let waited_for = session.end_request.as_ref().is_none_or(|request| !request.waiters.is_empty());
    session.client.is_some() || waited_for
}

/// Whether a session's CPU has not counted its doorbell in time.
fn missed_deadline(session: &mut Session, doorbells: u64, now: Instant) -> bool {
    let Some(doorbell) = &session.doorbell else { return false };
    let (answered, over) = (doorbells != doorbell.doorbells, doorbell.deadline <= now);
    if answered || over {
        session.doorbell = None;
    }
    over && !answered
}
