//! Processes of AnT and their proxies: which one serves a call, and when an LCA is released.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ant_abi::lca::{CFLAG_CONTINUE, ExitKind};
use ant_abi::store::STORE_ENTRIES;
use ant_logic::calls::nr;
use ant_protocol::{ExitReason, Reply};
use rustix::fs::OFlags;
use rustix::process::getuid;

use crate::calls::{AT_FDCWD, BADF, no_arguments, writing};
use crate::player::{Process, World, has_gone, null, wait_for};

scenarios!(
    calls_of_one_process_share_a_proxy,
    one_shot_calls_get_a_proxy_each,
    an_lca_that_linux_still_uses_is_released_later,
    a_release_that_finds_no_place_comes_later,
    preforked_proxies_are_used_and_replaced,
    a_request_of_an_unknown_lca_is_closed,
);

fn calls_of_one_process_share_a_proxy() {
    let (mut world, client, process, proxy) = World::running("share");
    let path = b"out.txt\0";
    let flags = (OFlags::CREATE | OFlags::RDWR).bits().into();
    let page = world.call(process, nr::OPENAT, CFLAG_CONTINUE, |builder| {
        builder.value(AT_FDCWD).input(path).unwrap();
        builder.value(flags).value(0o666);
    });
    let file = page.retval as u64;
    assert!(page.retval >= 3, "{}", page.retval);
    let page = world.call(process, nr::WRITE, CFLAG_CONTINUE, writing(file, b"hello from AnT"));
    assert_eq!(page.retval, 14);
    let page = world.call(process, nr::PREAD64, CFLAG_CONTINUE, |builder| {
        builder.value(file).output(64).unwrap();
        builder.value(64).value(6);
    });
    assert_eq!((page.retval, &page.buffer[..8]), (8, b"from AnT".as_slice()));
    assert_eq!(world.simple(process, nr::CLOSE, &[file]), 0);
    assert_eq!(world.simple(process, nr::CLOSE, &[file]), BADF);
    assert_eq!(world.proxy_of(process), proxy);
    let written = world.dir.join("out.txt");
    assert_eq!(fs::read(&written).unwrap(), b"hello from AnT", "in the caller's directory");
    let mode = fs::metadata(&written).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "with the caller's umask");
    let partition = world.status().partition.unwrap();
    assert_eq!((partition.forks, partition.proxies, partition.programs), (1, 1, 1));
    assert!(partition.cpus.iter().all(|cpu| cpu.answers));
    world.end(process, ExitKind::Exited, 3, "");
    world.closed(process);
    assert_eq!(client.reply(), Reply::Over(ExitReason::Exited { status: 3 }));
    assert!(has_gone(proxy));
}

fn one_shot_calls_get_a_proxy_each() {
    let mut world = World::booted("oneshot", 0);
    let (client, process) = world.run(null().as_fd());
    let mut proxies = Vec::new();
    for _ in 0..5 {
        let page = world.call(process, nr::GETPID, 0, no_arguments);
        world.released(process);
        proxies.push(page.retval);
    }
    proxies.dedup();
    assert_eq!(proxies.len(), 5, "{proxies:?}");
    // Then continued: one that stays.
    assert_eq!(world.proxy_of(process), world.proxy_of(process));
    world.end(process, ExitKind::Exited, 0, "");
    world.closed(process);
    assert_eq!(client.reply(), Reply::Over(ExitReason::Exited { status: 0 }));
}

fn an_lca_that_linux_still_uses_is_released_later() {
    let mut world = World::booted("busy", 0);
    let (client, process) = world.run(null().as_fd());
    world.ant.set_references(true);
    let _ = world.call(process, nr::GETPID, 0, no_arguments);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!world.has_come(process));
    world.ant.set_references(false);
    world.released(process);
    world.end(process, ExitKind::Exited, 0, "");
    world.closed(process);
    assert_eq!(client.reply(), Reply::Over(ExitReason::Exited { status: 0 }));
}

fn a_release_that_finds_no_place_comes_later() {
    let (mut world, _other_client, other, _) = World::running("full");
    let (client, process) = world.run(null().as_fd());
    // CPU 0 takes nothing, and gets a result for each place of its return store.
    let other = Process { cpu_index: 0, ..other };
    for _ in 0..STORE_ENTRIES {
        world.submit(other, nr::GETPID, CFLAG_CONTINUE, no_arguments);
        wait_for("a result", || (world.ant.read_lca(other.lca).retval != 0).then_some(()));
    }
    let _ = world.call(process, nr::GETPID, 0, no_arguments);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!world.has_come(process));
    world.released(process);
    world.end(process, ExitKind::Exited, 0, "");
    world.closed(process);
    assert_eq!(client.reply(), Reply::Over(ExitReason::Exited { status: 0 }));
}

fn preforked_proxies_are_used_and_replaced() {
    let mut world = World::booted("prefork", 2);
    let partition = world.status().partition.unwrap();
    assert_eq!((partition.proxies_idle, partition.proxies), (2, 0));
    let forks = partition.forks;
    let (client, process) = world.run(null().as_fd());
    let proxy = world.proxy_of(process);
    let uid = world.simple(process, nr::GETUID, &[]);
    assert_eq!(uid, i64::from(getuid().as_raw()));
    let partition = wait_for("a replacement", || {
        world.status().partition.filter(|partition| partition.proxies_idle == 2)
    });
    assert_eq!((partition.proxies, partition.forks), (1, forks + 1));
    world.end(process, ExitKind::Exited, 0, "");
    world.closed(process);
    assert!(matches!(client.reply(), Reply::Over(_)));
    assert!(has_gone(proxy));
}

fn a_request_of_an_unknown_lca_is_closed() {
    let (mut world, _client, process, proxy) = World::running("foreign");
    let foreign = Process { pid: 99, cpu_index: 1, lca: world.ant.lca(77, 3) };
    world.submit(foreign, nr::GETPID, CFLAG_CONTINUE, no_arguments);
    // An old generation of a page that is in use.
    let late = Process { lca: world.ant.lca(2, 6), ..process };
    world.ant.request(1, late.lca);
    world.closed(foreign);
    world.closed(late);
    assert_eq!(world.proxy_of(process), proxy);
    assert!(!world.has_come(foreign), "once");
}
