//! Users: what a proxy may do, and what only root may ask for.

use std::fs;
use std::io::{Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use ant_abi::lca::{CFLAG_CONTINUE, ExitKind};
use ant_logic::calls::nr;
use ant_protocol::{Connection, ExitReason, Reply, Request};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use zerocopy::IntoBytes;

use crate::calls::{BADF, opening, reading};
use crate::client::Client;
use crate::player::{World, exit_status, fork_child, null};

scenarios!(
    a_proxy_acts_as_the_user,
    a_user_has_a_share_of_the_processes,
    only_root_may_boot_and_stop,
);

/// As another user, which takes root.
fn a_proxy_acts_as_the_user() {
    if !geteuid().is_root() {
        return;
    }
    let mut world = World::booted("user", 1);
    fs::write(world.dir.join("secret"), "s").unwrap();
    fs::set_permissions(world.dir.join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    let (reader, writer) = pipe().unwrap();
    let dir = world.dir.clone();
    let socket = dir.join("antd.sock");
    let child = fork_child(move || {
        become_user(4321, &[4400, 4500]);
        let client = Client(Connection::open_at(&socket).unwrap());
        client.run(&dir, OwnedFd::from(reader).as_fd());
        assert!(matches!(client.reply(), Reply::Started { .. }));
        i32::from(client.reply() != Reply::Over(ExitReason::Exited { status: 0 }))
    });
    let (process, _) = world.init_spawns(1);
    assert_eq!(world.simple(process, nr::GETUID, &[]), 4321);
    assert_eq!(world.simple(process, nr::GETEUID, &[]), 4321);
    assert_eq!(world.simple(process, nr::GETGID, &[]), 4321);
    let page = world.call(process, nr::GETGROUPS, CFLAG_CONTINUE, |builder| {
        builder.value(8).output(32).unwrap();
    });
    assert_eq!(page.retval, 2);
    assert_eq!(page.buffer[..8], *[4400u32, 4500].as_bytes());
    let open = |world: &mut World, path: &[u8]| {
        let page = world.call(process, nr::OPENAT, CFLAG_CONTINUE, opening(path));
        page.retval
    };
    assert_eq!(open(&mut world, b"secret\0"), -i64::from(Errno::ACCESS.raw_os_error()));
    assert_eq!(open(&mut world, b"/etc/shadow\0"), -i64::from(Errno::ACCESS.raw_os_error()));
    let file = open(&mut world, b"/proc/self/status\0");
    assert!(file >= 3, "{file}");
    let page = world.call(process, nr::READ, CFLAG_CONTINUE, reading(file as u64, 3000));
    let text = String::from_utf8_lossy(&page.buffer[..page.retval as usize]).into_owned();
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or("?")
    };
    assert_eq!(field("CapEff:"), "0000000000000000");
    assert_eq!(field("CapPrm:"), "0000000000000000");
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("SigBlk:"), "0000000000000000");
    assert_eq!(field("SigIgn:"), "0000000000000000");
    // What the user gave is there, nothing of the daemon's is.
    (&writer).write_all(b"in").unwrap();
    let page = world.call(process, nr::READ, CFLAG_CONTINUE, reading(0, 8));
    assert_eq!(&page.buffer[..page.retval as usize], b"in");
    assert_eq!(world.simple(process, nr::FCNTL, &[file as u64 + 1, 1]), BADF);
    world.end(process, ExitKind::Exited, 0, "");
    world.closed(process);
    assert_eq!(exit_status(child), 0);
}

/// As another user, which takes root: the last of too many programs is refused, and root's runs.
fn a_user_has_a_share_of_the_processes() {
    if !geteuid().is_root() {
        return;
    }
    let mut world = World::booted("share", 0);
    let (socket, dir) = (world.dir.join("antd.sock"), world.dir.clone());
    let child = fork_child(move || {
        become_user(4321, &[]);
        let run = || {
            let client = Client(Connection::open_at(&socket).unwrap());
            client.run(&dir, null().as_fd());
            client
        };
        let clients: Vec<Client> = (0..64).map(|_| run()).collect();
        assert!(run().refusal().contains("your share of its 128 processes"));
        assert!(clients.iter().all(|client| !client.has_reply()));
        0
    });
    assert_eq!(exit_status(child), 0);
    let client = world.run_request(null().as_fd());
    // The daemon has read both.
    let _ = world.status();
    // Users take turns: it is not behind all that the other user has asked for.
    let _ = (world.init_spawns(1), world.init_spawns(1));
    assert!(matches!(client.reply(), Reply::Started { .. }));
}

fn become_user(id: u32, groups: &[u32]) {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&groups).unwrap();
    set_thread_res_gid(gid, gid, gid).unwrap();
    set_thread_res_uid(uid, uid, uid).unwrap();
}

/// As another user, which takes root.
fn only_root_may_boot_and_stop() {
    if !geteuid().is_root() {
        return;
    }
    let (mut world, root_client, process, _) = World::running("perm");
    let socket = world.dir.join("antd.sock");
    let boot = world.boot(0);
    let pid = process.pid;
    let child = fork_child(move || {
        become_user(4321, &[]);
        let ask = |request: Request| {
            let client = Client(Connection::open_at(&socket).unwrap());
            client.send(&request);
            client.refusal()
        };
        assert!(ask(Request::Boot(boot)).contains("only root"));
        assert!(ask(Request::Stop).contains("only root"));
        assert!(ask(Request::Kill { pid, signal: 9 }).contains("another user's"));
        assert!(ask(Request::Kill { pid: 1, signal: 9 }).contains("no process 1"));
        assert!(ask(Request::Priority { pid, priority: 1 }).contains("another user's"));
        assert!(ask(Request::Move { pid, cpu: 1 }).contains("another user's"));
        assert!(ask(Request::Priority { pid: 40, priority: 1 }).contains("no process 40"));
        assert!(ask(Request::RestartServer { name: "serial".into() }).contains("only root"));
        assert!(ask(Request::ReplaceServer { name: "serial".into() }).contains("only root"));
        0
    });
    assert_eq!(exit_status(child), 0);
    assert!(!root_client.has_reply());
    let _ = world.proxy_of(process);
}
