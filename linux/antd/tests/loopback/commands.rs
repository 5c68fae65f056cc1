//! What `init` is asked for clients: processes, servers, priorities.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use ant_abi::Error;
use ant_abi::control::{
    LIST_MAX, REQUEST_LIST, REQUEST_MOVE, REQUEST_PRIORITY, REQUEST_PROGRAM, REQUEST_REPLACE,
    REQUEST_RESTART, REQUEST_SERVERS, ReportedState, ServerInfo,
};
use ant_abi::syscall::{NAME_LEN, ProcessInfo, ProcessState};
use ant_protocol::{Boot, Reply, Request, Tables, program};
use rustix::process::getuid;
use zerocopy::{FromZeros, IntoBytes};

use crate::client::{Client, done, failed};
use crate::player::{Asked, World};

scenarios!(
    processes_are_listed,
    many_processes_are_listed,
    servers_are_listed,
    a_server_is_restarted,
    a_server_is_replaced,
    a_server_that_fails_to_start_is_not_put_in_place,
    priorities_and_moves,
);

fn processes_are_listed() {
    let (mut world, _client, process, proxy) = World::running("ps");
    let client = world.request(&Request::Ps);
    let asked = world.init_asked();
    assert_eq!((asked.head.kind, asked.head.a), (REQUEST_LIST, 0));
    let mut name = [0; NAME_LEN];
    name[..4].copy_from_slice(b"init");
    let info = |pid, cpu_index| ProcessInfo {
        pid,
        cpu: cpu_index,
        state: ProcessState::Running.into(),
        pages: 3,
        priority: 2,
        kind: 0,
        calls: 9,
        name,
    };
    let list = [info(1, 0), info(process.pid, 1), ProcessInfo { kind: 1, state: 6, ..info(40, 0) }];
    world.init_answers(&asked, Ok(list.as_bytes()));
    world.init_names_servers(&[server("serial", 40)]);
    let Reply::Processes(processes) = client.reply() else { panic!() };
    assert_eq!(client.reply(), Reply::ProcessesEnd);
    assert_eq!(processes.len(), 3);
    assert_eq!((processes[1].kind.as_str(), processes[1].restarts), ("program", None));
    assert_eq!((processes[2].kind.as_str(), processes[2].state.as_str()), ("server", "receiving"));
    assert_eq!((processes[2].restarts, processes[2].priority), (Some(3), 2));
    assert_eq!((processes[2].uid, processes[2].proxy), (None, None));
    assert_eq!((processes[0].command.as_str(), processes[0].uid), ("init", None));
    assert!(processes[0].proxy.is_none(), "the daemon serves it");
    assert_eq!(processes[1].command, "/usr/lib/ant/apps/wc -l");
    assert_eq!((processes[1].cpu, processes[1].memory, processes[1].calls), (2, 12288, 9));
    assert_eq!(processes[1].proxy, Some(proxy.as_raw_pid()));
    assert_eq!(processes[1].uid, Some(getuid().as_raw()));
}

/// More than one packet has room for, and more than usual tables.
fn many_processes_are_listed() {
    let mut world = World::new("many");
    let tables = Tables { processes: 1000, ..Tables::USUAL };
    let client = world.boot_request(&Boot { tables, ..world.boot(0) });
    world.come_up(2);
    assert!(matches!(client.reply(), Reply::Booted { .. }));
    let client = world.client();
    client.send(&Request::Ps);
    let info =
        |pid| ProcessInfo { pid, cpu: 1, name: [b'x'; NAME_LEN], ..ProcessInfo::new_zeroed() };
    let mut listed = 0;
    while listed < 1000 {
        let asked = world.init_asked();
        assert_eq!(asked.head.kind, REQUEST_LIST);
        let first = asked.head.a.max(1);
        assert_eq!(first, listed + 1);
        let list: Vec<ProcessInfo> = (first..=1000).map(info).take(LIST_MAX).collect();
        listed += list.len() as u32;
        world.init_answers(&asked, Ok(list.as_bytes()));
    }
    world.init_names_servers(&[]);
    let mut pids = Vec::new();
    while let Reply::Processes(some) = client.reply() {
        pids.extend(some.iter().map(|process| process.pid));
    }
    assert!(pids.into_iter().eq(1..=1000));
}

