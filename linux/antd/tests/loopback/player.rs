//! AnT, played by a test: its CPUs, its `init`, its processes; and the daemon that it meets.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ant_abi::control::{
    CALL_NEXT, CALL_REPLY, CHANNEL_REPLIES, CHANNEL_REQUESTS, INIT_CHANNELS, Reply as InitReply,
    Request as InitRequest,
};
use ant_abi::cpu_block::{CpuRole, CpuState};
use ant_abi::layout::IMAGE_VIRT;
use ant_abi::lca::{CFLAG_CONTINUE, ExitKind, Lca, SYSCALL_EXIT};
use ant_abi::store::{EntryKind, StoreEntry};
use ant_abi::{Error, REVISION};
use ant_logic::calls::nr;
use ant_logic::lca::Builder;
use ant_loopback::{Ant, Loopback};
use ant_protocol::{Boot, Connection, DeviceChoice, Reply, Request, Status, Tables};
use antd::daemon::Daemon;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::client::Client;
use crate::image::image;
use crate::machine::Machine;

/// Memory of the partition.
pub const MEMORY: u64 = 16 << 20;
/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(12);
/// What stands for the program of `init`.
pub const INIT_PROGRAM: &[u8] = b"\x7fELF of init";
/// What stands for the program of the name service.
pub const NAME_PROGRAM: &[u8] = b"\x7fELF of the name service";
/// A smallest manifest.
pub const MANIFEST: &str = "\
[[server]]
name = \"name\"
program = \"./name\"
priority = 5
cpu = 0
restart = { tries = 5, within_ms = 10_000, delay_ms = 20 }
";
/// `init`'s number.
const INIT_PID: u32 = 1;

/// A daemon, and AnT beside it.
pub struct World {
    pub ant: Ant,
    pub daemon: Pid,
    /// Whether the daemon has been reaped.
    ended: bool,
    /// What Linux says of the machine; it has COM2.
    pub machine: Machine,
    /// A directory for the test's files; the socket is there, too.
    pub dir: PathBuf,
    pub init_lcas: [StoreEntry; INIT_CHANNELS],
    /// Returns that have come and were not asked for yet, by CPU.
    seen: Vec<VecDeque<StoreEntry>>,
    next: u64,
}

/// A process of AnT, played.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: u32,
    pub cpu_index: u32,
    pub lca: StoreEntry,
}

impl Process {
    /// An LCA with a continued call of its, for a test to fill.
    pub fn page(self, number: u64) -> Lca {
        let mut page = Lca::new_zeroed();
        page.cid = self.cpu_index;
        page.cflag = CFLAG_CONTINUE;
        page.syscallno = number;
        page
    }
}

/// What `init` was asked.
#[derive(Debug)]
pub struct Asked {
    pub head: InitRequest,
    pub rest: Vec<u8>,
}

// The C library's.
unsafe extern "C" {
    fn fork() -> c_int;
    safe fn _exit(status: c_int) -> !;
}

/// Waits for the end of a child; its exit status.
pub fn exit_status(child: Pid) -> i32 {
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status().unwrap_or_else(|| panic!("{status:?}"))
}

/// Runs `child` in a child process; it exits with what that returns.
pub fn fork_child(child: impl FnOnce() -> i32) -> Pid {
    // SAFETY: this program has one thread, so the child may do anything.
    let result = unsafe { fork() };
    if result == 0 {
        let child = std::panic::AssertUnwindSafe(child);
        // Nothing of the parent is dropped in the child.
        _exit(std::panic::catch_unwind(child).unwrap_or(101));
    }
    Pid::from_raw(result).filter(|_| result > 0).expect("fork")
}

impl World {
    /// A daemon that waits for clients.
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("antd-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let (device, ant) = Loopback::new(MEMORY).unwrap();
        let machine = Machine::with_com2(name);
        let root = machine.root().to_owned();
        let path = dir.join("antd.sock");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        listen(&listener, 16).unwrap();
        let daemon = fork_child(|| {
            if std::env::var_os("ANTD_TEST_LOG").is_some() {
                tracing_subscriber::fmt().with_writer(std::io::stderr).init();
            }
            let daemon = Daemon::new(Box::new(device), listener).expect("a daemon");
            let mut daemon = daemon.on_machine(root);
            i32::from(daemon.run().is_err())
        });
        fs::write(dir.join("kernel"), image(REVISION, IMAGE_VIRT, 4096)).unwrap();
        fs::write(dir.join("init"), INIT_PROGRAM).unwrap();
        fs::write(dir.join("name"), NAME_PROGRAM).unwrap();
        fs::write(dir.join("manifest.toml"), MANIFEST).unwrap();
        let init_lcas = [ant.lca(0, 1), ant.lca(1, 1)];
        let seen = vec![VecDeque::new(); 8];
        Self { ant, daemon, ended: false, machine, dir, init_lcas, seen, next: 1 }
    }

