//! What runs in a proxy process: it executes the Linux system calls of one process on AnT.
//!
//! A proxy begins as a copy of the daemon. It first drops what it has inherited (descriptors,
//! signals, session), then waits for its assignment: in the same way if it was just forked and if it
//! was forked in advance. Then it opens its own file of the device, becomes the user
//! (`credentials`), maps the LCA, and serves (`execute`).
//!
//! A program controls its proxy: it can make it execute nearly any call, with pointers to anywhere
//! in the proxy. So a proxy has the user's rights and nothing else; what it holds beyond them are
//! two descriptors, its device file (which knows one LCA) and its channel (the parent trusts no
//! message on it). Calls that name them are refused (`reserved`): that protects from accidents, not
//! from intent. What memory of the daemon the copy still has (command lines, AnT's log) is nothing
//! that other users may not see.
//!
//! Deliberately absent: what any system call means.

mod credentials;
mod execute;
mod reserved;

use std::os::fd::{AsRawFd, RawFd};

use ant_abi::store::StoreEntry;
use ant_dev::Binder;
use ant_protocol::time_stamp;
use rustix::process::{
    Pid, Resource, Signal, getppid, getrlimit, set_parent_process_death_signal, setsid,
};
use rustix::thread::set_name;

use crate::channel::{Notice, ProxyEnd};
use crate::sys;
use execute::Served;
use reserved::Reserved;

/// Highest number from which on the proxy has its own descriptors: below the usual soft limit of 1024, above what
/// programs have open.
const OWN_DESCRIPTORS: RawFd = 1000;
/// How many numbers it keeps for them, where its limit is lower.
const OWN_DESCRIPTORS_ROOM: RawFd = 4;

/// Runs in the child. Its exit status.
pub fn run(channel: ProxyEnd, binder: &dyn Binder, parent: Pid) -> i32 {
    let channel = match drop_inherited_state(channel, binder, parent) {
        Ok(channel) => channel,
        Err(_) => return 1,
    };
    match serve(&channel, binder, parent) {
        Ok(()) => 0,
        Err(text) => {
            channel.tell(&Notice::Failed(text));
            1
        }
    }
}

/// Drops what the daemon has left in this process.
fn drop_inherited_state(
    channel: ProxyEnd,
    binder: &dyn Binder,
    parent: Pid,
) -> Result<ProxyEnd, String> {
    sys::reset_signals();
    die_with_parent(parent)?;
    setsid().map_err(|errno| format!("a session of its own: {errno}"))?;
    let mut keep = vec![channel.number()];
    keep.extend(binder.keeps().map(|fd| fd.as_raw_fd()));
    sys::close_all_but(&keep);
    let raised =
        channel.raise(own_descriptors()).map_err(|errno| format!("moving the channel: {errno}"))?;
    let _ = set_name(c"ant-proxy");
    Ok(raised)
}

/// Least number of the proxy's own descriptors, under the limit that the daemon has left it.
fn own_descriptors() -> RawFd {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| RawFd::try_from(limit).ok());
    let highest = |limit: RawFd| (limit - OWN_DESCRIPTORS_ROOM).max(0);
    limit.map_or(OWN_DESCRIPTORS, highest).min(OWN_DESCRIPTORS)
}

/// Has this process killed when the parent dies, also if that has died just now.
fn die_with_parent(parent: Pid) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| format!("pdeathsig: {errno}"))?;
    if getppid() == Some(parent) { Ok(()) } else { Err("the parent has died".into()) }
}

fn serve(channel: &ProxyEnd, binder: &dyn Binder, parent: Pid) -> Result<(), String> {
    let Some((assignment, descriptors)) = channel.assignment()? else { return Ok(()) };
    let mut woken = time_stamp();
    let lca = StoreEntry(assignment.lca);
    let mut file = binder.bind(lca).map_err(|error| error.to_string())?;
    file.raise(own_descriptors()).map_err(|error| error.to_string())?;
    let page = file.map().map_err(|error| error.to_string())?;
    credentials::assume(&assignment.identity, descriptors)?;
    // The change of user has cleared it.
    die_with_parent(parent)?;
    let own = Reserved([file.descriptor().as_raw_fd(), channel.number()]);
    loop {
        match execute::serve(&page, own, woken) {
            Served::Ended(notice) => {
                channel.tell(&notice);
                return Ok(());
            }
            Served::Call { cpu_index, continues: false } => {
                channel.tell(&Notice::OneShot);
                return file.ret(cpu_index).map_err(|error| error.to_string());
            }
            Served::Call { cpu_index, continues: true } => {
                file.ret(cpu_index).map_err(|error| error.to_string())?;
            }
        }
        if !channel.wait() {
            return Ok(());
        }
        woken = time_stamp();
    }
}
