//! Errors at `/dev/ant`, with sentences that say what to do.

use ant_abi::device as abi;
use ant_abi::{MAX_CPUS, REVISION};
use rustix::io::Errno;
use thiserror::Error;

/// `/dev/ant` could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// There is no such device.
    #[error("the module is not loaded: `modprobe ant`")]
    NotLoaded,
    /// The caller may not open it.
    #[error("/dev/ant may be opened by root only: run this as root")]
    NotPermitted,
    /// Anything else.
    #[error("cannot open /dev/ant: {0}")]
    Other(Errno),
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NXIO | Errno::NODEV => OpenError::NotLoaded,
            Errno::ACCESS | Errno::PERM => OpenError::NotPermitted,
            other => OpenError::Other(other),
        }
    }
}

/// An operation on an open file failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation}: {errno}")]
pub struct OperationError {
    /// What was tried.
    pub operation: String,
    /// The kernel's error number.
    pub errno: Errno,
}

impl OperationError {
    /// `operation` ended with `errno`.
    pub fn new(operation: impl Into<String>, errno: Errno) -> Self {
        Self { operation: operation.into(), errno }
    }
}

/// A partition could not be created. Nothing of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// No device.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The module says why.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The kernel refused the operation.
    #[error(transparent)]
    Operation(#[from] OperationError),
}

/// Why the module created no partition: `FAILURE_*` of `ant_abi::device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The revisions differ.
    #[error(
        "the module is of ABI revision {0}, this program of revision {REVISION}: install both from \
         one build, then `rmmod ant` and `modprobe ant`"
    )]
    Revision(u32),
    /// No such CPU.
    #[error("there is no CPU {0}: `lscpu` lists what this machine has")]
    NoCpu(u32),
    /// Linux's first CPU.
    #[error("CPU {0} stays Linux's, it booted there: name others")]
    BootCpu(u32),
    /// Another partition's.
    #[error("CPU {0} belongs to a partition already: name others, or `antctl stop` first")]
    CpuTaken(u32),
    /// Named twice.
    #[error("CPU {0} is named twice")]
    CpuTwice(u32),
    /// Linux keeps it.
    #[error("Linux would not give CPU {0} up: `dmesg` says why; try again, or name another")]
    CpuBusy(u32),
    /// Offline.
    #[error(
        "CPU {0} is offline, so not Linux's to give: \
         `echo 1 > /sys/devices/system/cpu/cpu{0}/online` first"
    )]
    Offline(u32),
    /// None, or too many.
    #[error("a partition has 1 to {MAX_CPUS} CPUs")]
    CpuCount,
    /// Too little asked for.
    #[error("a partition needs at least {0} MiB: ask for more with --memory")]
    TooSmall(u32),
    /// Too much asked for.
    #[error(
        "Linux can give {0} MiB of memory now: ask for less with --memory, or free some \
         (`echo 3 > /proc/sys/vm/drop_caches` helps)"
    )]
    NoMemory(u32),
    /// No vector.
    #[error("no interrupt vector is left for the doorbells: take fewer CPUs")]
    NoVector,
    /// No page below 1 MiB.
    #[error("no page below 1 MiB to start a CPU from: this machine's firmware leaves none")]
    NoTrampoline,
    /// A number this program does not know.
    #[error("the module refused for reason {0}, which this program does not know ({1})")]
    Unknown(u32, u32),
}

impl Failure {
    /// The failure that `PartitionCreate` names, if it names one.
    #[must_use]
    pub fn from_abi(failure: u32, value: u32) -> Option<Self> {
        Some(match failure {
            abi::FAILURE_NONE => return None,
            abi::FAILURE_REVISION => Failure::Revision(value),
            abi::FAILURE_NO_CPU => Failure::NoCpu(value),
            abi::FAILURE_BOOT_CPU => Failure::BootCpu(value),
            abi::FAILURE_CPU_TAKEN => Failure::CpuTaken(value),
            abi::FAILURE_CPU_TWICE => Failure::CpuTwice(value),
            abi::FAILURE_CPU_BUSY => Failure::CpuBusy(value),
            abi::FAILURE_OFFLINE => Failure::Offline(value),
            abi::FAILURE_CPU_COUNT => Failure::CpuCount,
            abi::FAILURE_TOO_SMALL => Failure::TooSmall(value),
            abi::FAILURE_NO_MEMORY => Failure::NoMemory(value),
            abi::FAILURE_NO_VECTOR => Failure::NoVector,
            abi::FAILURE_NO_TRAMPOLINE => Failure::NoTrampoline,
            other => Failure::Unknown(other, value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_the_abi_has_a_sentence() {
        for number in abi::FAILURE_REVISION..=abi::FAILURE_NO_TRAMPOLINE {
            let failure = Failure::from_abi(number, 7).unwrap();
            assert!(!matches!(failure, Failure::Unknown(..)), "{number}");
        }
        assert_eq!(Failure::from_abi(abi::FAILURE_NONE, 0), None);
        assert_eq!(Failure::from_abi(99, 3), Some(Failure::Unknown(99, 3)));
    }

    #[test]
    fn sentences_name_the_cpu_and_the_remedy() {
        let text = Failure::Offline(3).to_string();
        assert!(text.contains("CPU 3") && text.contains("cpu3/online"), "{text}");
        let text = Failure::Revision(9).to_string();
        assert!(text.contains("revision 9") && text.contains(&format!("revision {REVISION}")));
    }

    #[test]
    fn a_missing_device_means_a_missing_module() {
        assert_eq!(OpenError::from(Errno::NOENT), OpenError::NotLoaded);
        assert_eq!(OpenError::from(Errno::ACCESS), OpenError::NotPermitted);
    }
}
