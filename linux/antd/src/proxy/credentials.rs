//! Makes the proxy act as the user: identity, standard descriptors, directory.

use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{DumpableBehavior, Gid, Uid, fchdir, geteuid, set_dumpable_behavior, umask};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{
    CapabilitySet, capabilities, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::identity::{Capabilities, Identity};

/// Makes this process, which has one thread, act as `identity`, for good. `descriptors` become 0, 1,
/// 2, and the directory.
///
/// # Errors
///
/// What failed. The process must not execute anything then.
pub fn assume(identity: &Identity, descriptors: Vec<OwnedFd>) -> Result<(), String> {
    let failed = |what: &'static str| move |errno| format!("{what}: {errno}");
    let directory = take_standard(descriptors)?;
    // As root: the user keeps the directory, whatever its mode has become.
    let entered = fchdir(&directory);
    umask(Mode::from_bits_truncate(identity.umask));
    if let Some(limits) = &identity.limits {
        limits.apply().map_err(failed("setting limits"))?;
    }
    // Its memory is a copy of the daemon's: no memory dump, no debugger.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("forbidding core files"))?;
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    if geteuid().is_root() {
        set_thread_groups(&groups).map_err(failed("setting groups"))?;
        set_thread_res_gid(gid, gid, gid).map_err(failed("changing the group"))?;
        set_thread_res_uid(uid, uid, uid).map_err(failed("changing the user"))?;
    } else if geteuid() != uid {
        return Err("antd is not root, it can act as its own user only".into());
    }
    reduce_capabilities(identity.capabilities).map_err(failed("dropping capabilities"))?;
    set_no_new_privs(true).map_err(failed("forbidding new privileges"))?;
    // As the user, where root may not go (a network file system).
    entered.or_else(|_| fchdir(&directory)).map_err(failed("entering the directory"))
}

/// Leaves this process those of its capabilities that are in `allowed`, and none to inherit.
fn reduce_capabilities(allowed: Capabilities) -> Result<(), Errno> {
    let mut own = capabilities(None)?;
    own.permitted &= CapabilitySet::from_bits_retain(allowed.permitted);
    own.effective &= CapabilitySet::from_bits_retain(allowed.effective) & own.permitted;
    own.inheritable = CapabilitySet::empty();
    set_capabilities(None, own)
}

/// Puts the first three descriptors where programs expect them; the fourth is the directory.
fn take_standard(descriptors: Vec<OwnedFd>) -> Result<OwnedFd, String> {
    let failed = |errno| format!("placing descriptors: {errno}");
    let count = descriptors.len();
    let Ok([stdin, stdout, stderr, directory]) = <[OwnedFd; 4]>::try_from(descriptors) else {
        return Err(format!("{count} descriptors came, not 4"));
    };
    // They may have any of the numbers 0 to 2 themselves: out of the way first.
    let above = |fd: OwnedFd| fcntl_dupfd_cloexec(&fd, 4).map_err(failed);
    let [stdin, stdout, stderr, directory] =
        [above(stdin)?, above(stdout)?, above(stderr)?, above(directory)?];
    dup2_stdin(&stdin).map_err(failed)?;
    dup2_stdout(&stdout).map_err(failed)?;
    dup2_stderr(&stderr).map_err(failed)?;
    Ok(directory)
}
