//! The rights with which a proxy acts: those of the user who runs the program.

use std::fs;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::sys;

/// User and rights of a proxy.
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

/// Capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Those in force.
    pub effective: u64,
    /// Those that the process may put in force.
    pub permitted: u64,
}

impl Capabilities {
    /// Those of a process; none if it has gone.
    #[must_use]
    pub fn of(pid: i32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
        };
        Self { effective: set("CapEff:"), permitted: set("CapPrm:") }
    }
}

/// Number of resource limits.
const LIMITS: usize = 16;

/// Soft and hard limit of each resource, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits([[u64; 2]; LIMITS]);

impl Limits {
    /// Those of a process.
    ///
    /// # Errors
    ///
    /// It is gone, or may not be asked.
    pub fn of(pid: i32) -> Result<Self, Errno> {
        let mut limits = [[0; 2]; LIMITS];
        for (resource, limit) in limits.iter_mut().enumerate() {
            *limit = sys::resource_limit(pid, resource, None)?;
        }
        Ok(Self(limits))
    }

    /// Sets those of this process.
    ///
    /// # Errors
    ///
    /// More than it may have.
    pub fn apply(&self) -> Result<(), Errno> {
        for (resource, &limit) in self.0.iter().enumerate() {
            sys::resource_limit(0, resource, Some(limit))?;
        }
        Ok(())
    }
}
