//! The memory that both sides share, and the wires beside it.

use std::mem::offset_of;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

use ant_abi::MAX_CPUS;
use ant_abi::boot::BootBlock;
use ant_abi::cpu_block::CpuBlock;
use ant_abi::layout::{BUNDLE_SPAN, IMAGE_SPAN, SHARED_OFFSET};
use ant_abi::store::StoreEntry;
use ant_dev::{Access, Mapping, OperationError, SharedArea};
use ant_logic::rings::address::AddressRing;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FlockOperation, MemfdFlags, fcntl_lock, ftruncate, memfd_create};
use rustix::io::Errno;

use crate::PHYSICAL_START;

/// Words of each CPU behind the partition's memory: what goes over wires on a real machine.
pub const WIRE_WORDS: usize = 5;
/// Wire: entry address of a started CPU.
pub const WIRE_ENTRY: usize = 0;
/// Wire: kicks of its doorbell by Linux.
pub const WIRE_KICKS: usize = 1;
/// Wire of CPU 0: partitions stopped.
pub const WIRE_STOPS: usize = 2;
/// Wire of CPU 0: not 0 if Linux has references to LCAs that no proxy maps.
pub const WIRE_REFERENCES: usize = 3;
/// Wire of CPU 0: one of `DEVICE_*`.
pub const WIRE_DEVICE: usize = 4;
/// The machine's one device is Linux's.
pub const DEVICE_LINUXS: u64 = 0;
/// It is AnT's.
pub const DEVICE_ANTS: u64 = 1;
/// It is another driver's, which would not give it away.
pub const DEVICE_BUSY: u64 = 2;
/// Where the memory of processes begins: behind the image and the bundle.
pub const PROCESSES_OFFSET: u64 = IMAGE_SPAN + BUNDLE_SPAN;
/// Where the boot block's devices begin.
pub const DEVICES_OFFSET: usize = SHARED_OFFSET as usize + offset_of!(BootBlock, devices);
/// Bytes of all wires.
pub const WIRES_LEN: usize = MAX_CPUS * WIRE_WORDS * 8;

/// The memory of the partition and the wires, seen from either side.
#[derive(Debug)]
pub struct Memory {
    pub file: OwnedFd,
    pub mapping: Mapping,
    /// Bytes of the partition; the wires follow.
    pub size: u64,
    /// An event counter. Written by AnT when it has put a request into a store; polled by Linux.
    pub doorbell: OwnedFd,
}

impl Memory {
    /// `size` bytes for the partition, and the wires.
    pub fn new(size: u64) -> Result<Self, Errno> {
        let file = memfd_create("ant-loopback", MemfdFlags::CLOEXEC)?;
        let len = size as usize + WIRES_LEN;
        ftruncate(&file, len as u64)?;
        let mapping = Mapping::new(&file, 0, len, Access::ReadWrite)?;
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { file, mapping, size, doorbell })
    }

    /// A wire of a CPU.
    pub fn wire(&self, cpu_index: u32, wire: usize) -> &AtomicU64 {
        let word = cpu_index as usize * WIRE_WORDS + wire;
        self.mapping.writable(self.size as usize + word * 8)
    }

    fn shared_word(&self, offset: usize) -> &AtomicU64 {
        self.mapping.writable(SHARED_OFFSET as usize + offset)
    }

    /// A store of a CPU's block, at `field`.
    pub fn store(&self, cpu_index: u32, field: usize) -> &AddressRing {
        self.mapping.writable(SHARED_OFFSET as usize + SharedArea::cpu_offset(cpu_index) + field)
    }

    /// A 64-bit field of a CPU's control page.
    pub fn control_word(&self, cpu_index: u32, field: usize) -> &AtomicU64 {
        self.shared_word(SharedArea::cpu_offset(cpu_index) + field)
    }

    /// A 32-bit field of a CPU's control page.
    pub fn control_half(&self, cpu_index: u32, field: usize) -> &AtomicU32 {
        self.mapping.writable(SHARED_OFFSET as usize + SharedArea::cpu_offset(cpu_index) + field)
    }

    /// The boot block's number of devices.
    pub fn device_count(&self) -> &AtomicU32 {
        self.mapping.writable(SHARED_OFFSET as usize + offset_of!(BootBlock, device_count))
    }

    /// The boot block's length of the bundle.
    pub fn bundle_len(&self) -> &AtomicU64 {
        self.shared_word(offset_of!(BootBlock, bundle_len))
    }

    /// Copies `bytes` to `offset`, a multiple of 8.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.mapping.store_bytes(offset, bytes);
    }

    /// Where in the memory file an LCA is, if it can be one.
    pub fn offset_of(&self, lca: StoreEntry) -> Option<u64> {
        let offset = lca.raddr().get().checked_sub(PHYSICAL_START.get())?;
        (offset >= PROCESSES_OFFSET && offset < self.size).then_some(offset)
    }

    /// Rings Linux.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }

    /// Resets the doorbell.
    pub fn reset(&self) {
        let _ = rustix::io::read(&self.doorbell, &mut [0; 8]);
    }

    /// Puts an entry into a return store. Several processes may: a record lock on the memory file
    /// excludes the others, and ends with a process that dies. `file` is the memory file by any
    /// descriptor.
    pub fn give(
        &self,
        file: &OwnedFd,
        lca: StoreEntry,
        cpu_index: u32,
        operation: &str,
    ) -> Result<(), OperationError> {
        let failed = |errno| OperationError::new(format!("{operation} {:#x}", lca.0), errno);
        if cpu_index as usize >= MAX_CPUS {
            return Err(failed(Errno::INVAL));
        }
        fcntl_lock(file, FlockOperation::LockExclusive).map_err(failed)?;
        let pushed = self.store(cpu_index, offset_of!(CpuBlock, ret)).push(lca.0);
        fcntl_lock(file, FlockOperation::Unlock).map_err(failed)?;
        pushed.map_err(|_| failed(Errno::NOSPC))
    }
}
