//! What `antctl` and `antd` say to each other: JSON packets over `/run/ant/antd.sock`.
//!
//! A connection carries one request; its replies follow until a final one ([`Reply::is_final`]).
//! Only [`Request::Run`] may be followed by another request, [`Request::End`]. Hanging up while a
//! program runs ends the program.

use std::ffi::OsString;
use std::path::PathBuf;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod connection;
mod shown;

pub use connection::Connection;
pub use shown::{
    CpuStatus, Device, Level, LogLine, PartitionStatus, Process, Resource, Server, Status,
};

/// Revision of these messages.
pub const PROTOCOL: u32 = 2;
/// Directory of the socket, the log and the lock.
pub const RUN_DIR: &str = "/run/ant";
/// The daemon's socket.
pub const SOCKET: &str = "/run/ant/antd.sock";
/// What the daemon says when it was started on demand.
pub const DAEMON_LOG: &str = "/run/ant/antd.log";
/// Where programs for AnT are.
pub const APPS_DIR: &str = "/usr/lib/ant/apps";
/// The kernel image that `antctl boot` takes if no other is named.
pub const IMAGE: &str = "/usr/lib/ant/ant-kernel";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Take CPUs and memory and start AnT. Root only.
    Boot(Boot),
    /// Run a program. Comes with four descriptors: what becomes 0, 1 and 2, and the directory.
    Run(Run),
    /// End the program of this connection as signal `signal` would.
    End {
        /// Linux's number of the signal.
        signal: i32,
    },
    /// Which processes there are.
    Ps,
    /// How things are.
    Status,
    /// AnT's kernel log.
    Log {
        /// Go on with what comes.
        follow: bool,
    },
    /// End a process as signal `signal` would.
    Kill {
        /// AnT's number of the process.
        pid: u32,
        /// Linux's number of the signal.
        signal: i32,
    },
    /// Which OS servers there are.
    Servers,
    /// End a server and start it again. Root only.
    RestartServer {
        /// Its name.
        name: String,
    },
    /// Put another program in a server's place. Comes with a sealed memory file that holds it
    /// ([`crate::program`]). Root only.
    ReplaceServer {
        /// The server's name.
        name: String,
    },
    /// Give a process another priority.
    Priority {
        /// AnT's number of the process.
        pid: u32,
        /// 0 is the lowest.
        priority: u32,
    },
    /// Move a process to another CPU.
    Move {
        /// AnT's number of the process.
        pid: u32,
        /// Linux's number of the CPU.
        cpu: u32,
    },
    /// Stop AnT; CPUs and memory go back to Linux. Root only.
    Stop,
    /// Make AnT fail. Root only, and only if it was booted to allow that.
    Inject(Injection),
}

/// What AnT shall consist of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Linux's numbers of the CPUs; the first becomes the m-kernel's.
    pub cpus: Vec<u32>,
    /// Bytes of memory.
    pub memory: u64,
    /// Kernel image, absolute.
    pub image: PathBuf,
    /// Proxies to keep ready.
    pub prefork: u32,
    /// Whether AnT may be made to fail.
    pub allow_inject: bool,
    /// Whether CPUs without work look for some all the time.
    pub poll: bool,
    /// Which device it shall have.
    pub device: DeviceChoice,
}

/// Which device AnT shall have, if Linux can spare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The second serial port.
    Com2,
    /// None.
    None,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Linux's number of the CPU, or any.
    pub cpu: Option<u32>,
    /// The program, absolute.
    pub program: OsString,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The caller's umask.
    pub umask: u32,
}

/// How AnT can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injection {
    /// A CPU does.
    Cpu {
        /// How.
        failure: CpuFailure,
        /// Linux's number of it.
        cpu: u32,
    },
    /// A process does.
    Process {
        /// How.
        failure: ProcessFailure,
        /// AnT's number of it; none: the server that is made next.
        pid: Option<u32>,
        /// At which of its next system calls, 1 being the next.
        call: u32,
    },
}

/// How a CPU of AnT's can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CpuFailure {
    /// The kernel panics.
    Panic,
    /// The CPU spins with interrupts off.
    Hang,
    /// The CPU asks Linux for a page that is not AnT's.
    BadRaddr,
}

/// How a process of AnT's can be made to fail at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessFailure {
    /// It is ended in place of the call.
    End,
    /// It is ended as soon as the call has been served.
    EndAfter,
    /// It runs into a page fault in place of the call.
    Fault,
    /// It makes the call for ever.
    Loop,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// AnT runs.
    Booted {
        /// Which CPU is what.
        layout: Layout,
        /// What AnT does not have, and why; in words.
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
    Over(Outcome),
    /// Processes.
    Processes(Vec<Process>),
    /// OS servers.
    Servers(Vec<Server>),
    /// How things are.
    Status(Box<Status>),
    /// Some of AnT's log; more may follow.
    Log(Vec<LogLine>),
    /// Nothing more of the log.
    LogEnd,
    /// Done; what, in words.
    Done(String),
    /// It did not work; why and what to do.
    Failed(String),
}

impl Reply {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Reply::Started { .. } | Reply::Log(_))
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

impl Layout {
    /// In words: "m-kernel on CPU 1, p-kernels on CPUs 2, 3; 256 MiB; COM2".
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut memory = crate::cpu_list::memory_in_words(self.memory);
        for device in &self.devices {
            memory.push_str("; ");
            memory.push_str(device);
        }
        match self.cpus.as_slice() {
            [] => memory,
            [m] => format!("m-kernel on CPU {m}; {memory}"),
            [m, p] => format!("m-kernel on CPU {m}, p-kernel on CPU {p}; {memory}"),
            [m, rest @ ..] => {
                let rest = crate::cpu_list::cpus_in_words(rest);
                format!("m-kernel on CPU {m}, p-kernels on {rest}; {memory}")
            }
        }
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
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
        /// By whom.
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
    /// It ended with AnT, or never began.
    Lost {
        /// What happened.
        text: String,
    },
}

/// What goes over the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    protocol: u32,
    body: T,
}

/// A message could not be had, or not be made sense of.
#[derive(Debug, Error)]
pub enum MessageError {
    /// The other side speaks another revision.
    #[error(
        "antctl and antd are of different versions (protocol {theirs} here is {PROTOCOL}): restart \
         antd, or install both from one build"
    )]
    Protocol {
        /// Its revision.
        theirs: u32,
    },
    /// Not a message.
    #[error("not a message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Socket(#[from] Errno),
    /// The other side hung up.
    #[error("the other side hung up")]
    Closed,
}

/// A message as bytes.
///
/// # Panics
///
/// Never: these types can all be written.
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(&Envelope { protocol: PROTOCOL, body }).expect("messages can be written")
}

/// A message from bytes.
///
/// # Errors
///
/// It is none, or of another revision.
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, MessageError> {
    match serde_json::from_slice::<Envelope<T>>(bytes) {
        Ok(envelope) if envelope.protocol == PROTOCOL => Ok(envelope.body),
        Ok(envelope) => Err(MessageError::Protocol { theirs: envelope.protocol }),
        // A newer peer's message may be unknown: its revision is the better thing to say.
        Err(error) => match serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(bytes) {
            Ok(envelope) if envelope.protocol != PROTOCOL => {
                Err(MessageError::Protocol { theirs: envelope.protocol })
            }
            _ => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests;
