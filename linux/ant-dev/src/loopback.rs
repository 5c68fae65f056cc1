//! A partition in a memory file: no module, no second kernel, but real processes on Linux's side.
//!
//! [`Loopback`] stands for the device, [`Ant`] for the kernel on the other side; both see the same
//! memory, also across forks. Physical addresses are made up: the partition begins at
//! [`PHYSICAL_START`].
//!
//! Deliberately absent: CPUs. Whoever holds [`Ant`] plays them all.

use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::boot::{
    BOOT_MAGIC, BootBlock, BootCpu, BootDevice, Extent, RESOURCE_INTERRUPT, RESOURCE_PORTS,
    Resource,
};
use ant_abi::cpu_block::{CPU_OFF, CPU_STARTING, CpuBlock, CpuControl};
use ant_abi::device::{MIN_MEMORY, ModuleInfo};
use ant_abi::layout::{IMAGE_SPAN, SHARED_OFFSET};
use ant_abi::lca::Lca;
use ant_abi::store::StoreEntry;
use ant_abi::{MAX_CPUS, PAGE_SIZE, PhysAddr, REVISION};
use ant_logic::rings::address::AddressRing;
use ant_logic::rings::log::LogWriter;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::device::device_name;
use crate::proxy_file::{Way, duplicate_above};
use crate::raw::{Access, Mapping};
use crate::shared::cpu_offset;
use crate::{
    Binder, ControlFile, CreateError, Device, DeviceRequest, Failure, OpenError, OperationError,
    PartitionRequest, ProxyFile, Release, SharedArea,
};

/// Where the partition's memory begins, as its two sides call it.
pub const PHYSICAL_START: PhysAddr = PhysAddr::new(0x1_0000_0000);
/// Frequency that the boot block names.
pub const TSC_KHZ: u32 = 1_000_000;

/// Per CPU, behind the partition's memory: what goes over wires on a real machine.
const WIRE_WORDS: usize = 5;
/// Wire: entry address of a started CPU.
const WIRE_ENTRY: usize = 0;
/// Wire: kicks of its doorbell by Linux.
const WIRE_KICKS: usize = 1;
/// Wire of CPU 0: partitions stopped.
const WIRE_STOPS: usize = 2;
/// Wire of CPU 0: not 0 if Linux has references to LCAs that no proxy maps.
const WIRE_REFERENCES: usize = 3;
/// Wire of CPU 0: one of `DEVICE_*`.
const WIRE_DEVICE: usize = 4;
/// The machine's one device is Linux's.
const DEVICE_LINUXS: u64 = 0;
/// It is AnT's.
const DEVICE_ANTS: u64 = 1;
/// It is another driver's, which would not give it away.
const DEVICE_BUSY: u64 = 2;
/// What the machine's one device has: COM2's ports and line.
pub const RESOURCES: [Resource; 2] = [
    Resource { kind: RESOURCE_PORTS, line: 0, start: 0x2f8, len: 8 },
    Resource { kind: RESOURCE_INTERRUPT, line: 3, start: 0, len: 1 },
];
/// Where the boot block's devices begin.
const DEVICES_OFFSET: usize = SHARED_OFFSET as usize + offset_of!(BootBlock, devices);
const WIRES_LEN: usize = MAX_CPUS * WIRE_WORDS * 8;

/// The memory of the partition and the wires, seen from either side.
#[derive(Debug)]
struct Memory {
    file: OwnedFd,
    mapping: Mapping,
    size: u64,
    /// Rung by AnT when it has put a request into a store.
    doorbell: EventFd,
}

impl Memory {
    fn wire(&self, cpu_index: u32, wire: usize) -> &AtomicU64 {
        let word = cpu_index as usize * WIRE_WORDS + wire;
        self.mapping.writable(self.size as usize + word * 8)
    }

    fn shared_word(&self, offset: usize) -> &AtomicU64 {
        self.mapping.writable(SHARED_OFFSET as usize + offset)
    }

