//! What the daemon replies.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cpu_list::{describe_cpus, describe_memory};
use crate::{LogLine, Process, Server, Status};

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// AnT runs.
    Booted {
        /// Which CPU is what.
        layout: Layout,
        /// What AnT did not get, and why, each a sentence.
        notes: Vec<String>,
    },
    /// The program runs.
    Started {
        /// AnT's number of the process.
        pid: u32,
        /// Linux's number of its CPU.
        cpu: u32,
    },
    /// The program is over.
    Over(ExitReason),
    /// Some of the processes; more may follow.
    Processes(Vec<Process>),
    /// No more processes.
    ProcessesEnd,
    /// OS servers.
    Servers(Vec<Server>),
    /// State of the daemon and of AnT.
    Status(Box<Status>),
    /// Some of AnT's log; more may follow.
    Log(Vec<LogLine>),
    /// Nothing more of the log.
    LogEnd,
    /// Done; a sentence that says what.
    Done(String),
    /// It failed; why, and what to do.
    Failed(String),
}

impl Reply {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Reply::Started { .. } | Reply::Processes(_) | Reply::Log(_))
    }
}

/// What AnT consists of, and which CPU is what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Linux's numbers of the CPUs, the m-kernel's first.
    pub cpus: Vec<u32>,
    /// Bytes of memory.
    pub memory: u64,
    /// Names of its devices.
    pub devices: Vec<String>,
}

impl fmt::Display for Layout {
    /// "m-kernel on CPU 1, p-kernels on CPUs 2, 3; 256 MiB; COM2".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cpus.as_slice() {
            [] => {}
            [m] => write!(f, "m-kernel on CPU {m}; ")?,
            [m, p] => write!(f, "m-kernel on CPU {m}, p-kernel on CPU {p}; ")?,
            [m, rest @ ..] => {
                write!(f, "m-kernel on CPU {m}, p-kernels on {}; ", describe_cpus(rest))?;
            }
        }
        f.write_str(&describe_memory(self.memory))?;
        self.devices.iter().try_for_each(|device| write!(f, "; {device}"))
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// It exited.
    Exited {
        /// Its exit status.
        status: u8,
    },
    /// A fault ended it.
    Faulted {
        /// The Linux signal that stands for it.
        signal: i32,
        /// What happened.
        text: String,
    },
    /// It was killed.
    Killed {
        /// The signal.
        signal: i32,
        /// Where the request came from.
        text: String,
    },
    /// It could not be loaded.
    LoadFailed {
        /// Error number.
        errno: i32,
        /// What happened.
        text: String,
    },
    /// Its proxy died, and the program with it.
    ProxyDied {
        /// Signal that killed the proxy, or 0.
        signal: i32,
        /// What happened.
        text: String,
    },
    /// It ended with AnT, or never started.
    Lost {
        /// What happened.
        text: String,
    },
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { status } => write!(f, "exit status {status}"),
            Self::Faulted { text, .. }
            | Self::Killed { text, .. }
            | Self::LoadFailed { text, .. }
            | Self::ProxyDied { text, .. }
            | Self::Lost { text } => f.write_str(text),
        }
    }
}
