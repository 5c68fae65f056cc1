//! What people are told of a server.

use core::fmt::Write;

use ant_abi::control::{SERVER_GIVEN_UP, SERVER_SERVES, SERVER_STARTING, SERVER_WAITS, ServerInfo};
use ant_abi::ipc::ProcessEnd;
use ant_abi::lca::{END_EXITED, END_FAULTED, END_KILLED};
use zerocopy::FromZeros;

use super::server::{Reason, START_US, Server, State};

impl Server {
    /// For `server list`.
    pub fn info(&self) -> ServerInfo {
        let mut info = ServerInfo::new_zeroed();
        info.name[..self.spec.name.len()].copy_from_slice(self.spec.name.as_bytes());
        info.pid = self.pid().unwrap_or(0);
        info.state = match self.state {
            State::Starting { .. } => SERVER_STARTING,
            State::Serves { .. } | State::TakesOver { .. } => SERVER_SERVES,
            State::Ends { .. } | State::Waits { .. } => SERVER_WAITS,
            State::GivenUp => SERVER_GIVEN_UP,
        };
        info.generation = self.generation;
        info.restarts = self.history.count();
        info.priority = self.priority;
        info.program = self.program.bytes().len() as u32;
        info.start_ticks = self.start_ticks;
        info.last_end[..self.last_end.len()].copy_from_slice(self.last_end.as_bytes());
        info
    }

    /// Keeps for people why it has ended.
    pub(super) fn describe(&mut self, end: &ProcessEnd) {
        let text = str::from_utf8(&end.text).unwrap_or_default().trim_end_matches('\0');
        let number = end.number;
        self.last_end.clear();
        let text = &text[..text.floor_char_boundary(self.last_end.capacity())];
        // They fit.
        let _ = match (&self.reason, u64::from(end.kind)) {
            (Some(Reason::NotReady), _) => {
                write!(self.last_end, "was not ready within {} ms", START_US / 1000)
            }
            (Some(Reason::NoAnswer), _) => {
                write!(self.last_end, "did not answer within {} ms", self.watch.answer_ms())
            }
            (_, END_EXITED) => write!(self.last_end, "exited with status {number}"),
            (_, END_FAULTED) if !text.is_empty() => self.last_end.write_str(text),
            (_, END_FAULTED) => write!(self.last_end, "fault, signal {number}"),
            (_, END_KILLED) => write!(self.last_end, "killed by signal {number}"),
            (_, kind) => write!(self.last_end, "ended: kind {kind}, number {number}"),
        };
    }
}
