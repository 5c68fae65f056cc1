//! What clients have `init` do to processes and servers, who may, and what they are told.

use std::os::fd::OwnedFd;

use ant_abi::ipc::PRIORITIES;
use ant_abi::{Error, Priority, syscall};
use nix::errno::Errno;

use crate::clients::{ClientId, Peer};
use crate::daemon::Daemon;
use crate::init;
use crate::program;
use crate::protocol::{CpuFailure, Injection, ProcessFailure, Reply};
use crate::running::{Collapse, Ports, Running};
use crate::sessions::Stage;
use crate::survey::{Purpose, Upload};
use crate::table::SessionId;

/// Number of `init`, AnT's first process.
const INIT: u32 = 1;

/// The priority of programs.
const USUAL: Priority = Priority::USUAL;

/// Something that `init` does and then says whether it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End a process of AnT's own.
    Kill {
        /// AnT's number.
        pid: u32,
        /// As this signal would.
        signal: i32,
    },
    /// Fail.
    Inject {
        /// One of `INJECT_*`.
        how: u32,
        /// Index of the CPU, or AnT's number of the process.
        target: u32,
        /// Of a process: at which of its next system calls.
        call: u32,
    },
    /// Give a process another priority.
    Priority {
        /// AnT's number.
        pid: u32,
        /// The new one.
        priority: u32,
    },
    /// Move a process to another CPU.
    Move {
        /// AnT's number.
        pid: u32,
        /// Index of the CPU.
        cpu_index: u32,
        /// Linux's number of it.
        cpu: u32,
    },
    /// End a server and start it again.
    Restart {
        /// Its name.
        server: String,
    },
    /// Put the program that was sent in a server's place.
    Replace {
        /// Its name.
        server: String,
    },
}

impl Order {
    /// That it is done.
    #[must_use]
    pub fn done(&self) -> String {
        match self {
            Order::Kill { .. } => "ended".into(),
            Order::Inject { .. } => "done".into(),
            Order::Priority { pid, priority } => format!("process {pid} has priority {priority}"),
            Order::Move { pid, cpu, .. } => format!("process {pid} goes to CPU {cpu}"),
            Order::Restart { server } => format!("{server} was restarted"),
            Order::Replace { server } => format!("{server} was replaced"),
        }
    }

    /// What `init`'s error number means here.
    #[must_use]
    pub fn refusal(&self, result: i32) -> String {
        let error = Error::from_return(i64::from(result));
        match (self, error) {
            (Order::Restart { server } | Order::Replace { server }, Some(Error::NoEntry)) => {
                format!("AnT has no server {server}: `antctl server list` lists them")
            }
            (Order::Restart { server }, Some(Error::PeerGone | Error::TimedOut)) => format!(
                "{server} does not serve yet: {}; `antctl server list` says what becomes of it",
                why_no_server(result)
            ),
            (Order::Restart { server }, _) => {
                format!("{server} was not restarted: {}", why_no_server(result))
            }
            (Order::Replace { server }, _) => not_replaced(server, &why_no_server(result)),
            (Order::Kill { pid: INIT, .. }, Some(Error::NotPermitted)) => {
                "AnT does not allow that init is ended: `antctl stop` ends AnT".into()
            }
            (Order::Inject { .. }, Some(Error::NoSystemCall)) => {
                "this kernel was built without fault injection: `antctl boot --image FILE` boots \
                 another"
                    .into()
            }
            (Order::Priority { priority, .. }, Some(Error::Invalid)) => no_priority(*priority),
            (Order::Priority { pid, .. }, Some(Error::Busy)) => {
                format!("process {pid} is being replaced: try again")
            }
            (Order::Move { pid, .. }, Some(Error::Busy | Error::Again)) => {
                format!("process {pid} cannot be moved now: try again")
            }
            _ => init::refusal(result),
        }
    }
}

/// That a server still has the program that it had.
pub fn not_replaced(server: &str, why: &str) -> String {
    format!("{server} was not replaced, it keeps its program: {why}")
}

fn no_priority(priority: u32) -> String {
    format!("there is no priority {priority}: 0 (the lowest) to {}", PRIORITIES - 1)
}

