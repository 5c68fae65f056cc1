//! The first process of AnT: takes requests of `antd` and obeys them with AnT's system calls.
//!
//! Requests come by an ordinary delegated `read` from descriptor 0, replies go by `write` to
//! descriptor 1: a packet socket that this process's proxy has inherited.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_abi::control::{
    LIST_MAX, MESSAGE_MAX, REQUEST_INJECT, REQUEST_KILL, REQUEST_LIST, REQUEST_SPAWN, Reply,
    Request,
};
use ant_abi::syscall::{ProcessCreate, ProcessInfo};
use ant_rt::{Args, ant, init_calls, linux};
use arrayvec::ArrayVec;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

ant_rt::program!(main);

/// `init` must not end: if its channel does, the daemon has, and the partition is about to.
fn main(_: Args) -> i32 {
    loop {
        let mut message = [0; MESSAGE_MAX];
        match linux::read(0, &mut message) {
            Ok(len) if len > 0 => serve(&message[..len]),
            _ => ant::process_yield(),
        }
    }
}

fn serve(message: &[u8]) {
    let Ok((request, rest)) = Request::read_from_prefix(message) else {
        ant::log_write("init: a request too short to answer");
        return;
    };
    let mut reply = Reply::new_zeroed();
    reply.ticket = request.ticket;
    let mut list = ArrayVec::<ProcessInfo, LIST_MAX>::new();
    let result = match request.kind {
        REQUEST_SPAWN => spawn(&request, rest, &mut reply),
        REQUEST_KILL => init_calls::process_kill(request.a, request.b),
        REQUEST_LIST => fill_list(&mut list, request.a),
        // Answered first: a core that panics or hangs answers nothing.
        REQUEST_INJECT => {
            send(&reply, &[]);
            let result = init_calls::fault_inject(request.a, request.b);
            if result.is_err() {
                ant::log_write("init: the partition was not booted for failing on purpose");
            }
            return;
        }
        _ => Err(Error::Protocol),
    };
    reply.result = result.map_or_else(|error| -(error as i32), |()| 0);
    send(&reply, list.as_bytes());
    if request.kind == REQUEST_SPAWN && result.is_ok() {
        // Only now: the daemon knows whose requests will come.
        start(reply.pid);
    }
}

fn spawn(request: &Request, strings: &[u8], reply: &mut Reply) -> Result<(), Error> {
    let mut create = ProcessCreate::new_zeroed();
    create.core = request.a;
    create.path_len = request.b;
    init_calls::process_create(&mut create, strings)?;
    reply.pid = create.pid;
    reply.core = create.placed;
    reply.lca = create.lca;
    Ok(())
}

fn start(pid: u32) {
    if init_calls::process_start(pid).is_err() {
        ant::log_write("init: a new process could not be started");
    }
}

fn fill_list(list: &mut ArrayVec<ProcessInfo, LIST_MAX>, from: u32) -> Result<(), Error> {
    let mut lines = [ProcessInfo::new_zeroed(); LIST_MAX];
    list.extend(init_calls::process_list(&mut lines, from)?.iter().copied());
    Ok(())
}

fn send(reply: &Reply, rest: &[u8]) {
    let mut message = ArrayVec::<u8, MESSAGE_MAX>::new();
    message.extend(reply.as_bytes().iter().copied());
    message.extend(rest.iter().copied());
    if linux::write(1, &message).is_err() {
        ant::log_write("init: a reply did not reach the daemon");
    }
}
