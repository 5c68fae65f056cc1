//! What is reported about AnT: processes, servers, CPUs, the log.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Tables;

/// One process of AnT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// AnT's number.
    pub pid: u32,
    /// Linux's number of its CPU.
    pub cpu: u32,
    /// `program` or `server`.
    pub kind: String,
    /// Its state.
    pub state: String,
    /// Its own priority.
    pub priority: u32,
    /// Restarts after it had ended by itself; a server only.
    pub restarts: Option<u32>,
    /// Linux system calls made.
    pub calls: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// The user that runs it; `None` for a server.
    pub uid: Option<u32>,
    /// Linux's number of its proxy, if it has one now.
    pub proxy: Option<i32>,
    /// Program and arguments.
    pub command: String,
}

/// One OS server of AnT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// `starting`, `serves`, `waits` to be started again, `given up`.
    pub state: String,
    /// AnT's number of its process, if it has one.
    pub pid: Option<u32>,
    /// Linux's number of that one's CPU.
    pub cpu: Option<u32>,
    /// Priority.
    pub priority: u32,
    /// Counts the processes that have served under this name, this one included.
    pub generation: u32,
    /// Restarts after it had ended by itself.
    pub restarts: u32,
    /// Bytes of its program.
    pub program: u64,
    /// Cycles of the time-stamp counter that its last start took: from AnT's `init` asking for its
    /// process until it was ready.
    pub start_ticks: u64,
    /// Microseconds that its last restart took: from its end being noticed, or the order, until it
    /// served again; if it was ever restarted.
    pub restart_us: Option<u64>,
    /// Why it last ended; empty if it never has.
    pub last_end: String,
}

/// State of the daemon and of AnT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Linux's number of the daemon.
    pub antd_pid: u32,
    /// ABI revision of the daemon.
    pub revision: u32,
    /// ABI revision of the module, if it is loaded.
    pub module_revision: Option<u32>,
    /// AnT, if it runs.
    pub partition: Option<PartitionStatus>,
    /// Why AnT ended the last time, if it was not asked to.
    pub last_failure: Option<String>,
}

/// State of a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Number of the partition on this machine.
    pub number: u32,
    /// The kernel image.
    pub image: PathBuf,
    /// Seconds since it was booted.
    pub uptime_s: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that processes may have.
    pub memory_managed: u64,
    /// Bytes that are free.
    pub memory_free: u64,
    /// What it has room for.
    pub tables: Tables,
    /// Programs that run.
    pub programs: usize,
    /// Proxies that serve an LCA.
    pub proxies: usize,
    /// Proxies that wait for one.
    pub proxies_idle: usize,
    /// Proxies made by fork so far.
    pub forks: u64,
    /// Wake-ups of a proxy for a further call so far.
    pub wakes: u64,
    /// Whether fault injection is allowed.
    pub allow_inject: bool,
    /// Its devices.
    pub devices: Vec<Device>,
    /// The CPUs, the m-kernel's first.
    pub cpus: Vec<CpuStatus>,
}

/// A device that AnT has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What it has.
    pub resources: Vec<Resource>,
}

/// A resource of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// I/O ports.
    Ports {
        /// The first.
        start: u64,
        /// How many.
        len: u64,
    },
    /// Device memory.
    Memory {
        /// Physical address.
        start: u64,
        /// Bytes.
        len: u64,
    },
    /// An interrupt.
    Interrupt {
        /// Its line, Linux's number of the irq.
        line: u32,
    },
}

/// State of a CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuStatus {
    /// Linux's number of the CPU.
    pub cpu: u32,
    /// `m-kernel` or `p-kernel`.
    pub role: String,
    /// `off`, `starting`, `ready`, `panicked`, `halted`.
    pub state: String,
    /// Whether it took a doorbell within a second.
    pub answers: bool,
    /// Whether its kernel was entered and not left for seconds: it hangs.
    pub hangs: bool,
    /// Process that runs now.
    pub running_pid: Option<u32>,
    /// Processes that live there.
    pub processes: u32,
    /// Linux system calls sent.
    pub calls: u64,
    /// Of those, returned.
    pub returned: u64,
    /// Doorbells taken.
    pub doorbells: u64,
    /// Its doorbells that Linux took.
    pub linux_doorbells: u64,
    /// Requests that Linux refused.
    pub refused: u64,
    /// Unexpected interrupts.
    pub strays: u64,
    /// Interrupts of devices.
    pub device_interrupts: u64,
    /// Timer interrupts.
    pub timer: u64,
    /// Context switches.
    pub switches: u64,
    /// Processes ended by faults.
    pub faults: u64,
    /// Part of its life spent halted, in per cent.
    pub idle_percent: f64,
}

/// A line of AnT's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Seconds since AnT was booted.
    pub seconds: f64,
    /// Linux's number of the CPU.
    pub cpu: u32,
    /// Its level.
    pub level: Level,
    /// Its text.
    pub text: String,
}

/// Level of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Something no longer works.
    Error,
    /// Something unexpected that AnT handled.
    Warn,
    /// A change.
    Info,
}
