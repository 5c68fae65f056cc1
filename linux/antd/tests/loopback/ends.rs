//! Programs end, in every way, and their clients are told.

use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ant_abi::Error;
use ant_abi::control::{REQUEST_KILL, REQUEST_SPAWN};
use ant_abi::lca::{CFLAG_CONTINUE, ExitKind};
use ant_logic::calls::nr;
use ant_protocol::{ExitReason, Reply, Request};
use rustix::process::{Signal, kill_process};

use crate::calls::{no_arguments, opening, reading, writing};
use crate::client::{done, failed};
use crate::player::{Process, World, has_gone, null, wait_for};

scenarios!(
    the_end_of_a_process_reaches_its_client,
    a_program_that_cannot_be_loaded,
    a_killed_proxy_ends_its_program_only,
    a_program_that_closes_no_pipe_dies_of_it,
    ctrl_c_ends_a_program_with_a_proxy,
    ctrl_c_ends_a_program_without_a_proxy,
    ctrl_c_before_the_process_exists,
    hanging_up_ends_the_program,
    kill_by_number,
    a_refused_spawn_is_explained,
);

fn the_end_of_a_process_reaches_its_client() {
    let mut world = World::booted("end", 0);
    let ends = [
        (
            ExitKind::Faulted,
            11,
            "page fault at 0x10",
            ExitReason::Faulted { signal: 11, text: "page fault at 0x10".into() },
        ),
        (ExitKind::Killed, 15, "killed", ExitReason::Killed { signal: 15, text: "killed".into() }),
        (ExitKind::Exited, 256 + 7, "", ExitReason::Exited { status: 7 }),
    ];
    for (kind, number, text, outcome) in ends {
        // The first call is the end, so a proxy is forked for it.
        let (client, process) = world.run(null().as_fd());
        world.end(process, kind, number, text);
        world.closed(process);
        assert_eq!(client.reply(), Reply::Over(outcome));
    }
}

fn a_program_that_cannot_be_loaded() {
    let mut world = World::booted("load", 0);
    let (client, process) = world.run(null().as_fd());
    // It is loaded on the m-kernel's CPU, whatever CPU it will run on.
    let loading = Process { cpu_index: 0, ..process };
    let page = world.call(loading, nr::OPENAT, CFLAG_CONTINUE, opening(b"/no/such\0"));
    assert_eq!(page.retval, Error::NoEntry.to_return());
    world.end(loading, ExitKind::LoadFailed, 2, "no such file");
    world.closed(loading);
    let outcome = ExitReason::LoadFailed { errno: 2, text: "no such file".into() };
    assert_eq!(client.reply(), Reply::Over(outcome));
}

