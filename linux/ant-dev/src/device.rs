//! The backend of a real machine: `/dev/ant`, made by `ant.ko`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ant_abi::boot::{BootDevice, DEVICE_NAME};
use ant_abi::device as abi;
use ant_abi::store::StoreEntry;
use ant_abi::{MAX_CPUS, REVISION};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zerocopy::FromZeros;

use crate::raw::{ioctl, ioctl_none};
use crate::{
    Access, Binder, ControlFile, CreateError, Device, DeviceRequest, Failure, LcaPage, LoadTarget,
    Mapping, OpenError, OperationError, PartitionRequest, ProxyFile, ProxyOps, Release, SharedArea,
};

/// Where the device is.
pub const PATH: &str = "/dev/ant";

/// The device of this machine.
#[derive(Clone, Debug)]
pub struct AntDevice {
    path: PathBuf,
}

impl Default for AntDevice {
    fn default() -> Self {
        Self { path: PATH.into() }
    }
}

impl Device for AntDevice {
    fn info(&self) -> Result<abi::ModuleInfo, OpenError> {
        let file = open(&self.path)?;
        let mut info = abi::ModuleInfo::new_zeroed();
        ioctl(&file, &abi::INFO, &mut info).map_err(OpenError::Other)?;
        Ok(info)
    }

    fn create(&self, request: &PartitionRequest) -> Result<Box<dyn ControlFile>, CreateError> {
        if request.cpus.is_empty() || request.cpus.len() > MAX_CPUS {
            return Err(Failure::CpuCount.into());
        }
        let file = open(&self.path)?;
        let mut create = abi::PartitionCreate::new_zeroed();
        create.revision = REVISION;
        create.flags = request.flags;
        create.tables = request.tables;
        create.memory = request.memory;
        create.cpu_count = request.cpus.len() as u32;
        create.cpus[..request.cpus.len()].copy_from_slice(&request.cpus);
        let result = ioctl(&file, &abi::CREATE, &mut create);
        if let Some(failure) = Failure::from_abi(create.failure, create.failed_value) {
            return Err(failure.into());
        }
        result.map_err(|errno| OperationError::new("making the partition", errno))?;
        Ok(Box::new(Control { file, number: create.partition, path: self.path.clone() }))
    }
}

