//! What the log and `server list` say of a server.

use core::fmt::{self, Write};

use ant_abi::Error;
use ant_abi::control::ServerInfo;
use ant_abi::ipc::ExitNotice;
use ant_abi::lca::ExitKind;
use ant_logic::supervise::{Cause, Event};
use ant_rt::log;
use zerocopy::FromZeros;

use super::server::{Server, ServerState};

impl Server {
    /// For `server list`.
    pub fn info(&self) -> ServerInfo {
        let Self { supervised, state } = self;
        let mut info = ServerInfo::new_zeroed();
        info.name[..state.spec.name.len()].copy_from_slice(state.spec.name.as_bytes());
        info.pid = supervised.pid().unwrap_or(0);
        info.state = supervised.reported_state().into();
        info.generation = supervised.generation();
        info.restarts = supervised.restarts();
        info.priority = state.priority;
        info.program = supervised.program().bytes().len() as u32;
        info.start_ticks = state.start_ticks;
        info.restart_us = supervised.restart_us().map_or(0, |us| us.max(1));
        info.last_end[..state.last_end.len()].copy_from_slice(state.last_end.as_bytes());
        info
    }
}

impl ServerState {
    /// Logs an event, and keeps it for `server list`. `end`: the exit notice of the process.
    pub fn report(&mut self, event: Event, end: Option<&ExitNotice>) {
        let name = self.spec.name;
        match event {
            Event::Ended(cause) => {
                self.keep(|state, text| state.describe(cause, end, text));
                let when = if cause == Cause::Successor { " before it took over" } else { "" };
                log!("server {name} has ended{when}: {}", self.last_end);
            }
            Event::NotStarted(error) => {
                self.keep(|_, text| match error {
                    Error::NoDevice => text.write_str("Linux keeps its device"),
                    error => write!(text, "could not be started: {error:?}"),
                });
                log!("server {name} is not started: {}", self.last_end);
            }
            Event::GivenUp => log!("server {name} is given up"),
        }
    }

    /// Keeps what `write` writes as the reason of its last end; what does not fit is left out.
    fn keep(&mut self, write: impl FnOnce(&Self, &mut dyn Write) -> fmt::Result) {
        let mut text = arrayvec::ArrayString::new();
        let _ = write(self, &mut text);
        self.last_end = text;
    }

    fn describe(&self, cause: Cause, end: Option<&ExitNotice>, to: &mut dyn Write) -> fmt::Result {
        let Some(end) = end else { return Ok(()) };
        let text = str::from_utf8(&end.text).unwrap_or_default().trim_end_matches('\0');
        let text = &text[..text.floor_char_boundary(self.last_end.capacity())];
        let number = end.number;
        match (cause, ExitKind::try_from(u64::from(end.kind))) {
            (Cause::NotReady, _) => to.write_str("did not serve in time"),
            (Cause::NoHeartbeat, _) => {
                let answer_us = self.spec.watch.map_or(0, |watch| watch.answer_us);
                write!(to, "did not answer within {} ms", answer_us / 1000)
            }
            (_, Ok(ExitKind::Exited)) => write!(to, "exited with status {number}"),
            (_, Ok(ExitKind::Faulted)) if !text.is_empty() => to.write_str(text),
            (_, Ok(ExitKind::Faulted)) => write!(to, "fault, signal {number}"),
            (_, Ok(ExitKind::Killed)) => write!(to, "killed by signal {number}"),
            (_, Ok(ExitKind::LoadFailed) | Err(_)) => {
                write!(to, "ended: kind {}, number {number}", end.kind)
            }
        }
    }
}