fn a_killed_proxy_ends_its_program_only() {
    let (mut world, other_client, other, other_proxy) = World::running("killed");
    let (reader, _writer) = pipe().unwrap();
    let (client, process) = world.run(OwnedFd::from(reader).as_fd());
    let proxy = world.proxy_of(process);
    assert_ne!(proxy, other_proxy);
    // In the middle of a call that blocks.
    world.submit(process, nr::READ, CFLAG_CONTINUE, reading(0, 16));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!world.has_come(process));
    kill_process(proxy, Signal::KILL).unwrap();
    world.closed(process);
    match client.reply() {
        Reply::Over(ExitReason::ProxyDied { signal: 9, text }) => {
            assert!(text.contains(&format!("pid {proxy}")) && text.contains("SIGKILL"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    // A request that it has sent just before belongs to no session.
    world.submit(process, nr::GETPID, CFLAG_CONTINUE, no_arguments);
    world.closed(process);
    assert_eq!(world.proxy_of(other), other_proxy);
    assert!(!other_client.has_reply());
}

fn a_program_that_closes_no_pipe_dies_of_it() {
    let mut world = World::booted("pipe", 0);
    let (reader, writer) = pipe().unwrap();
    let (client, process) = world.run(OwnedFd::from(writer).as_fd());
    let _ = world.proxy_of(process);
    drop(reader);
    world.submit(process, nr::WRITE, CFLAG_CONTINUE, writing(0, b"x"));
    world.closed(process);
    let Reply::Over(ExitReason::Killed { signal: 13, .. }) = client.reply() else { panic!() };
}

fn ctrl_c_ends_a_program_with_a_proxy() {
    let (mut world, client, process, proxy) = World::running("ctrlc");
    client.send(&Request::End { signal: 2 });
    world.closed(process);
    let outcome = ExitReason::Killed { signal: 2, text: "SIGINT".into() };
    assert_eq!(client.reply(), Reply::Over(outcome));
    assert!(has_gone(proxy));
}

fn ctrl_c_ends_a_program_without_a_proxy() {
    let mut world = World::booted("ctrlc2", 0);
    let (client, process) = world.run(null().as_fd());
    client.send(&Request::End { signal: 2 });
    let asked = world.init_asked();
    assert_eq!((asked.head.kind, asked.head.a, asked.head.b), (REQUEST_KILL, process.pid, 2));
    world.init_answers(&asked, Ok(&[]));
    assert!(!client.has_reply());
    world.end(process, ExitKind::Killed, 2, "killed");
    world.closed(process);
    let outcome = ExitReason::Killed { signal: 2, text: "SIGINT".into() };
    assert_eq!(client.reply(), Reply::Over(outcome));
    // And one that AnT has lost already.
    let (client, _) = world.run(null().as_fd());
    client.send(&Request::End { signal: 15 });
    let asked = world.init_asked();
    world.init_answers(&asked, Err(Error::NoProcess));
    assert!(matches!(client.reply(), Reply::Over(ExitReason::Killed { signal: 15, .. })));
}

fn ctrl_c_before_the_process_exists() {
    let mut world = World::booted("ctrlc3", 0);
    let client = world.run_request(null().as_fd());
    let asked = world.init_asked();
    assert_eq!(asked.head.kind, REQUEST_SPAWN);
    let path_len = asked.head.b as usize;
    assert_eq!(&asked.rest[..path_len], b"/usr/lib/ant/apps/wc\0");
    assert_eq!(&asked.rest[path_len..], b"-l\0");
    client.send(&Request::End { signal: 2 });
    std::thread::sleep(Duration::from_millis(30));
    let process = Process { pid: 30, cpu_index: 1, lca: world.ant.lca(9, 1) };
    world.init_has_made(&asked, process);
    let asked = world.init_asked();
    assert_eq!((asked.head.kind, asked.head.a), (REQUEST_KILL, 30));
    world.init_answers(&asked, Ok(&[]));
    world.end(process, ExitKind::Killed, 2, "killed");
    world.closed(process);
    assert!(matches!(client.reply(), Reply::Started { pid: 30, .. }));
    assert!(matches!(client.reply(), Reply::Over(ExitReason::Killed { signal: 2, .. })));
}

fn hanging_up_ends_the_program() {
    let (mut world, client, process, proxy) = World::running("hangup");
    drop(client);
    world.closed(process);
    wait_for("the proxy's end", || has_gone(proxy).then_some(()));
    assert_eq!(world.status().partition.unwrap().programs, 0);
}

fn kill_by_number() {
    let (mut world, client, process, _) = World::running("kill");
    let killer = world.request(&Request::Kill { pid: process.pid, signal: 15 });
    world.closed(process);
    let Reply::Over(ExitReason::Killed { signal: 15, text }) = client.reply() else { panic!() };
    assert!(text.contains("antctl kill"), "{text}");
    assert!(done(killer.reply()).contains("ended"));
    let text = failed(world.ask(&Request::Kill { pid: 77, signal: 99 }));
    assert!(text.contains("no signal 99"), "{text}");
}

fn a_refused_spawn_is_explained() {
    let mut world = World::booted("nospawn", 0);
    let client = world.run_request(null().as_fd());
    let asked = world.init_asked();
    world.init_answers(&asked, Err(Error::NoMemory));
    assert!(client.refusal().contains("no memory or no place"));
    assert_eq!(world.status().partition.unwrap().programs, 0);
}