    fn store(&self, cpu_index: u32, field: usize) -> &AddressRing {
        self.mapping.writable(SHARED_OFFSET as usize + cpu_offset(cpu_index) + field)
    }

    fn control_word(&self, cpu_index: u32, field: usize) -> &AtomicU64 {
        self.shared_word(cpu_offset(cpu_index) + field)
    }

    fn control_half(&self, cpu_index: u32, field: usize) -> &AtomicU32 {
        self.mapping.writable(SHARED_OFFSET as usize + cpu_offset(cpu_index) + field)
    }

    fn device_count(&self) -> &AtomicU32 {
        self.mapping.writable(SHARED_OFFSET as usize + offset_of!(BootBlock, device_count))
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.is_multiple_of(8), "unaligned");
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_ne_bytes(word);
            self.mapping.writable::<AtomicU64>(offset + index * 8).store(word, Ordering::Relaxed);
        }
    }

    fn offset_of(&self, lca: StoreEntry) -> Option<u64> {
        let offset = lca.raddr().get().checked_sub(PHYSICAL_START.get())?;
        (offset >= IMAGE_SPAN && offset < self.size).then_some(offset)
    }

    /// Puts an entry into a return store. Several processes may: a record lock keeps them apart,
    /// and goes with a process that dies.
    /// `file` is the memory file by any descriptor.
    fn give(
        &self,
        file: &OwnedFd,
        lca: StoreEntry,
        cpu_index: u32,
        operation: &str,
    ) -> Result<(), OperationError> {
        let failed = |errno| OperationError::new(format!("{operation} {:#x}", lca.0), errno);
        if cpu_index as usize >= MAX_CPUS {
            return Err(failed(Errno::EINVAL));
        }
        let lock = |kind: i32| libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: i64::from(cpu_index),
            l_len: 1,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_SETLKW(&lock(libc::F_WRLCK))).map_err(failed)?;
        let pushed = self.store(cpu_index, offset_of!(CpuBlock, ret)).push(lca.0);
        fcntl(file, FcntlArg::F_SETLK(&lock(libc::F_UNLCK))).map_err(failed)?;
        pushed.map_err(|_| failed(Errno::ENOSPC))
    }
}

/// The device's side.
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
        let failed = |errno| OperationError::new("making a loopback partition", errno);
        let file = memfd_create("ant-loopback", MFdFlags::MFD_CLOEXEC).map_err(failed)?;
        let len = size as usize + WIRES_LEN;
        ftruncate(&file, len as i64).map_err(failed)?;
        let mapping = Mapping::new(&file, 0, len, Access::ReadWrite).map_err(failed)?;
        let doorbell =
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?;
        let memory = Rc::new(Memory { file, mapping, size, doorbell });
        Ok((Self { memory: memory.clone() }, Ant { memory }))
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
        boot.image_phys = PHYSICAL_START;
        boot.tsc_khz = TSC_KHZ;
        boot.cpu_count = request.cpus.len() as u32;
        boot.extent_count = 1;
        boot.extents[0] = Extent { start: PHYSICAL_START, len: self.memory.size };
        for (cpu_index, &cpu) in request.cpus.iter().enumerate() {
            boot.cpus[cpu_index] = BootCpu { apic_id: cpu, linux_cpu: cpu };
        }
        self.memory.write(SHARED_OFFSET as usize, boot.as_bytes());
        Ok(Box::new(Control { memory: self.memory.clone(), cpus: boot.cpu_count }))
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

/// A control file.
#[derive(Debug)]
struct Control {
    memory: Rc<Memory>,
    cpus: u32,
}

impl Control {
    fn cpu_index(&self, cpu_index: u32, operation: &str) -> Result<(), OperationError> {
        if cpu_index < self.cpus {
            return Ok(());
        }
        Err(OperationError::new(format!("{operation} {cpu_index}"), Errno::EINVAL))
    }