fn open(path: &Path) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// A control file.
#[derive(Debug)]
struct Control {
    file: OwnedFd,
    number: u32,
    path: PathBuf,
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl ControlFile for Control {
    fn number(&self) -> u32 {
        self.number
    }

    fn shared(&self) -> Result<SharedArea, OperationError> {
        let mapping = Mapping::new(&self.file, 0, SharedArea::LEN, Access::Read)
            .map_err(|errno| OperationError::new("mapping the shared area", errno))?;
        SharedArea::new(mapping)
    }

    fn load(&self, target: LoadTarget, bytes: &[u8], offset: u64) -> Result<(), OperationError> {
        let (source, len) = (bytes.as_ptr() as u64, bytes.len() as u64);
        let mut load =
            abi::MemoryLoad { source, len, offset, target: target.number(), reserved: 0 };
        ioctl(&self.file, &abi::LOAD, &mut load).map_err(|errno| {
            let what = format!("loading {len} bytes at {offset:#x} of {target:?}");
            OperationError::new(what, errno)
        })
    }

    fn start(&self, cpu_index: u32, entry: u64) -> Result<(), OperationError> {
        let mut start = abi::CpuStart { cpu: cpu_index, reserved: 0, entry };
        ioctl(&self.file, &abi::START, &mut start)
            .map_err(|errno| OperationError::new(format!("starting CPU {cpu_index}"), errno))
    }

    fn take_device(&self, device: &DeviceRequest) -> Result<BootDevice, OperationError> {
        let failed = |errno| OperationError::new(format!("taking device {}", device.name), errno);
        let mut take = abi::DeviceTake::new_zeroed();
        take.bus = device.bus.into();
        take.address = device_name(&device.address).ok_or(failed(Errno::NAMETOOLONG))?;
        take.name = device_name(&device.name).ok_or(failed(Errno::NAMETOOLONG))?;
        ioctl(&self.file, &abi::DEVICE_TAKE, &mut take).map_err(failed)?;
        Ok(take.device)
    }

    fn kick(&self, cpu_index: u32) -> Result<(), OperationError> {
        let mut kick = abi::CpuKick { cpu: cpu_index, reserved: 0 };
        ioctl(&self.file, &abi::KICK, &mut kick)
            .map_err(|errno| OperationError::new(format!("ringing CPU {cpu_index}"), errno))
    }

    fn get(&self) -> Result<Option<StoreEntry>, OperationError> {
        let mut get = abi::CallGet { lca: 0 };
        match ioctl(&self.file, &abi::GET, &mut get) {
            Ok(()) => Ok(Some(StoreEntry(get.lca))),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(OperationError::new("taking a request", errno)),
        }
    }

    fn bind(&self, lca: StoreEntry) -> Result<(), OperationError> {
        bind(&self.file, self.number, lca)
    }

    fn map(&self, lca: StoreEntry) -> Result<LcaPage, OperationError> {
        LcaPage::map(&self.file, DeviceOps.offset(lca), lca)
    }

    fn ret(&self, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError> {
        DeviceOps.ret(&self.file, lca, cpu_index)
    }

    fn release(&self, lca: StoreEntry, why: Release) -> Result<(), OperationError> {
        let mut release = abi::LcaRelease { lca: lca.0, kind: why.kind().into() };
        ioctl(&self.file, &abi::RELEASE, &mut release)
            .map_err(|errno| OperationError::new(format!("releasing {:#x}", lca.0), errno))
    }

    fn stop(&self) -> Result<(), OperationError> {
        ioctl_none(&self.file, &abi::STOP)
            .map_err(|errno| OperationError::new("stopping the partition", errno))
    }

    fn binder(&self) -> Box<dyn Binder> {
        Box::new(DeviceBinder { path: self.path.clone(), partition: self.number })
    }
}

/// A name or an address with NULs behind it, at least one.
#[must_use]
pub fn device_name(text: &str) -> Option<[u8; DEVICE_NAME]> {
    let mut name = [0; DEVICE_NAME];
    name[..DEVICE_NAME - 1].get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(name)
}

/// Opens the device once more.
#[derive(Debug)]
struct DeviceBinder {
    path: PathBuf,
    partition: u32,
}

impl Binder for DeviceBinder {
    fn keeps(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn bind(&self, lca: StoreEntry) -> Result<ProxyFile, OperationError> {
        let failed = |errno| OperationError::new(format!("binding {:#x}", lca.0), errno);
        let file = open(&self.path).map_err(|error| match error {
            OpenError::NotLoaded => failed(Errno::NODEV),
            OpenError::NotPermitted => failed(Errno::ACCESS),
            OpenError::Other(errno) => failed(errno),
        })?;
        bind(&file, self.partition, lca)?;
        Ok(ProxyFile::new(file, lca, DeviceOps))
    }
}

fn bind(file: &OwnedFd, partition: u32, lca: StoreEntry) -> Result<(), OperationError> {
    let mut bind = abi::ChannelBind { partition, reserved: 0, lca: lca.0 };
    ioctl(file, &abi::BIND, &mut bind)
        .map_err(|errno| OperationError::new(format!("binding {:#x}", lca.0), errno))
}

/// Everything goes through the proxy file itself.
#[derive(Debug)]
struct DeviceOps;

impl ProxyOps for DeviceOps {
    fn offset(&self, lca: StoreEntry) -> u64 {
        lca.raddr().get()
    }

    fn ret(&self, file: &OwnedFd, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError> {
        let mut ret = abi::CallRet { lca: lca.0, cid: cpu_index, reserved: 0 };
        ioctl(file, &abi::RET, &mut ret)
            .map_err(|errno| OperationError::new(format!("returning {:#x}", lca.0), errno))
    }
}