fn server(name: &str, pid: u32) -> ServerInfo {
    let mut info = ServerInfo::new_zeroed();
    info.name[..name.len()].copy_from_slice(name.as_bytes());
    (info.pid, info.state, info.generation, info.restarts) =
        (pid, ReportedState::Serves.into(), 4, 3);
    info.last_end[..5].copy_from_slice(b"fault");
    info
}

impl World {
    /// `init` is asked for the servers, and names these.
    fn init_names_servers(&mut self, servers: &[ServerInfo]) {
        let asked = self.init_asked();
        assert_eq!(asked.head.kind, REQUEST_SERVERS);
        self.init_answers(&asked, Ok(servers.as_bytes()));
    }

    /// `init` is asked for something of this kind, and does it, or not. What it was asked.
    fn init_obeys(&mut self, kind: u32, result: Result<(), Error>) -> Asked {
        let asked = self.init_asked();
        assert_eq!(asked.head.kind, kind);
        self.init_answers(&asked, result.map(|()| [].as_slice()));
        asked
    }
}

fn servers_are_listed() {
    let mut world = World::booted("servers", 0);
    let client = world.request(&Request::Servers);
    let asked = world.init_asked();
    assert_eq!(asked.head.kind, REQUEST_LIST);
    let mut info = ProcessInfo::new_zeroed();
    (info.pid, info.cpu, info.kind) = (40, 1, 1);
    world.init_answers(&asked, Ok(info.as_bytes()));
    world.init_names_servers(&[server("serial", 40), server("idle", 0)]);
    let Reply::Servers(servers) = client.reply() else { panic!() };
    assert_eq!((servers[0].name.as_str(), servers[0].state.as_str()), ("serial", "serves"));
    assert_eq!((servers[0].pid, servers[0].cpu), (Some(40), Some(2)));
    assert_eq!((servers[1].pid, servers[1].cpu), (None, None));
    assert_eq!((servers[0].generation, servers[0].last_end.as_str()), (4, "fault"));
    let _ = done(world.ask(&Request::Stop));
    let ps = failed(world.ask(&Request::Ps));
    assert_eq!(world.ask(&Request::Servers), Reply::Failed(ps));
}

fn a_server_is_restarted() {
    let mut world = World::booted("restart", 0);
    let restart =
        |world: &World, name: &str| world.request(&Request::RestartServer { name: name.into() });
    let client = restart(&world, "serial");
    world.init_names_servers(&[server("serial", 40)]);
    assert_eq!(world.init_obeys(REQUEST_RESTART, Ok(())).rest, b"serial");
    assert_eq!(done(client.reply()), "serial was restarted");
    let client = restart(&world, "seriall");
    world.init_names_servers(&[server("serial", 40), server("idle", 0)]);
    assert_eq!(client.refusal(), "AnT has no server seriall: it has serial, idle");
    let client = restart(&world, "serial");
    world.init_names_servers(&[server("serial", 40)]);
    let _ = world.init_obeys(REQUEST_RESTART, Err(Error::NoMemory));
    assert!(client.refusal().starts_with("serial was not restarted: AnT has no memory"));
}

/// Asks for `serial` to be replaced by a program of so many bytes.
fn replace(world: &World, len: usize) -> (Client, Vec<u8>) {
    let mut program: Vec<u8> = (0..len).map(|n| (n / 7) as u8).collect();
    program[..4].copy_from_slice(b"\x7fELF");
    let client = world.client();
    let file = program::seal(&program).unwrap();
    client.0.send(&Request::ReplaceServer { name: "serial".into() }, &[file.as_fd()]).unwrap();
    (client, program)
}