    fn pop(&self) -> Option<StoreEntry> {
        for cpu_index in 0..self.cpus {
            let store = self.memory.store(cpu_index, offset_of!(CpuBlock, request));
            while let Some(entry) = store.pop() {
                let entry = StoreEntry(entry);
                if entry.kind() == 0 && self.memory.offset_of(entry).is_some() {
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

    fn load(&self, bytes: &[u8], offset: u64) -> Result<(), OperationError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > SHARED_OFFSET) {
            return Err(OperationError::new("loading the image", Errno::EINVAL));
        }
        self.memory.write(offset as usize, bytes);
        Ok(())
    }

    fn start(&self, cpu_index: u32, entry: u64) -> Result<(), OperationError> {
        self.cpu_index(cpu_index, "starting CPU")?;
        let state = offset_of!(CpuControl, state);
        self.memory.control_half(cpu_index, state).store(CPU_STARTING, Ordering::Release);
        self.memory.wire(cpu_index, WIRE_ENTRY).store(entry, Ordering::Release);
        Ok(())
    }

    fn take_device(&self, request: &DeviceRequest) -> Result<BootDevice, OperationError> {
        let failed = |errno| OperationError::new("taking a device", errno);
        let mut device = BootDevice::new_zeroed();
        device.bus = request.bus;
        device.address = device_name(&request.address).ok_or(failed(Errno::ENAMETOOLONG))?;
        device.name = device_name(&request.name).ok_or(failed(Errno::ENAMETOOLONG))?;
        device.resource_count = RESOURCES.len() as u32;
        device.resources[..RESOURCES.len()].copy_from_slice(&RESOURCES);
        let wire = self.memory.wire(0, WIRE_DEVICE);
        let taken =
            wire.compare_exchange(DEVICE_LINUXS, DEVICE_ANTS, Ordering::Relaxed, Ordering::Relaxed);
        taken.map_err(|_| failed(Errno::EBUSY))?;
        self.memory.write(DEVICES_OFFSET, device.as_bytes());
        self.memory.device_count().store(1, Ordering::Release);
        Ok(device)
    }

    fn kick(&self, cpu_index: u32) -> Result<(), OperationError> {
        self.cpu_index(cpu_index, "ringing CPU")?;
        self.memory.wire(cpu_index, WIRE_KICKS).fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn get(&self) -> Result<Option<StoreEntry>, OperationError> {
        if let Some(entry) = self.pop() {
            return Ok(Some(entry));
        }
        // Quiet the doorbell, then look again: a request put in before is not left behind.
        let _ = self.memory.doorbell.read();
        let entry = self.pop();
        if entry.is_some() {
            let _ = self.memory.doorbell.write(1);
        }
        Ok(entry)
    }

    fn release(&self, lca: StoreEntry, why: Release) -> Result<(), OperationError> {
        if self.memory.wire(0, WIRE_REFERENCES).load(Ordering::Relaxed) != 0 {
            return Err(OperationError::new("releasing an LCA", Errno::EBUSY));
        }
        // CPU 0, the m-kernel, hands it on.
        self.memory.give(&self.memory.file, lca.with_kind(why.kind()), 0, "releasing")
    }

    fn stop(&self) -> Result<(), OperationError> {
        let device = self.memory.wire(0, WIRE_DEVICE);
        if device.load(Ordering::Relaxed) == DEVICE_ANTS {
            device.store(DEVICE_LINUXS, Ordering::Relaxed);
        }
        for cpu_index in 0..self.cpus {
            let state = offset_of!(CpuControl, state);
            self.memory.control_half(cpu_index, state).store(CPU_OFF, Ordering::Relaxed);
            self.memory.wire(cpu_index, WIRE_ENTRY).store(0, Ordering::Relaxed);
        }
        self.memory.wire(0, WIRE_STOPS).fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn binder(&self) -> Box<dyn Binder> {
        Box::new(LoopbackBinder { memory: self.memory.clone() })
    }
}

#[derive(Clone, Debug)]
struct LoopbackBinder {
    memory: Rc<Memory>,
}

impl Binder for LoopbackBinder {
    fn keeps(&self) -> Option<BorrowedFd<'_>> {
        Some(self.memory.file.as_fd())
    }

    fn bind(&self, lca: StoreEntry) -> Result<ProxyFile, OperationError> {
        if self.memory.offset_of(lca).is_none() {
            return Err(OperationError::new(format!("binding {:#x}", lca.0), Errno::EINVAL));
        }
        let file = duplicate_above(&self.memory.file, 0)?;
        Ok(ProxyFile::new(file, lca, self.clone()))
    }
}

/// The way of a proxy file: one more descriptor of the memory file.
impl Way for LoopbackBinder {
    fn offset(&self, lca: StoreEntry) -> u64 {
        self.memory.offset_of(lca).expect("checked by bind")
    }

    fn ret(&self, file: &OwnedFd, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError> {
        self.memory.give(file, lca, cpu_index, "returning")
    }
}

/// AnT's side, for a test to play.
#[derive(Debug)]
pub struct Ant {
    memory: Rc<Memory>,
}

impl Ant {
    /// Entry address of a CPU that Linux started, if it did.
    #[must_use]
    pub fn started(&self, cpu_index: u32) -> Option<u64> {
        let entry = self.memory.wire(cpu_index, WIRE_ENTRY).load(Ordering::Acquire);
        (entry != 0).then_some(entry)
    }

    /// How often Linux rang a CPU's doorbell to see whether it answers.
    #[must_use]
    pub fn kicks(&self, cpu_index: u32) -> u64 {
        self.memory.wire(cpu_index, WIRE_KICKS).load(Ordering::Acquire)
    }

    /// How often a partition was stopped.
    #[must_use]
    pub fn stops(&self) -> u64 {
        self.memory.wire(0, WIRE_STOPS).load(Ordering::Acquire)
    }

    /// The partition's device in the boot block, as AnT finds it when it starts.
    ///
    /// # Panics
    ///
    /// The partition has no boot block.
    #[must_use]
    pub fn device(&self) -> Option<BootDevice> {
        if self.memory.device_count().load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut words = [0u64; size_of::<BootDevice>() / 8];
        crate::shared::copy_words(&self.memory.mapping, DEVICES_OFFSET, &mut words);
        Some(BootDevice::read_from_bytes(words.as_bytes()).expect("as many bytes"))
    }

    /// Whether the machine's one device is AnT's.
    #[must_use]
    pub fn has_device(&self) -> bool {
        self.memory.wire(0, WIRE_DEVICE).load(Ordering::Relaxed) == DEVICE_ANTS
    }

    /// Gives the machine's one device to a driver that does not let go of it.
    pub fn set_device_busy(&self) {
        self.memory.wire(0, WIRE_DEVICE).store(DEVICE_BUSY, Ordering::Relaxed);
    }

    /// Whether Linux shall refuse to release LCAs, as if I/O to them were under way.
    pub fn set_references(&self, there_are: bool) {
        self.memory.wire(0, WIRE_REFERENCES).store(there_are.into(), Ordering::Relaxed);
    }

    /// Sets a CPU's state and role.
    pub fn set_state(&self, cpu_index: u32, state: u32, role: u32) {
        self.memory
            .control_half(cpu_index, offset_of!(CpuControl, role))
            .store(role, Ordering::Relaxed);
        self.memory
            .control_half(cpu_index, offset_of!(CpuControl, state))
            .store(state, Ordering::Release);
    }

    /// Names the LCA of `init`.
    pub fn set_init_lca(&self, lca: StoreEntry) {
        let field = offset_of!(CpuControl, init_lca);
        self.memory.control_word(0, field).store(lca.0, Ordering::Release);
    }

    /// Counts a doorbell on a CPU.
    pub fn count_doorbell(&self, cpu_index: u32) {
        let field = offset_of!(CpuControl, doorbells);
        self.memory.control_word(cpu_index, field).fetch_add(1, Ordering::Release);
    }

    /// Says how often a CPU has entered or left its kernel.
    pub fn set_passages(&self, cpu_index: u32, kernel_entries: u64) {
        let field = offset_of!(CpuControl, kernel_entries);
        self.memory.control_word(cpu_index, field).store(kernel_entries, Ordering::Release);
    }

    /// Requests of a CPU that Linux refused.
    #[must_use]
    pub fn refused(&self, cpu_index: u32) -> u64 {
        let field = offset_of!(CpuControl, linux_refused);
        self.memory.control_word(cpu_index, field).load(Ordering::Relaxed)
    }

    /// Page `page` of the partition behind the image, as an LCA of generation `generation`.
    #[must_use]
    pub fn lca(&self, page: u64, generation: u16) -> StoreEntry {
        StoreEntry::call(PHYSICAL_START + IMAGE_SPAN + page * PAGE_SIZE as u64, generation)
    }

    /// Writes a whole LCA.
    ///
    /// # Panics
    ///
    /// It is outside the partition.
    pub fn write_lca(&self, lca: StoreEntry, page: &Lca) {
        let offset = self.memory.offset_of(lca).expect("an LCA of the partition");
        self.memory.write(offset as usize, page.as_bytes());
    }

    /// Reads a whole LCA.
    ///
    /// # Panics
    ///
    /// It is outside the partition.
    #[must_use]
    pub fn read_lca(&self, lca: StoreEntry) -> Lca {
        let offset = self.memory.offset_of(lca).expect("an LCA of the partition");
        let mut words = [0u64; PAGE_SIZE / 8];
        crate::shared::copy_words(&self.memory.mapping, offset as usize, &mut words);
        Lca::read_from_bytes(words.as_bytes()).expect("a page is a page")
    }

    /// Puts a request into a CPU's store and rings Linux.
    ///
    /// # Panics
    ///
    /// The store is full.
    pub fn request(&self, cpu_index: u32, lca: StoreEntry) {
        self.memory
            .store(cpu_index, offset_of!(CpuBlock, request))
            .push(lca.0)
            .expect("room in the request store");
        self.ring();
    }

    /// Rings Linux.
    pub fn ring(&self) {
        let _ = self.memory.doorbell.write(1);
    }

    /// Takes what Linux gave back to a CPU.
    #[must_use]
    pub fn returned(&self, cpu_index: u32) -> Option<StoreEntry> {
        self.memory.store(cpu_index, offset_of!(CpuBlock, ret)).pop().map(StoreEntry)
    }

    /// Writes into a CPU's log.
    pub fn log(&self, cpu_index: u32, writer: &mut LogWriter, tsc: u64, level: u8, text: &str) {
        let at = SHARED_OFFSET as usize + cpu_offset(cpu_index) + offset_of!(CpuBlock, log);
        writer.write(self.memory.mapping.writable(at), tsc, level, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuState;
    use ant_abi::boot::BUS_PNP;
    use ant_abi::cpu_block::{CPU_READY, ROLE_M_KERNEL};
    use ant_abi::store::{KIND_DIED, KIND_RELEASED};

    const MEMORY: u64 = 16 << 20;

    fn partition(cpus: &[u32]) -> (Box<dyn ControlFile>, Ant) {
        let (device, ant) = Loopback::new(MEMORY).unwrap();
        let request = PartitionRequest { cpus: cpus.to_vec(), memory: MEMORY, flags: 0 };
        (device.create(&request).unwrap(), ant)
    }

    #[test]
    fn a_partition_that_cannot_be_is_refused_with_its_reason() {
        let (device, _ant) = Loopback::new(MEMORY).unwrap();
        let refusal = |cpus: &[u32], memory| {
            let request = PartitionRequest { cpus: cpus.to_vec(), memory, flags: 0 };
            match device.create(&request) {
                Err(CreateError::Refused(failure)) => failure,
                other => panic!("{:?}", other.map(|_| ())),
            }
        };
        assert_eq!(refusal(&[0], MEMORY), Failure::BootCpu(0));
        assert_eq!(refusal(&[1, 2, 1], MEMORY), Failure::CpuTwice(1));
        assert_eq!(refusal(&[], MEMORY), Failure::CpuCount);
        assert_eq!(refusal(&[1], 1 << 20), Failure::TooSmall(16));
        assert_eq!(refusal(&[1], MEMORY + 1), Failure::NoMemory(16));
    }

    #[test]
    fn requests_come_out_once_and_foreign_ones_are_refused() {
        let (control, ant) = partition(&[1, 2]);
        let (first, second) = (ant.lca(1, 5), ant.lca(2, 6));
        ant.request(0, first);
        ant.request(1, StoreEntry::call(PhysAddr::new(0x1000), 0));
        ant.request(1, second);
        assert_eq!(control.get().unwrap(), Some(first));
        assert_eq!(control.get().unwrap(), Some(second));
        assert_eq!(control.get().unwrap(), None);
        assert_eq!(ant.refused(1), 1);
    }

    #[test]
    fn results_go_back_to_the_core_and_releases_to_cpu_0() {
        let (control, ant) = partition(&[1, 2]);
        let lca = ant.lca(3, 9);
        let proxy = control.binder().bind(lca).unwrap();
        proxy.map().unwrap().set_retval(-7);
        proxy.ret(1).unwrap();
        assert_eq!(ant.read_lca(lca).retval, -7);
        assert_eq!((ant.returned(0), ant.returned(1)), (None, Some(lca)));
        for (why, kind) in [(Release::AsAsked, KIND_RELEASED), (Release::Died, KIND_DIED)] {
            control.release(lca, why).unwrap();
            let released = Some(lca.with_kind(kind));
            assert_eq!((ant.returned(0), ant.returned(1)), (released, None));
        }
        assert!(proxy.ret(99).is_err());
    }

    #[test]
    fn the_shared_area_shows_what_ant_writes() {
        let (control, ant) = partition(&[3, 5]);
        let shared = control.shared().unwrap();
        assert_eq!(
            shared.cpus().iter().map(|cpu_index| cpu_index.linux_cpu).collect::<Vec<_>>(),
            [3, 5]
        );
        assert_eq!(shared.state(1), CpuState::Off);
        ant.set_state(1, CPU_READY, ROLE_M_KERNEL);
        assert_eq!(shared.state(1), CpuState::Ready);
        ant.count_doorbell(1);
        assert_eq!((shared.doorbells(0), shared.doorbells(1)), (0, 1));
        assert_eq!(shared.control(1).doorbells, 1);
        ant.set_passages(1, 3);
        assert_eq!((shared.kernel_entries(0), shared.kernel_entries(1)), (0, 3));
    }

    #[test]
    fn a_device_is_taken_once_and_ant_is_told() {
        let (control, ant) = partition(&[1]);
        let long = "a name that no device can have, for it is too long".to_owned();
        let mut request = DeviceRequest { bus: BUS_PNP, address: "00:05".into(), name: long };
        assert_eq!(control.take_device(&request).unwrap_err().errno, Errno::ENAMETOOLONG);
        request.name = "com2".into();
        assert_eq!((ant.device(), ant.has_device()), (None, false));
        let device = control.take_device(&request).unwrap();
        assert_eq!((ant.device(), ant.has_device()), (Some(device), true));
        assert!(device.bus == BUS_PNP && device.name.starts_with(b"com2\0"));
        assert!(device.address.starts_with(b"00:05\0") && device.resource_count == 2);
        assert_eq!(control.take_device(&request).unwrap_err().errno, Errno::EBUSY);
        control.stop().unwrap();
        assert!(!ant.has_device());
    }

    #[test]
    fn buffer_reads_need_not_be_aligned() {
        let (control, ant) = partition(&[1]);
        let lca = ant.lca(4, 1);
        let mut page = Lca::new_zeroed();
        page.buffer[..11].copy_from_slice(b"hello world");
        ant.write_lca(lca, &page);
        let mapped = control.binder().bind(lca).unwrap().map().unwrap();
        assert_eq!(mapped.buffer(3..9), b"lo wor");
        assert_eq!(mapped.replace_buffer_word(0, 1), u64::from_ne_bytes(*b"hello wo"));
        assert_eq!(mapped.buffer(0..1), [1]);
    }
}
