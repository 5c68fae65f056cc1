//! What a backend offers: partitions, their control files, and proxy files.

use std::os::fd::{AsFd, BorrowedFd};

use ant_abi::boot::{BootDevice, Bus, TableSizes};
use ant_abi::device::{LOAD_BUNDLE, LOAD_IMAGE, ModuleInfo};
use ant_abi::layout::{BUNDLE_SPAN, SHARED_OFFSET};
use ant_abi::store::{EntryKind, StoreEntry};

use crate::{CreateError, LcaPage, OpenError, OperationError, ProxyFile, SharedArea};

/// What a partition is to consist of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRequest {
    /// Linux's numbers of the CPUs; the first becomes the m-kernel's.
    pub cpus: Vec<u32>,
    /// Bytes of memory.
    pub memory: u64,
    /// `BOOT_*` of `ant_abi::boot`.
    pub flags: u32,
    /// Sizes of AnT's tables.
    pub tables: TableSizes,
}

/// A device of Linux's that AnT shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The bus that it is on.
    pub bus: Bus,
    /// Its address on that bus.
    pub address: String,
    /// What the partition calls it.
    pub name: String,
}

/// Creates partitions.
pub trait Device {
    /// What module this is.
    ///
    /// # Errors
    ///
    /// There is no module, or the caller may not use it.
    fn info(&self) -> Result<ModuleInfo, OpenError>;

    /// Takes CPUs and memory from Linux. They go back when the file is dropped.
    ///
    /// # Errors
    ///
    /// Nothing was taken.
    fn create(&self, request: &PartitionRequest) -> Result<Box<dyn ControlFile>, CreateError>;
}

/// A control file: it owns a partition. Polled, it is readable when there is a request and has a
/// priority event when AnT panicked.
pub trait ControlFile: AsFd {
    /// Number of the partition.
    fn number(&self) -> u32;

    /// Maps the shared area. Drop it before [`ControlFile::stop`].
    ///
    /// # Errors
    ///
    /// The mapping failed.
    fn shared(&self) -> Result<SharedArea, OperationError>;

    /// Copies `bytes` to `offset` of `target`.
    ///
    /// # Errors
    ///
    /// Outside the target, or a CPU was started already.
    fn load(&self, target: LoadTarget, bytes: &[u8], offset: u64) -> Result<(), OperationError>;

    /// Starts a CPU at virtual address `entry`; returns when its first instructions have run.
    ///
    /// # Errors
    ///
    /// The CPU did not start.
    fn start(&self, cpu_index: u32, entry: u64) -> Result<(), OperationError>;

    /// Takes a device from Linux, before the first CPU is started, and says what it is and has. It goes
    /// back with the partition.
    ///
    /// # Errors
    ///
    /// Those of `ant_abi::device::DEVICE_TAKE`; Linux has it as before.
    fn take_device(&self, device: &DeviceRequest) -> Result<BootDevice, OperationError>;

    /// Rings a CPU's doorbell.
    ///
    /// # Errors
    ///
    /// No such CPU.
    fn kick(&self, cpu_index: u32) -> Result<(), OperationError>;

    /// Takes a request, if there is one.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the partition has stopped.
    fn get(&self) -> Result<Option<StoreEntry>, OperationError>;

    /// Serves a channel from now on: [`ControlFile::get`] gives its requests.
    ///
    /// # Errors
    ///
    /// The LCA is not of the partition, or its channel is served already.
    fn bind(&self, lca: StoreEntry) -> Result<(), OperationError>;

    /// Maps the LCA of a channel that the file serves.
    ///
    /// # Errors
    ///
    /// The mapping failed.
    fn map(&self, lca: StoreEntry) -> Result<LcaPage, OperationError>;

    /// Returns a call of a channel that the file serves to the CPU of index `cpu_index`.
    ///
    /// # Errors
    ///
    /// That CPU has no call there.
    fn ret(&self, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError>;

    /// Tells AnT that Linux has let go of an LCA, and how: CPU 0, the m-kernel, forwards that to the
    /// CPU that owns the process.
    ///
    /// # Errors
    ///
    /// `EBUSY` while Linux still has a reference to the page, `ENOSPC` while CPU 0's return store
    /// is full.
    fn release(&self, lca: StoreEntry, why: Release) -> Result<(), OperationError>;

    /// Stops all CPUs and gives everything back to Linux.
    ///
    /// # Errors
    ///
    /// Something did not go back; the kernel's log says what.
    fn stop(&self) -> Result<(), OperationError>;

    /// What a proxy of this partition needs to open a file of its own.
    fn binder(&self) -> Box<dyn Binder>;
}

/// What can be loaded before the first CPU is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadTarget {
    /// The kernel image.
    Image,
    /// The bundle, which then ends where the last byte goes.
    Bundle,
}

impl LoadTarget {
    /// `LOAD_*` of `ant_abi::device`.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Image => LOAD_IMAGE,
            Self::Bundle => LOAD_BUNDLE,
        }
    }

    /// Bytes that it has room for.
    #[must_use]
    pub const fn span(self) -> u64 {
        match self {
            Self::Image => SHARED_OFFSET,
            Self::Bundle => BUNDLE_SPAN,
        }
    }
}

/// How Linux lets go of an LCA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// A call without continuation is over.
    OfCall,
    /// The channel is closed for good: the process ends, if it has not.
    OfChannel,
}

impl Release {
    /// The kind of the entry that tells AnT.
    #[must_use]
    pub const fn kind(self) -> EntryKind {
        match self {
            Self::OfCall => EntryKind::Released,
            Self::OfChannel => EntryKind::Closed,
        }
    }
}

/// Opens proxy files. Created in the parent, used in a proxy after the fork.
pub trait Binder {
    /// The descriptor that a proxy must keep open for [`Binder::bind`], if there is one.
    fn keeps(&self) -> Option<BorrowedFd<'_>>;

    /// Opens the proxy file of one LCA; only root can.
    ///
    /// # Errors
    ///
    /// The partition has stopped, or the LCA is not of it.
    fn bind(&self, lca: StoreEntry) -> Result<ProxyFile, OperationError>;
}