/// Why a server did not start.
pub fn why_no_server(result: i32) -> String {
    match Error::from_return(i64::from(result)) {
        Some(Error::NotExecutable) => "its program is none for AnT".into(),
        Some(Error::TooLong) => "its program is too large".into(),
        Some(Error::NoMemory) => "AnT has no memory or no place for it".into(),
        Some(Error::TimedOut) => "the new one did not begin to serve in time".into(),
        Some(Error::NoProcess | Error::PeerGone) => "the new one ended before it served".into(),
        Some(Error::PeerRestarted) => "the old one has ended meanwhile".into(),
        Some(Error::NotPermitted) => "AnT does not allow that".into(),
        Some(Error::Busy) => "it is being started or replaced already: try again".into(),
        _ => format!("init says {}; `antctl log` may say why", Errno::from_raw(-result)),
    }
}

impl Running {
    /// Whether `peer` may do something to process `pid`, and the session that it belongs to, if it
    /// is not AnT's own.
    ///
    /// # Errors
    ///
    /// It may not; in words.
    pub fn allowed(&self, peer: &Peer, pid: u32) -> Result<Option<SessionId>, String> {
        let session = self.sessions.of_pid(pid);
        let owner = session.and_then(|id| self.sessions.get(id)).map(|s| s.identity.uid);
        match owner {
            Some(owner) if peer.is_root() || owner == peer.uid => Ok(session),
            Some(_) => Err("it is another user's: use sudo".into()),
            None if self.init_gone.is_some() => Err(self.no_answer()),
            // Not a session's: root may ask init, which refuses what must not be. Nobody else
            // learns what there is.
            None if peer.is_root() => Ok(None),
            None => Err(format!("you have no process {pid} on AnT: `antctl ps` lists them")),
        }
    }

    /// Passes an order on to `init`; `client` is told when it is done.
    ///
    /// # Errors
    ///
    /// `init` does not take requests; in words.
    pub fn order(&mut self, client: ClientId, order: Order) -> Result<(), String> {
        if self.init_gone.is_some() {
            return Err(self.no_answer());
        }
        self.init.order(client, order).map_err(|errno| self.not_asked(errno))
    }

    /// `init` has answered an order.
    pub(crate) fn ordered(
        &mut self,
        client: ClientId,
        order: &Order,
        result: i32,
        ports: &mut Ports<'_>,
    ) {
        if result != 0 {
            return ports.send(Some(client), &Reply::Failed(order.refusal(result)));
        }
        if let Order::Move { pid, cpu_index, .. } = *order {
            self.moved(pid, cpu_index);
        }
        ports.send(Some(client), &Reply::Done(order.done()));
    }

    fn failing(&self, injection: Injection) -> Result<Order, String> {
        match injection {
            Injection::Cpu { failure, cpu } => {
                let how = match failure {
                    CpuFailure::Panic => syscall::Injection::Panic,
                    CpuFailure::Hang => syscall::Injection::Hang,
                    CpuFailure::BadRaddr => syscall::Injection::BadRaddr,
                };
                Ok(Order::Inject { how: how.into(), target: self.cpu_of(cpu)?, call: 0 })
            }
            Injection::Process { failure, pid, call } => {
                let how = match failure {
                    ProcessFailure::End => syscall::Injection::End,
                    ProcessFailure::EndAfter => syscall::Injection::EndAfter,
                    ProcessFailure::Fault => syscall::Injection::Fault,
                    ProcessFailure::Loop => syscall::Injection::Loop,
                };
                Ok(Order::Inject { how: how.into(), target: pid.unwrap_or(0), call })
            }
        }
    }

    fn moved(&mut self, pid: u32, to: u32) {
        let session = self.sessions.of_pid(pid).and_then(|id| self.sessions.get_mut(id));
        if let Some(session) = session
            && let Stage::Exists { cpu_index, .. } = &mut session.stage
        {
            *cpu_index = to;
        }
    }
}

impl Daemon {
    /// Ends a process: that of a session by what Linux has of it, AnT's own by `init`.
    pub(crate) fn kill(
        &mut self,
        client: ClientId,
        peer: &Peer,
        pid: u32,
        signal: i32,
    ) -> Result<(), Collapse> {
        if !(1..=64).contains(&signal) {
            self.fail(client, format!("there is no signal {signal}"));
            return Ok(());
        }
        let Some((running, mut ports)) = self.running_or_fail(client) else { return Ok(()) };
        let refused = match running.allowed(peer, pid) {
            Ok(Some(id)) => {
                let text = format!("killed by `antctl kill` of user {}", peer.uid);
                return running.end_session(id, signal, &text, Some(client), &mut ports);
            }
            Ok(None) => running.order(client, Order::Kill { pid, signal }).err(),
            Err(text) => Some(text),
        };
        self.fail_if(client, refused);
        Ok(())
    }

