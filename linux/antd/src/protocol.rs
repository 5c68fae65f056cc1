//! What `antctl` and `antd` say to each other: JSON packets over `/run/ant/antd.sock`.
//!
//! A connection carries one request; its replies follow until a final one ([`Reply::is_final`]).
//! Only [`Request::Run`] may be followed by another request, [`Request::End`]. Hanging up while a
//! program runs ends the program.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::socket as packets;

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
    /// Take cores and memory and start AnT. Root only.
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
    /// Stop AnT; cores and memory go back to Linux. Root only.
    Stop,
    /// Make AnT fail. Root only, and only if it was booted to allow that.
    Inject {
        /// How.
        injection: Injection,
        /// Linux's number of the CPU.
        cpu: u32,
    },
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
    /// Whether cores without work look for some all the time.
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
    /// The kernel panics.
    Panic,
    /// The core spins with interrupts off.
    Hang,
    /// The core asks Linux for a page that is not AnT's.
    BadRaddr,
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

/// One process of AnT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// AnT's number.
    pub pid: u32,
    /// Linux's number of its CPU.
    pub cpu: u32,
    /// `program` or `server`.
    pub kind: String,
    /// What it does.
    pub state: String,
    /// Its own priority.
    pub priority: u32,
    /// How often it was started again after it had ended by itself; a server only.
    pub restarts: Option<u32>,
    /// Linux system calls made.
    pub calls: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Who runs it; none for AnT's own.
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
    /// Which process serves by now: the first, the second, …
    pub generation: u32,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
    /// Bytes of its program.
    pub program: u64,
    /// Cycles of the time-stamp counter that its last start took: from AnT's `init` asking for its
    /// process until it was ready.
    pub start_ticks: u64,
    /// Why it last ended; empty if it never has.
    pub last_end: String,
}

/// How things are.
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

/// How AnT is.
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
    /// Programs that run for somebody.
    pub programs: usize,
    /// Proxies that serve an LCA.
    pub proxies: usize,
    /// Proxies that wait for one.
    pub proxies_idle: usize,
    /// Proxies made by fork so far.
    pub forks: u64,
    /// Wake-ups of a proxy for a further call so far.
    pub wakes: u64,
    /// Whether it may be made to fail.
    pub allow_inject: bool,
    /// Its devices.
    pub devices: Vec<Device>,
    /// What is wrong with the control channel, if something is.
    pub control: Option<String>,
    /// The cores, the m-kernel's first.
    pub cores: Vec<CoreStatus>,
}

/// A device that AnT has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What people call it.
    pub name: String,
    /// Its first I/O port.
    pub port: u32,
    /// How many ports it has.
    pub ports: u32,
    /// Its interrupt line.
    pub line: u32,
}

/// How a core is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreStatus {
    /// Linux's number of the CPU.
    pub cpu: u32,
    /// `m-kernel` or `p-kernel`.
    pub role: String,
    /// `off`, `starting`, `ready`, `panicked`, `halted`.
    pub state: String,
    /// Whether it took a doorbell within a second.
    pub answers: bool,
    /// Whether its kernel was entered and not left for seconds.
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
    /// Interrupts nobody asked for.
    pub strays: u64,
    /// Timer interrupts.
    pub timer: u64,
    /// Changes of process.
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
    /// How grave it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Something no longer works.
    Error,
    /// Something unexpected that AnT dealt with.
    Warn,
    /// A change.
    Info,
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

