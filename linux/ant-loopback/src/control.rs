//! The control file, as the module implements it.

use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use ant_abi::boot::{BootDevice, Resource, ResourceKind};
use ant_abi::cpu_block::{CpuBlock, CpuControl, CpuState};
use ant_abi::layout::{IMAGE_SPAN, SHARED_OFFSET};
use ant_abi::store::{EntryKind, StoreEntry};
use ant_dev::device::device_name;
use ant_dev::{
    Access, Binder, ControlFile, DeviceRequest, LcaPage, LoadTarget, Mapping, OperationError,
    Release, SharedArea,
};
use rustix::io::Errno;
use zerocopy::{FromZeros, IntoBytes};

use crate::memory::{
    DEVICE_ANTS, DEVICE_LINUXS, DEVICES_OFFSET, Memory, WIRE_DEVICE, WIRE_ENTRY, WIRE_KICKS,
    WIRE_REFERENCES, WIRE_STOPS,
};
use crate::proxy::LoopbackBinder;

/// What the machine's one device has: COM2's ports and line.
pub const RESOURCES: [Resource; 2] = [
    Resource { kind: ResourceKind::Ports as u32, line: 0, start: 0x2f8, len: 8 },
    Resource { kind: ResourceKind::Interrupt as u32, line: 3, start: 0, len: 1 },
];

/// A control file.
#[derive(Debug)]
pub struct Control {
    memory: Rc<Memory>,
    cpus: u32,
}

impl Control {
    /// The control file of a partition of so many CPUs.
    pub fn new(memory: Rc<Memory>, cpus: u32) -> Self {
        Self { memory, cpus }
    }

    fn check_cpu(&self, cpu_index: u32, operation: &str) -> Result<(), OperationError> {
        if cpu_index < self.cpus {
            return Ok(());
        }
        Err(OperationError::new(format!("{operation} {cpu_index}"), Errno::INVAL))
    }

    fn pop(&self) -> Option<StoreEntry> {
        for cpu_index in 0..self.cpus {
            let store = self.memory.store(cpu_index, offset_of!(CpuBlock, request));
            while let Some(entry) = store.pop() {
                let entry = StoreEntry(entry);
                if entry.kind() == Some(EntryKind::Call) && self.memory.offset_of(entry).is_some() {
                    return Some(entry);
                }
                let refused = offset_of!(CpuControl, linux_refused);
                self.memory.control_word(cpu_index, refused).fetch_add(1, Ordering::Relaxed);
            }
        }
        None
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.doorbell.as_fd()
    }
}

impl ControlFile for Control {
    fn number(&self) -> u32 {
        0
    }

    fn shared(&self) -> Result<SharedArea, OperationError> {
        let mapping = Mapping::new(&self.memory.file, SHARED_OFFSET, SharedArea::LEN, Access::Read)
            .map_err(|errno| OperationError::new("mapping the shared area", errno))?;
        SharedArea::new(mapping)
    }

    fn load(&self, target: LoadTarget, bytes: &[u8], offset: u64) -> Result<(), OperationError> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= target.span());
        let end = end.ok_or(OperationError::new(format!("loading {target:?}"), Errno::INVAL))?;
        let start = match target {
            LoadTarget::Image => 0,
            LoadTarget::Bundle => {
                self.memory.bundle_len().fetch_max(end, Ordering::Relaxed);
                IMAGE_SPAN
            }
        };
        self.memory.write((start + offset) as usize, bytes);
        Ok(())
    }

    fn start(&self, cpu_index: u32, entry: u64) -> Result<(), OperationError> {
        self.check_cpu(cpu_index, "starting CPU")?;
        let state = offset_of!(CpuControl, state);
        self.memory
            .control_half(cpu_index, state)
            .store(CpuState::Starting.into(), Ordering::Release);
        self.memory.wire(cpu_index, WIRE_ENTRY).store(entry, Ordering::Release);
        Ok(())
    }

    fn take_device(&self, request: &DeviceRequest) -> Result<BootDevice, OperationError> {
        let failed = |errno| OperationError::new("taking a device", errno);
        let mut device = BootDevice::new_zeroed();
        device.bus = request.bus.into();
        device.address = device_name(&request.address).ok_or(failed(Errno::NAMETOOLONG))?;
        device.name = device_name(&request.name).ok_or(failed(Errno::NAMETOOLONG))?;
        device.resource_count = RESOURCES.len() as u32;
        device.resources[..RESOURCES.len()].copy_from_slice(&RESOURCES);
        let wire = self.memory.wire(0, WIRE_DEVICE);
        let taken =
            wire.compare_exchange(DEVICE_LINUXS, DEVICE_ANTS, Ordering::Relaxed, Ordering::Relaxed);
        taken.map_err(|_| failed(Errno::BUSY))?;
        self.memory.write(DEVICES_OFFSET, device.as_bytes());
        self.memory.device_count().store(1, Ordering::Release);
        Ok(device)
    }

    fn kick(&self, cpu_index: u32) -> Result<(), OperationError> {
        self.check_cpu(cpu_index, "ringing CPU")?;
        self.memory.wire(cpu_index, WIRE_KICKS).fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn get(&self) -> Result<Option<StoreEntry>, OperationError> {
        if let Some(entry) = self.pop() {
            return Ok(Some(entry));
        }
        // Reset the doorbell, then check again: a request put in before is not left behind.
        self.memory.reset();
        let entry = self.pop();
        if entry.is_some() {
            self.memory.ring();
        }
        Ok(entry)
    }

    fn bind(&self, lca: StoreEntry) -> Result<(), OperationError> {
        let is_lca = self.memory.offset_of(lca).is_some();
        is_lca.then_some(()).ok_or(OperationError::new("binding a channel", Errno::INVAL))
    }

    fn map(&self, lca: StoreEntry) -> Result<LcaPage, OperationError> {
        let offset = self.memory.offset_of(lca);
        let offset = offset.ok_or(OperationError::new("mapping an LCA", Errno::INVAL))?;
        LcaPage::map(&self.memory.file, offset, lca)
    }

    fn ret(&self, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError> {
        self.memory.give(&self.memory.file, lca, cpu_index, "returning")
    }

    fn release(&self, lca: StoreEntry, why: Release) -> Result<(), OperationError> {
        if self.memory.wire(0, WIRE_REFERENCES).load(Ordering::Relaxed) != 0 {
            return Err(OperationError::new("releasing an LCA", Errno::BUSY));
        }
        // To CPU 0, the m-kernel, which forwards it.
        self.memory.give(&self.memory.file, lca.with_kind(why.kind()), 0, "releasing")
    }

    fn stop(&self) -> Result<(), OperationError> {
        let device = self.memory.wire(0, WIRE_DEVICE);
        if device.load(Ordering::Relaxed) == DEVICE_ANTS {
            device.store(DEVICE_LINUXS, Ordering::Relaxed);
        }
        for cpu_index in 0..self.cpus {
            let state = offset_of!(CpuControl, state);
            self.memory
                .control_half(cpu_index, state)
                .store(CpuState::Off.into(), Ordering::Relaxed);
            self.memory.wire(cpu_index, WIRE_ENTRY).store(0, Ordering::Relaxed);
        }
        self.memory.wire(0, WIRE_STOPS).fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn binder(&self) -> Box<dyn Binder> {
        Box::new(LoopbackBinder::new(self.memory.clone()))
    }
}
