//! CPUs that hang, and what becomes of the programs there.
//!
//! AnT is tickless: nothing rings a CPU to see whether it lives. Two signs are in the shared area
//! anyway. A CPU whose kernel was entered and not left for [`ANSWER_LIMIT`] hangs
//! (`CpuControl::passages`). A CPU that was rung because it got a process, and has not counted
//! that since, does not take interrupts.

use std::time::Instant;

use crate::init::ANSWER_LIMIT;
use crate::protocol::{Outcome, Reply};
use crate::running::{Collapse, Ports, Running, does_not_answer};
use crate::sessions::{Session, Stage};
use crate::table::SessionId;

/// What was last seen of a CPU.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kernel_entries: u64,
    /// Since when it is that.
    since: Instant,
    hangs: bool,
}

/// What has become of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its kernel does not come to an end.
    Hangs,
    /// It does after all.
    GoesOn,
}

/// Knows which CPUs hang. Pure: what there is to see and the time come from outside.
#[derive(Debug)]
pub struct Watch(Vec<Seen>);

impl Watch {
    /// Of so many CPUs, none of which hangs.
    #[must_use]
    pub fn new(cpus: usize, now: Instant) -> Self {
        Self(vec![Seen { kernel_entries: 0, since: now, hangs: false }; cpus])
    }

    /// Takes a look at a CPU.
    ///
    /// # Panics
    ///
    /// There is no such CPU.
    pub fn look(&mut self, cpu_index: u32, kernel_entries: u64, now: Instant) -> Option<Change> {
        let seen = &mut self.0[cpu_index as usize];
        if kernel_entries != seen.kernel_entries {
            *seen = Seen { kernel_entries, since: now, hangs: seen.hangs };
        }
        let in_kernel = kernel_entries % 2 == 1;
        let hangs = in_kernel && now.saturating_duration_since(seen.since) >= ANSWER_LIMIT;
        if hangs == seen.hangs {
            return None;
        }
        seen.hangs = hangs;
        Some(if hangs { Change::Hangs } else { Change::GoesOn })
    }

    /// Whether a CPU hung when it was last looked at.
    #[must_use]
    pub fn hangs(&self, cpu_index: u32) -> bool {
        self.0.get(cpu_index as usize).is_some_and(|seen| seen.hangs)
    }
}

impl Running {
    /// Looks whether CPUs hang, and ends the sessions whose programs are there. The others go on.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub(crate) fn watch_cpus(
        &mut self,
        now: Instant,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        for cpu_index in 0..self.partition.cpus.len() as u32 {
            let kernel_entries = self.partition.shared().kernel_entries(cpu_index);
            let cpu = self.partition.cpu_of(cpu_index);
            match self.watch.look(cpu_index, kernel_entries, now) {
                Some(Change::Hangs) => tracing::error!("{}", hangs_in_words(cpu)),
                Some(Change::GoesOn) => tracing::warn!("CPU {cpu} goes on"),
                None => {}
            }
        }
        for (id, text) in self.stranded(now) {
            self.strand(id, &text, ports)?;
        }
        Ok(())
    }

    /// The sessions whose process is on a CPU that hangs, and why that is thought.
    fn stranded(&mut self, now: Instant) -> Vec<(SessionId, String)> {
        let mut stranded = Vec::new();
        for (id, session) in self.sessions.iter_mut() {
            let Stage::Exists { cpu_index, .. } = session.stage else { continue };
            let cpu = self.partition.cpu_of(cpu_index);
            if self.watch.hangs(cpu_index) && is_waited_for(session) {
                stranded.push((id, hangs_in_words(cpu)));
            } else if gives_no_sign(session, self.partition.shared().doorbells(cpu_index), now) {
                stranded.push((id, does_not_answer(cpu)));
            }
        }
        stranded
    }

    /// Tells everybody who waits for a session that its CPU hangs, and ends what Linux has of it.
    fn strand(&mut self, id: SessionId, text: &str, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        session.awaited = None;
        let client = session.client.take();
        let waiters = session.ending.as_mut().map(|ending| std::mem::take(&mut ending.waiters));
        ports.send(client, &Reply::Over(Outcome::Lost { text: text.into() }));
        for waiter in waiters.into_iter().flatten() {
            ports.send(Some(waiter), &Reply::Failed(text.into()));
        }
        self.end_session(id, libc::SIGKILL, text, None, ports)
    }
}

/// Whether anybody has yet to learn what becomes of a session.
fn is_waited_for(session: &Session) -> bool {
    let waited_for = session.ending.as_ref().is_none_or(|ending| !ending.waiters.is_empty());
    session.client.is_some() || waited_for
}

/// Whether the sign of life that a session's CPU owes did not come in time.
fn gives_no_sign(session: &mut Session, doorbells: u64, now: Instant) -> bool {
    let Some(awaited) = &session.awaited else { return false };
    let (answered, over) = (doorbells != awaited.doorbells, awaited.limit <= now);
    if answered || over {
        session.awaited = None;
    }
    over && !answered
}

/// That a CPU hangs, and what to do.
fn hangs_in_words(cpu: u32) -> String {
    let limit = ANSWER_LIMIT.as_secs();
    format!(
        "CPU {cpu} hangs in AnT's kernel (for {limit} s or more); `antctl stop` brings the CPUs \
         back"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_kernel_that_is_not_left_hangs() {
        let start = Instant::now();
        let mut watch = Watch::new(2, start);
        assert_eq!(watch.look(1, 7, start + SECOND), None);
        assert_eq!(watch.look(1, 7, start + SECOND * 5), None);
        assert_eq!(watch.look(1, 7, start + SECOND * 6), Some(Change::Hangs));
        assert_eq!(watch.look(1, 7, start + SECOND * 7), None, "said once");
        assert!(watch.hangs(1) && !watch.hangs(0) && !watch.hangs(9));
        assert_eq!(watch.look(1, 8, start + SECOND * 8), Some(Change::GoesOn));
        assert!(!watch.hangs(1));
    }

    #[test]
    fn a_process_or_sleep_of_any_length_is_no_hang() {
        let start = Instant::now();
        let mut watch = Watch::new(1, start);
        for second in 0..100 {
            assert_eq!(watch.look(0, 42, start + SECOND * second), None);
        }
    }

    #[test]
    fn a_kernel_that_is_entered_often_is_no_hang() {
        let start = Instant::now();
        let mut watch = Watch::new(1, start);
        for second in 0..100 {
            let kernel_entries = u64::from(second / 4) * 2 + 1;
            assert_eq!(watch.look(0, kernel_entries, start + SECOND * second), None);
        }
    }
}