/// `antctl`'s end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl Connection {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    ///
    /// `ENOENT` or `ECONNREFUSED` if there is none.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        let raw = std::os::fd::AsRawFd::as_raw_fd(&socket);
        connect(raw, &UnixAddr::new(path)?)?;
        Ok(Self { socket })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The daemon hung up.
    pub fn send(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), MessageError> {
        match packets::send(&self.socket, &encode(request), descriptors) {
            Err(Errno::EPIPE | Errno::ECONNRESET) => Err(MessageError::Closed),
            result => Ok(result?),
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    ///
    /// The daemon hung up, or speaks another revision.
    pub fn receive(&self) -> Result<Reply, MessageError> {
        match packets::receive(&self.socket) {
            Ok(Some(packet)) => decode(&packet.bytes),
            Ok(None) | Err(Errno::ECONNRESET) => Err(MessageError::Closed),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn requests_come_back_as_they_were() {
        let requests = [
            Request::Boot(Boot {
                cpus: vec![1, 2],
                memory: 256 << 20,
                image: IMAGE.into(),
                prefork: 2,
                allow_inject: false,
                poll: true,
                device: DeviceChoice::Com2,
            }),
            Request::Run(Run {
                cpu: Some(2),
                program: OsString::from_vec(b"/not/utf8/\xff".to_vec()),
                args: vec!["".into(), "a b".into(), OsString::from_vec(vec![0x80])],
                umask: 0o027,
            }),
            Request::End { signal: 2 },
            Request::Ps,
            Request::Status,
            Request::Log { follow: true },
            Request::Kill { pid: 7, signal: 15 },
            Request::Servers,
            Request::RestartServer { name: "serial".into() },
            Request::ReplaceServer { name: "serial".into() },
            Request::Priority { pid: 7, priority: 3 },
            Request::Move { pid: 7, cpu: 2 },
            Request::Stop,
            Request::Inject { injection: Injection::Hang, cpu: 3 },
        ];
        for request in requests {
            assert_eq!(decode::<Request>(&encode(&request)).unwrap(), request);
        }
    }

    #[test]
    fn replies_come_back_as_they_were() {
        let replies = [
            Reply::Booted {
                layout: Layout { cpus: vec![1, 2, 3], memory: 1 << 28, devices: vec![] },
                notes: vec!["without COM2: this machine has none".into()],
            },
            Reply::Started { pid: 3, cpu: 2 },
            Reply::Over(Outcome::Faulted { signal: 11, text: "page fault".into() }),
            Reply::Log(vec![LogLine {
                seconds: 0.25,
                cpu: 1,
                level: Level::Warn,
                text: "hm".into(),
            }]),
            Reply::LogEnd,
            Reply::Failed("no".into()),
        ];
        for reply in replies {
            assert_eq!(decode::<Reply>(&encode(&reply)).unwrap(), reply);
        }
    }

    #[test]
    fn another_revision_is_named_even_if_its_message_is_unknown() {
        let unknown = br#"{"protocol":9,"body":{"Teleport":{}}}"#;
        let error = decode::<Request>(unknown).unwrap_err();
        assert!(matches!(error, MessageError::Protocol { theirs: 9 }), "{error}");
        let error = decode::<Request>(b"hello").unwrap_err();
        assert!(matches!(error, MessageError::Malformed(_)), "{error}");
    }

    #[test]
    fn only_two_replies_have_successors() {
        assert!(!Reply::Started { pid: 1, cpu: 1 }.is_final());
        assert!(!Reply::Log(vec![]).is_final());
        assert!(Reply::LogEnd.is_final() && Reply::Done(String::new()).is_final());
    }

    #[test]
    fn a_layout_in_words() {
        let layout = |cpus: &[u32], devices: &[&str]| Layout {
            cpus: cpus.to_vec(),
            memory: 256 << 20,
            devices: devices.iter().map(|&name| name.into()).collect(),
        };
        let words = |cpus: &[u32]| layout(cpus, &[]).in_words();
        assert_eq!(words(&[1]), "m-kernel on CPU 1; 256 MiB");
        assert_eq!(layout(&[1], &["COM2"]).in_words(), "m-kernel on CPU 1; 256 MiB; COM2");
        assert_eq!(words(&[1, 2]), "m-kernel on CPU 1, p-kernel on CPU 2; 256 MiB");
        assert_eq!(words(&[1, 2, 3]), "m-kernel on CPU 1, p-kernels on CPUs 2, 3; 256 MiB");
    }
}
