//! Commands to processes and servers that `init` executes.

use ant_abi::Error;
use ant_abi::control::{
    REQUEST_INJECT, REQUEST_KILL, REQUEST_MOVE, REQUEST_PRIORITY, REQUEST_REPLACE, REQUEST_RESTART,
};
use zerocopy::IntoBytes;

use crate::explain::{no_priority, not_replaced, process_error, server_error};

/// Pid of `init`, AnT's first process.
const INIT: u32 = 1;

/// A command. `init` replies when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlCommand {
    /// End a process of AnT's own.
    Kill {
        /// AnT's number.
        pid: u32,
        /// As this signal would.
        signal: i32,
    },
    /// Inject a fault.
    Inject {
        /// An `ant_abi::syscall::Injection`.
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

impl ControlCommand {
    /// As a request: its kind, two words, and what follows.
    #[must_use]
    pub fn encode(&self) -> (u32, [u32; 2], Vec<u8>) {
        let name = |server: &String| server.clone().into_bytes();
        match self {
            Self::Kill { pid, signal } => (REQUEST_KILL, [*pid, signal.cast_unsigned()], vec![]),
            Self::Inject { how, target, call } => {
                (REQUEST_INJECT, [*how, *target], call.as_bytes().to_vec())
            }
            Self::Priority { pid, priority } => (REQUEST_PRIORITY, [*pid, *priority], vec![]),
            Self::Move { pid, cpu_index, .. } => (REQUEST_MOVE, [*pid, *cpu_index], vec![]),
            Self::Restart { server } => (REQUEST_RESTART, [0, 0], name(server)),
            Self::Replace { server } => (REQUEST_REPLACE, [0, 0], name(server)),
        }
    }

    /// Whether a server has to start before `init` can reply.
    #[must_use]
    pub fn starts_a_server(&self) -> bool {
        matches!(self, Self::Restart { .. } | Self::Replace { .. })
    }

    /// What the client is told when it is done.
    #[must_use]
    pub fn done(&self) -> String {
        match self {
            Self::Kill { .. } => "ended".into(),
            Self::Inject { .. } => "done".into(),
            Self::Priority { pid, priority } => format!("process {pid} has priority {priority}"),
            Self::Move { pid, cpu, .. } => format!("process {pid} goes to CPU {cpu}"),
            Self::Restart { server } => format!("{server} was restarted"),
            Self::Replace { server } => format!("{server} was replaced"),
        }
    }

    /// What `init`'s error number means for this command.
    #[must_use]
    pub fn refusal(&self, result: i32) -> String {
        let error = Error::from_return(i64::from(result));
        match (self, error) {
            (Self::Restart { server } | Self::Replace { server }, Some(Error::NoEntry)) => {
                format!("AnT has no server {server}: `antctl server list` lists them")
            }
            (Self::Restart { server }, Some(Error::PeerGone | Error::TimedOut)) => format!(
                "{server} does not serve yet: {}; `antctl server list` shows its state",
                server_error(result)
            ),
            (Self::Restart { server }, _) => {
                format!("{server} was not restarted: {}", server_error(result))
            }
            (Self::Replace { server }, _) => not_replaced(server, &server_error(result)),
            (Self::Kill { pid: INIT, .. }, Some(Error::NotPermitted)) => {
                "AnT does not allow that init is ended: `antctl stop` ends AnT".into()
            }
            (Self::Inject { .. }, Some(Error::NoSystemCall)) => {
                "this kernel was built without fault injection: `antctl boot --image FILE` boots \
                 another"
                    .into()
            }
            (Self::Priority { priority, .. }, Some(Error::Invalid)) => no_priority(*priority),
            (Self::Priority { pid, .. }, Some(Error::Busy)) => {
                format!("process {pid} is being replaced: try again")
            }
            (Self::Move { pid, .. }, Some(Error::Busy | Error::Again)) => {
                format!("process {pid} cannot be moved now: try again")
            }
            _ => process_error(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_init_is_refused_with_what_ends_ant() {
        let command = ControlCommand::Kill { pid: INIT, signal: 9 };
        let text = command.refusal(Error::NotPermitted.to_return() as i32);
        assert!(text.contains("`antctl stop` ends AnT"), "{text}");
    }

    #[test]
    fn a_failed_replacement_says_that_nothing_has_changed() {
        let command = ControlCommand::Replace { server: "serial".into() };
        for error in [Error::TimedOut, Error::NotExecutable, Error::PeerRestarted, Error::Io] {
            let text = command.refusal(error.to_return() as i32);
            assert!(text.starts_with("serial was not replaced, it keeps its program: "), "{text}");
        }
        let text = command.refusal(Error::NoEntry.to_return() as i32);
        assert!(text.contains("no server serial"), "{text}");
    }

    #[test]
    fn a_failed_restart_says_why() {
        let command = ControlCommand::Restart { server: "serial".into() };
        let text = command.refusal(Error::PeerGone.to_return() as i32);
        assert!(text.starts_with("serial does not serve yet: the new one ended before"), "{text}");
        let text = command.refusal(Error::NoMemory.to_return() as i32);
        assert!(text.starts_with("serial was not restarted: AnT has no memory"), "{text}");
    }

    #[test]
    fn a_kernel_without_fault_injection_is_named_as_that() {
        let how = ant_abi::syscall::Injection::End.into();
        let command = ControlCommand::Inject { how, target: 2, call: 1 };
        let text = command.refusal(Error::NoSystemCall.to_return() as i32);
        assert!(text.starts_with("this kernel was built without fault injection"), "{text}");
    }

    #[test]
    fn priorities_have_a_range() {
        let command = ControlCommand::Priority { pid: 3, priority: 9 };
        let text = command.refusal(Error::Invalid.to_return() as i32);
        assert_eq!(text, "there is no priority 9: 0 (the lowest) to 7");
        assert_eq!(command.done(), "process 3 has priority 9");
    }
}
