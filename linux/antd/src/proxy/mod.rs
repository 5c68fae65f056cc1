//! What runs in a proxy process: it executes the Linux system calls of one AP process.
//!
//! A proxy begins as a copy of the daemon. It first sheds everything of the daemon's (descriptors,
//! signals, session), then waits for its assignment: one way for a proxy that was just forked and
//! for one that was made in advance. Then it takes its own file of the device, becomes the user
//! (`identity`), maps the LCA, and serves (`execute`).
//!
//! An AP process controls its proxy: it can make it execute nearly any call, with pointers to
//! anywhere in the proxy. So a proxy has the user's rights and nothing else; what it holds beyond
//! them are two descriptors, its device file (which knows one LCA) and its channel (which the
//! parent reads with suspicion). They are out of the way and calls that name them are refused
//! (`reserved`); that keeps programs from accidents, it is no wall. What memory of the daemon the
//! copy still has (command lines, AnT's log) is nothing that other users may not see.
//!
//! Deliberately absent: what any system call means.

mod execute;
mod identity;
mod reserved;

pub use identity::Identity;

use std::os::fd::{AsRawFd, RawFd};

use ant_abi::store::StoreEntry;
use ant_dev::Binder;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid, setsid};

use crate::channel::{Notice, ProxyEnd};
use crate::sys;
use execute::Served;
use reserved::Reserved;

/// The proxy's own descriptors have this number or a higher one. Below the usual soft limit of
/// 1024, above what programs have open.
const OWN_DESCRIPTORS: RawFd = 1000;

/// Runs in the child. Its exit status.
pub fn run(channel: ProxyEnd, binder: &dyn Binder, parent: Pid) -> i32 {
    let channel = match shed(channel, binder, parent) {
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

/// Leaves everything of the daemon's behind.
fn shed(channel: ProxyEnd, binder: &dyn Binder, parent: Pid) -> Result<ProxyEnd, String> {
    sys::reset_signals();
    stay_with(parent)?;
    setsid().map_err(|errno| format!("a session of its own: {errno}"))?;
    let mut keep = vec![channel.number()];
    keep.extend(binder.keeps().map(|fd| fd.as_raw_fd()));
    sys::close_all_but(&keep);
    let raised =
        channel.raise(OWN_DESCRIPTORS).map_err(|errno| format!("moving the channel: {errno}"))?;
    let _ = prctl::set_name(c"ant-proxy");
    Ok(raised)
}

/// Dies with the parent, also if that died just now.
fn stay_with(parent: Pid) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| format!("pdeathsig: {errno}"))?;
    if getppid() == parent { Ok(()) } else { Err("the parent has died".into()) }
}

fn serve(channel: &ProxyEnd, binder: &dyn Binder, parent: Pid) -> Result<(), String> {
    let Some((assignment, descriptors)) = channel.assignment()? else { return Ok(()) };
    let mut woken = sys::time_stamp();
    let lca = StoreEntry(assignment.lca);
    let mut file = binder.bind(lca).map_err(|error| error.to_string())?;
    file.raise(OWN_DESCRIPTORS).map_err(|error| error.to_string())?;
    let page = file.map().map_err(|error| error.to_string())?;
    assignment.identity.assume(descriptors)?;
    // The change of user has cleared it.
    stay_with(parent)?;
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
        woken = sys::time_stamp();
    }
}
