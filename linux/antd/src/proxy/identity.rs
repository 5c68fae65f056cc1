//! As whom a proxy acts: the user who ran the program, where they ran it, with what they gave.

use std::os::fd::OwnedFd;

use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchdir, setgroups, setresgid, setresuid,
};
use serde::{Deserialize, Serialize};

use crate::sys::{Capabilities, Limits, reduce_capabilities, set_limits};

/// Whose rights a proxy has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capabilities, never more than the daemon's.
    pub capabilities: Capabilities,
    /// File mode creation mask.
    pub umask: u32,
    /// Resource limits, if the user's are known.
    pub limits: Option<Limits>,
}

impl Identity {
    /// `nobody` in the root directory: for AnT's own.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            uid: 65534,
            gid: 65534,
            groups: Vec::new(),
            capabilities: Capabilities::default(),
            umask: 0o077,
            limits: None,
        }
    }

    /// Makes this process act so, for good. `descriptors` become 0, 1, 2, and the directory.
    ///
    /// # Errors
    ///
    /// What failed. The process must not execute anything then.
    pub fn assume(&self, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        let failed = |what: &'static str| move |errno| format!("{what}: {errno}");
        let directory = take_standard(descriptors)?;
        // As root: a directory that the user was in, they stay in, whatever its mode has become.
        let entered = fchdir(&directory);
        umask(Mode::from_bits_truncate(self.umask));
        if let Some(limits) = &self.limits {
            set_limits(limits).map_err(failed("setting limits"))?;
        }
        // Its memory is a copy of the daemon's: no core file, no debugger.
        prctl::set_dumpable(false).map_err(failed("forbidding core files"))?;
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if Uid::effective().is_root() {
            setgroups(&groups).map_err(failed("setting groups"))?;
            setresgid(gid, gid, gid).map_err(failed("changing the group"))?;
            setresuid(uid, uid, uid).map_err(failed("changing the user"))?;
        } else if Uid::effective() != uid {
            return Err("antd is not root, it can act as its own user only".into());
        }
        reduce_capabilities(self.capabilities).map_err(failed("dropping capabilities"))?;
        prctl::set_no_new_privs().map_err(failed("forbidding new privileges"))?;
        // As the user, where root may not go (a network file system).
        entered.or_else(|_| fchdir(&directory)).map_err(failed("entering the directory"))
    }
}

/// Puts the first three descriptors where programs expect them; the fourth is the directory.
fn take_standard(descriptors: Vec<OwnedFd>) -> Result<OwnedFd, String> {
    let failed = |errno| format!("placing descriptors: {errno}");
    let count = descriptors.len();
    let Ok([stdin, stdout, stderr, directory]) = <[OwnedFd; 4]>::try_from(descriptors) else {
        return Err(format!("{count} descriptors came, not 4"));
    };
    // They may have any of the numbers 0 to 2 themselves: out of the way first.
    let above = |fd: OwnedFd| {
        nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(4))
            .map(crate::sys::adopt)
            .map_err(failed)
    };
    let [stdin, stdout, stderr, directory] =
        [above(stdin)?, above(stdout)?, above(stderr)?, above(directory)?];
    dup2_stdin(&stdin).map_err(failed)?;
    dup2_stdout(&stdout).map_err(failed)?;
    dup2_stderr(&stderr).map_err(failed)?;
    Ok(directory)
}