    /// The same, with AnT booted on CPUs 1 and 2, and `init` waiting for requests.
    pub fn booted(name: &str, prefork: u32) -> Self {
        let mut world = Self::new(name);
        let client = world.boot_request(&world.boot(prefork));
        world.come_up(2);
        assert!(matches!(client.reply(), Reply::Booted { .. }));
        world
    }

    /// The same with one program that has made a call, so it has a proxy.
    pub fn running(name: &str) -> (Self, Client, Process, Pid) {
        let mut world = Self::booted(name, 0);
        let (client, process) = world.run(null().as_fd());
        let proxy = world.proxy_of(process);
        (world, client, process, proxy)
    }

    pub fn boot(&self, prefork: u32) -> Boot {
        Boot {
            cpus: vec![1, 2],
            memory: MEMORY,
            tables: Tables::USUAL,
            image: self.dir.join("kernel"),
            init: self.dir.join("init"),
            manifest: self.dir.join("manifest.toml"),
            prefork,
            allow_inject: false,
            poll: false,
            device: DeviceChoice::None,
        }
    }

    pub fn boot_request(&self, boot: &Boot) -> Client {
        self.request(&Request::Boot(boot.clone()))
    }

    /// Comes up as the daemon starts CPU after CPU.
    pub fn come_up(&mut self, cpus: u32) {
        for cpu_index in 0..cpus {
            wait_for("a start", || self.ant.started(cpu_index).map(|_| ()));
            self.ant.set_init_lcas(self.init_lcas);
            let role = if cpu_index == 0 { CpuRole::MKernel } else { CpuRole::PKernel };
            self.ant.set_state(cpu_index, CpuState::Ready, role);
        }
        self.init_waits();
    }

    pub fn client(&self) -> Client {
        Client(Connection::open_at(&self.dir.join("antd.sock")).unwrap())
    }

    /// A client that has made a request.
    pub fn request(&self, request: &Request) -> Client {
        let client = self.client();
        client.send(request);
        client
    }

    /// One request, one reply.
    pub fn ask(&self, request: &Request) -> Reply {
        self.request(request).reply()
    }

    /// The state of AnT, all CPUs of which answer.
    pub fn status(&self) -> Status {
        let kicks: Vec<u64> = (0..2).map(|cpu_index| self.ant.kicks(cpu_index)).collect();
        let client = self.request(&Request::Status);
        let is_kicked = |cpu_index| self.ant.kicks(cpu_index) > kicks[cpu_index as usize];
        wait_for("a kick", || {
            (0..2).all(|cpu_index| is_kicked(cpu_index) || client.has_reply()).then_some(())
        });
        (0..2).for_each(|cpu_index| self.ant.count_doorbell(cpu_index));
        client.status()
    }

    /// `init` asks for the next request, and does not wait.
    pub fn init_waits(&mut self) {
        let requests = self.init(CHANNEL_REQUESTS);
        self.submit(requests, CALL_NEXT, CFLAG_CONTINUE, |_| {});
    }

    /// `init`, as far as one of its channels goes.
    fn init(&self, channel: usize) -> Process {
        Process { pid: INIT_PID, cpu_index: 0, lca: self.init_lcas[channel] }
    }

    /// What `init` is asked.
    pub fn init_asked(&mut self) -> Asked {
        let page = self.result(self.init(CHANNEL_REQUESTS));
        assert!(page.retval > 0, "init got {}", page.retval);
        let bytes = &page.buffer[..page.retval as usize];
        let (head, rest) = InitRequest::read_from_prefix(bytes).unwrap();
        Asked { head, rest: rest.to_vec() }
    }

    /// `init` answers with some bytes, or with an error, and waits for the next request.
    pub fn init_answers(&mut self, asked: &Asked, answer: Result<&[u8], Error>) {
        let result = answer.map_or_else(|error| error.to_return() as i32, |_| 0);
        let reply = InitReply { ticket: asked.head.ticket, result, ..InitReply::new_zeroed() };
        self.init_says(&[reply.as_bytes(), answer.unwrap_or_default()].concat());
    }

    /// `init` has made the process that it was asked for.
    pub fn init_has_made(&mut self, asked: &Asked, process: Process) {
        let Process { pid, cpu_index: cpu, lca } = process;
        let reply = InitReply { ticket: asked.head.ticket, result: 0, pid, cpu, lca: lca.0 };
        self.init_says(reply.as_bytes());
    }

    /// `init` waits for the next request, too, so that the daemon can send one while it takes this reply.
    fn init_says(&mut self, message: &[u8]) {
        self.init_waits();
        let page = self.call(self.init(CHANNEL_REPLIES), CALL_REPLY, CFLAG_CONTINUE, |builder| {
            builder.input(message).unwrap();
        });
        assert_eq!(page.retval, 0);
    }

