//! The device: makes a partition out of the memory file.

use std::rc::Rc;

use ant_abi::boot::{BOOT_MAGIC, BootBlock, BootCpu, Extent};
use ant_abi::device::{MIN_MEMORY, ModuleInfo};
use ant_abi::layout::{IMAGE_SPAN, SHARED_OFFSET};
use ant_abi::{MAX_CPUS, REVISION};
use ant_dev::{
    ControlFile, CreateError, Device, Failure, OpenError, OperationError, PartitionRequest,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::ant::Ant;
use crate::control::Control;
use crate::memory::Memory;
use crate::{PHYSICAL_START, TSC_KHZ};

/// The machine's device.
#[derive(Clone, Debug)]
pub struct Loopback {
    memory: Rc<Memory>,
}

impl Loopback {
    /// A machine with `size` bytes for one partition.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(size: u64) -> Result<(Self, Ant), OperationError> {
        let memory = Memory::new(size)
            .map_err(|errno| OperationError::new("making a loopback partition", errno))?;
        let memory = Rc::new(memory);
        Ok((Self { memory: memory.clone() }, Ant::new(memory)))
    }
}

impl Device for Loopback {
    fn info(&self) -> Result<ModuleInfo, OpenError> {
        Ok(ModuleInfo { revision: REVISION, max_cpus: MAX_CPUS as u32, partitions: 0, reserved: 0 })
    }

    fn create(&self, request: &PartitionRequest) -> Result<Box<dyn ControlFile>, CreateError> {
        check(request, self.memory.size)?;
        let mut boot = BootBlock::new_zeroed();
        boot.magic = BOOT_MAGIC;
        boot.revision = REVISION;
        boot.size = size_of::<BootBlock>() as u32;
        boot.flags = request.flags;
        boot.tables = request.tables;
        boot.image_phys = PHYSICAL_START;
        boot.bundle_phys = PHYSICAL_START + IMAGE_SPAN;
        boot.tsc_khz = TSC_KHZ;
        boot.cpu_count = request.cpus.len() as u32;
        boot.extent_count = 1;
        boot.extents[0] = Extent { start: PHYSICAL_START, len: self.memory.size };
        for (cpu_index, &cpu) in request.cpus.iter().enumerate() {
            boot.cpus[cpu_index] = BootCpu { apic_id: cpu, linux_cpu: cpu };
        }
        self.memory.write(SHARED_OFFSET as usize, boot.as_bytes());
        Ok(Box::new(Control::new(self.memory.clone(), boot.cpu_count)))
    }
}

/// What the module checks, in its order.
fn check(request: &PartitionRequest, size: u64) -> Result<(), Failure> {
    if request.cpus.is_empty() || request.cpus.len() > MAX_CPUS {
        return Err(Failure::CpuCount);
    }
    for (index, &cpu) in request.cpus.iter().enumerate() {
        if cpu == 0 {
            return Err(Failure::BootCpu(cpu));
        }
        if request.cpus[..index].contains(&cpu) {
            return Err(Failure::CpuTwice(cpu));
        }
    }
    if request.memory < MIN_MEMORY {
        return Err(Failure::TooSmall((MIN_MEMORY >> 20) as u32));
    }
    if request.memory > size {
        return Err(Failure::NoMemory((size >> 20) as u32));
    }
    Ok(())
}
