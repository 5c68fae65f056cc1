//! What a client asks of the daemon.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Tables;

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
    /// List the processes.
    Ps,
    /// State of the daemon and of AnT.
    Status,
    /// AnT's kernel log.
    Log {
        /// Continue with lines as they are written.
        follow: bool,
    },
    /// End a process as signal `signal` would.
    Kill {
        /// AnT's number of the process.
        pid: u32,
        /// Linux's number of the signal.
        signal: i32,
    },
    /// List the OS servers.
    Servers,
    /// Restart a server. Root only.
    RestartServer {
        /// The server's name.
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
    /// Inject a fault. Root only, and only if AnT was booted to allow that.
    Inject(Injection),
}

/// What a partition is to consist of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Linux's numbers of the CPUs; the first becomes the m-kernel's.
    pub cpus: Vec<u32>,
    /// Bytes of memory.
    pub memory: u64,
    /// What it has room for.
    pub tables: Tables,
    /// Kernel image, absolute.
    pub image: PathBuf,
    /// The program of `init`, absolute.
    pub init: PathBuf,
    /// The manifest, absolute.
    pub manifest: PathBuf,
    /// Proxies to keep ready.
    pub prefork: u32,
    /// Whether fault injection is allowed.
    pub allow_inject: bool,
    /// Whether idle CPUs poll.
    pub poll: bool,
    /// Which device it gets.
    pub device: DeviceChoice,
}

/// Which device AnT gets, if it is unused on Linux.
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

/// A fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injection {
    /// On a CPU.
    Cpu {
        /// Which fault.
        failure: CpuFailure,
        /// Linux's number of it.
        cpu: u32,
    },
    /// In a process.
    Process {
        /// Which fault.
        failure: ProcessFailure,
        /// AnT's number of it; `None`: the server that is created next.
        pid: Option<u32>,
        /// At which of its next system calls, 1 being the next.
        call: u32,
    },
}

/// A fault of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CpuFailure {
    /// The kernel panics.
    Panic,
    /// The CPU spins with interrupts off.
    Hang,
    /// The CPU sends Linux the raddr of a page outside the partition.
    BadRaddr,
}

/// A fault of a process at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessFailure {
    /// It is ended in place of the call.
    End,
    /// It is ended as soon as the call has been served.
    EndAfter,
    /// It runs into a page fault in place of the call.
    Fault,
    /// It repeats the call for ever.
    Loop,
}