fn a_server_is_replaced() {
    let mut world = World::booted("replace", 0);
    let (client, program) = replace(&world, 10_000);
    world.init_names_servers(&[server("serial", 40)]);
    let mut got = Vec::new();
    while got.len() < program.len() {
        let asked = world.init_obeys(REQUEST_PROGRAM, Ok(()));
        assert_eq!((asked.head.a as usize, asked.head.b), (got.len(), 10_000));
        got.extend(asked.rest);
        if got.len() < program.len() {
            let (other, _) = replace(&world, 100);
            assert!(other.refusal().contains("another server is being replaced"));
        }
    }
    assert_eq!(got, program);
    let asked = world.init_asked();
    assert_eq!((asked.head.kind, asked.rest.as_slice()), (REQUEST_REPLACE, b"serial".as_slice()));
    // To start takes its time.
    std::thread::sleep(Duration::from_secs(6));
    assert!(!client.has_reply());
    world.init_answers(&asked, Ok(&[]));
    assert_eq!(done(client.reply()), "serial was replaced");
    // What is no sealed program is refused.
    let client = world.client();
    let request = Request::ReplaceServer { name: "serial".into() };
    client.0.send(&request, &[File::open("/proc/self/exe").unwrap().as_fd()]).unwrap();
    assert!(client.refusal().contains("no sealed memory file"));
    assert!(
        matches!(world.ask(&request), Reply::Failed(text) if text.contains("needs the program"))
    );
}

fn a_server_that_fails_to_start_is_not_put_in_place() {
    let mut world = World::booted("noreplace", 0);
    let (client, _) = replace(&world, 100);
    world.init_names_servers(&[server("serial", 40)]);
    let _ = world.init_obeys(REQUEST_PROGRAM, Ok(()));
    let _ = world.init_obeys(REQUEST_REPLACE, Err(Error::PeerGone));
    let text = client.refusal();
    assert!(text.contains("serial was not replaced, it keeps its program: "), "{text}");
    assert!(text.contains("ended before it served"), "{text}");
    // Nor one that AnT has no room for, nor one of a client that has closed its connection.
    let (client, _) = replace(&world, 10_000);
    world.init_names_servers(&[server("serial", 40)]);
    let _ = world.init_obeys(REQUEST_PROGRAM, Err(Error::NoMemory));
    assert!(client.refusal().contains("program: AnT has no memory"));
    let (client, _) = replace(&world, 10_000);
    world.init_names_servers(&[server("serial", 40)]);
    let asked = world.init_asked();
    drop(client);
    let _ = world.request(&Request::Status).status();
    world.init_answers(&asked, Ok(&[]));
    // The next thing that init is asked is something else.
    let (client, _) = replace(&world, 100);
    world.init_names_servers(&[]);
    assert_eq!(client.refusal(), "AnT has no server serial: it has none");
}

fn priorities_and_moves() {
    let (mut world, _client, process, _) = World::running("prio");
    let client = world.request(&Request::Priority { pid: process.pid, priority: 5 });
    let asked = world.init_obeys(REQUEST_PRIORITY, Ok(()));
    assert_eq!((asked.head.a, asked.head.b), (process.pid, 5));
    assert_eq!(done(client.reply()), format!("process {} has priority 5", process.pid));
    let client = world.request(&Request::Priority { pid: process.pid, priority: 8 });
    assert_eq!(client.refusal(), "there is no priority 8: 0 (the lowest) to 7");
    let client = world.request(&Request::Move { pid: process.pid, cpu: 9 });
    assert!(client.refusal().contains("CPU 9 is not AnT's"));
    let client = world.request(&Request::Move { pid: process.pid, cpu: 1 });
    let asked = world.init_obeys(REQUEST_MOVE, Ok(()));
    assert_eq!((asked.head.a, asked.head.b), (process.pid, 0));
    assert_eq!(done(client.reply()), format!("process {} goes to CPU 1", process.pid));
    let client = world.request(&Request::Move { pid: process.pid, cpu: 2 });
    let _ = world.init_obeys(REQUEST_MOVE, Err(Error::Busy));
    assert!(client.refusal().contains("try again"));
}