    /// Gives a process another priority.
    pub(crate) fn priority(&mut self, client: ClientId, peer: &Peer, pid: u32, priority: u32) {
        let Ok(wanted) = Priority::try_from(priority) else {
            return self.fail(client, no_priority(priority));
        };
        let Some((running, _)) = self.running_or_fail(client) else { return };
        // More than others' programs have, or even servers, is not for everybody to take.
        let allowed = running.allowed(peer, pid).and_then(|_| match wanted <= USUAL {
            true => Ok(()),
            false if peer.is_root() => Ok(()),
            false => Err(format!("only root can give a priority above {USUAL}: use sudo")),
        });
        let asked = allowed.and_then(|()| running.order(client, Order::Priority { pid, priority }));
        self.fail_if(client, asked.err());
    }

    /// Moves a process to another CPU.
    pub(crate) fn move_process(&mut self, client: ClientId, peer: &Peer, pid: u32, cpu: u32) {
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let allowed = running.allowed(peer, pid).and_then(|_| running.cpu_of(cpu));
        let asked = allowed
            .and_then(|cpu_index| running.order(client, Order::Move { pid, cpu_index, cpu }));
        self.fail_if(client, asked.err());
    }

    /// Restarts a server.
    pub(crate) fn restart_server(&mut self, client: ClientId, peer: &Peer, server: String) {
        if !self.is_root(client, peer, "restart a server") {
            return;
        }
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked = running.survey(client, Purpose::Restart(server));
        self.fail_if(client, asked.err());
    }

    /// Puts a program in a server's place. It comes with the request, in a sealed memory file.
    pub(crate) fn replace_server(
        &mut self,
        client: ClientId,
        peer: &Peer,
        server: String,
        descriptors: Vec<OwnedFd>,
    ) {
        if !self.is_root(client, peer, "replace a server") {
            return;
        }
        let Ok([file]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return self.fail(client, "a replace request needs the program");
        };
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked =
            program::unseal(file).map_err(|error| format!("the program: {error}")).and_then(
                |program| running.survey(client, Purpose::Replace(Upload::new(server, program))),
            );
        self.fail_if(client, asked.err());
    }

    /// Makes AnT fail.
    pub(crate) fn inject(&mut self, client: ClientId, peer: &Peer, injection: Injection) {
        if !self.is_root(client, peer, "make AnT fail") {
            return;
        }
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked = if running.partition.allow_inject {
            let order = running.failing(injection);
            order.and_then(|order| running.order(client, order))
        } else {
            Err("AnT was not booted for that: `antctl boot --allow-inject …`".into())
        };
        self.fail_if(client, asked.err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_would_end_init_is_told_what_ends_ant() {
        let order = Order::Kill { pid: INIT, signal: 9 };
        let text = order.refusal(Error::NotPermitted.to_return() as i32);
        assert!(text.contains("`antctl stop` ends AnT"), "{text}");
    }

    #[test]
    fn who_fails_to_replace_is_told_that_nothing_has_changed() {
        let order = Order::Replace { server: "serial".into() };
        for error in [Error::TimedOut, Error::NotExecutable, Error::PeerRestarted, Error::Io] {
            let text = order.refusal(error.to_return() as i32);
            assert!(text.starts_with("serial was not replaced, it keeps its program: "), "{text}");
        }
        let text = order.refusal(Error::NoEntry.to_return() as i32);
        assert!(text.contains("no server serial"), "{text}");
    }

    #[test]
    fn who_restarts_a_server_that_does_not_serve_is_told_why() {
        let order = Order::Restart { server: "serial".into() };
        let text = order.refusal(Error::PeerGone.to_return() as i32);
        assert!(text.starts_with("serial does not serve yet: the new one ended before"), "{text}");
        let text = order.refusal(Error::NoMemory.to_return() as i32);
        assert!(text.starts_with("serial was not restarted: AnT has no memory"), "{text}");
    }

    #[test]
    fn a_kernel_without_fault_injection_is_named_as_that() {
        let order = Order::Inject { how: syscall::Injection::End.into(), target: 2, call: 1 };
        let text = order.refusal(Error::NoSystemCall.to_return() as i32);
        assert!(text.starts_with("this kernel was built without fault injection"), "{text}");
    }

    #[test]
    fn priorities_have_a_range() {
        let order = Order::Priority { pid: 3, priority: 9 };
        let text = order.refusal(Error::Invalid.to_return() as i32);
        assert_eq!(text, "there is no priority 9: 0 (the lowest) to 7");
        assert_eq!(order.done(), "process 3 has priority 9");
    }
}