    /// `init` makes the process that it is asked for, on CPU `cpu_index`.
    pub fn init_spawns(&mut self, cpu_index: u32) -> (Process, Asked) {
        let asked = self.init_asked();
        self.next += 1;
        let process = Process {
            pid: INIT_PID + self.next as u32,
            cpu_index,
            lca: self.ant.lca(self.next, 7),
        };
        self.init_has_made(&asked, process);
        (process, asked)
    }

    /// A client that has asked to run a program, with `stdin`, and output to `/dev/null`.
    pub fn run_request(&self, stdin: BorrowedFd<'_>) -> Client {
        let client = self.client();
        client.run(&self.dir, stdin);
        client
    }

    /// Runs a program as this process, with `stdin`, and output to `/dev/null`.
    pub fn run(&mut self, stdin: BorrowedFd<'_>) -> (Client, Process) {
        let client = self.run_request(stdin);
        let (process, _) = self.init_spawns(1);
        assert!(matches!(client.reply(), Reply::Started { cpu: 2, .. }));
        (client, process)
    }

    /// Puts a call into a process's LCA and sends it.
    pub fn submit(
        &mut self,
        process: Process,
        number: u64,
        flags: u32,
        arguments: impl FnOnce(&mut Builder<'_>),
    ) {
        let mut page = Lca::new_zeroed();
        let mut builder = Builder::new(&mut page, number);
        arguments(&mut builder);
        builder.finish();
        page.cid = process.cpu_index;
        page.cflag = flags;
        self.send(process, &page);
    }

    /// Sends what is in `page`.
    pub fn send(&mut self, process: Process, page: &Lca) {
        self.ant.write_lca(process.lca, page);
        self.ant.request(process.cpu_index, process.lca);
    }

    /// Waits for the result of a call.
    pub fn result(&mut self, process: Process) -> Lca {
        self.comes(process.cpu_index, process.lca);
        self.ant.read_lca(process.lca)
    }

    /// A call, start to end.
    pub fn call(
        &mut self,
        process: Process,
        number: u64,
        flags: u32,
        arguments: impl FnOnce(&mut Builder<'_>),
    ) -> Lca {
        self.submit(process, number, flags, arguments);
        self.result(process)
    }

    /// A continued call with values only; its result.
    pub fn simple(&mut self, process: Process, number: u64, values: &[u64]) -> i64 {
        let arguments = |builder: &mut Builder<'_>| {
            for &value in values {
                builder.value(value);
            }
        };
        self.call(process, number, CFLAG_CONTINUE, arguments).retval
    }

    /// Linux's number of the process's proxy.
    pub fn proxy_of(&mut self, process: Process) -> Pid {
        Pid::from_raw(self.simple(process, nr::GETPID, &[]) as i32).unwrap()
    }

    /// Sends the notice that a process is over.
    pub fn end(&mut self, process: Process, kind: ExitKind, number: u64, text: &str) {
        self.submit(process, SYSCALL_EXIT, 0, |builder| {
            builder.value(kind.into()).value(number).input(text.as_bytes()).unwrap();
        });
    }

    /// Waits until Linux releases a process's LCA after a call: to CPU 0, wherever the process is.
    pub fn released(&mut self, process: Process) {
        self.comes(0, process.lca.with_kind(EntryKind::Released));
    }

    /// Waits until Linux closes a process's channel.
    pub fn closed(&mut self, process: Process) {
        self.comes(0, process.lca.with_kind(EntryKind::Closed));
    }

    /// Whether Linux has given anything of a process's back: a result to its CPU, or a release.
    pub fn has_come(&mut self, process: Process) -> bool {
        [0, process.cpu_index].into_iter().any(|cpu_index| {
            self.take(cpu_index);
            let mut seen = self.seen[cpu_index as usize].iter();
            seen.any(|entry| entry.raddr() == process.lca.raddr())
        })
    }

    fn take(&mut self, cpu_index: u32) {
        while let Some(entry) = self.ant.returned(cpu_index) {
            self.seen[cpu_index as usize].push_back(entry);
        }
    }

    fn comes(&mut self, cpu_index: u32, entry: StoreEntry) {
        let limit = Instant::now() + LIMIT;
        loop {
            self.take(cpu_index);
            let seen = &mut self.seen[cpu_index as usize];
            if let Some(index) = seen.iter().position(|&one| one == entry) {
                seen.remove(index);
                return;
            }
            assert!(
                Instant::now() < limit,
                "{entry:x?} does not come to CPU {cpu_index}: {seen:x?}"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Waits for the daemon's end; its exit status.
    pub fn daemon_ends(&mut self) -> i32 {
        self.ended = true;
        exit_status(self.daemon)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process(self.daemon, Signal::KILL);
            let _ = waitpid(Some(self.daemon), WaitOptions::empty());
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A file without anything.
pub fn null() -> File {
    File::open("/dev/null").unwrap()
}

/// Waits until `found` finds something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < limit, "{what} does not come");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Whether a process has gone (or waits to be reaped).
pub fn has_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}
