//! What AnT is told when it is started: image header and boot block.
//!
//! # State of a CPU at its first instruction
//!
//! The module's page tables map the trampoline's page (identity) and the image (`IMAGE_SPAN` at
//! `IMAGE_VIRT`). The CPU arrives in 64-bit mode at `CpuStart::entry` with interrupts off, `rdi` =
//! virtual address of the boot block, `rsi` = its CPU index, and no stack. AnT builds page tables
//! of its own and leaves the module's.

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::ipc::SERVER_ENDPOINTS;
use crate::layout::BOOT_BLOCK_SPAN;
use crate::{MAX_CPUS, PhysAddr};

/// First eight bytes of an AnT kernel image: `AnTimage`.
pub const IMAGE_MAGIC: u64 = u64::from_le_bytes(*b"AnTimage");
/// First eight bytes of a boot block: `AnTbootb`.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"AnTbootb");
/// Pieces of memory that a partition can consist of.
pub const MAX_EXTENTS: usize = 1024;

/// `BootBlock::flags`: AnT may be told to fail on purpose (tests, trials of recovery).
pub const BOOT_ALLOW_INJECT: u32 = 1 << 0;

/// `BootBlock::flags`: a CPU without work looks for some all the time instead of sleeping: messages
/// between CPUs need no interrupt, and the CPU takes all the power it can.
pub const BOOT_IDLE_POLL: u32 = 1 << 1;

/// Devices that a partition can have.
pub const MAX_DEVICES: usize = 16;
/// Resources that a device can have.
pub const DEVICE_RESOURCES: usize = 8;
/// Interrupts of all devices of a partition; their indices are below.
pub const MAX_INTERRUPTS: usize = 64;
/// Bytes of a device's name and of its address on its bus, each padded with NULs, at least one.
pub const DEVICE_NAME: usize = 32;
/// Bytes of a device's id on its bus, padded with NULs.
pub const DEVICE_ID: usize = 8;

/// A bus of Linux's: `BootDevice::bus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum Bus {
    /// PNP. A device's address there is as in `/sys/bus/pnp/devices` (`00:05`), its id is PNP's
    /// (`PNP0501`).
    Pnp = 1,
    /// PCI. Reserved: the module takes no device from it today.
    Pci = 2,
}

/// What a resource is: `Resource::kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum ResourceKind {
    /// `len` I/O ports from `start` on.
    Ports = 1,
    /// `len` bytes of device memory at physical address `start`.
    Memory = 2,
    /// Interrupt `start` of the partition, an index below `MAX_INTERRUPTS`; `len` is 1.
    Interrupt = 3,
}

abi_struct! {
    /// Head of the kernel image, at `IMAGE_VIRT`. Filled at link time; checked by `antd`.
    pub struct ImageHeader {
        /// `IMAGE_MAGIC`.
        pub magic: u64,
        /// `REVISION` the image was built with.
        pub revision: u32,
        /// Bytes of this header.
        pub size: u32,
    }

    /// Contiguous physical memory.
    pub struct Extent {
        /// Physical address, page aligned.
        pub start: PhysAddr,
        /// Bytes, a multiple of a page.
        pub len: u64,
    }

    /// One CPU of the partition. The first is the m-kernel's.
    pub struct BootCpu {
        /// Physical APIC id.
        pub apic_id: u32,
        /// What Linux calls it; the number people see.
        pub linux_cpu: u32,
    }

    /// How many objects of each kind the partition has room for. The tables are made of its memory at
    /// boot; `ant_logic::tables` says what can be.
    pub struct TableSizes {
        /// Processes, servers included, at one time.
        pub processes: u32,
        /// Threads at one time.
        pub threads: u32,
        /// Endpoints; the first `SERVER_ENDPOINTS` are `init`'s and the servers'.
        pub endpoints: u32,
        /// LCAs; they are the first pages of the ICA.
        pub lcas: u32,
        /// Pages of the ICA.
        pub ica_pages: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// What a device has.
    pub struct Resource {
        /// A `ResourceKind`; `RESOURCE_*` in C.
        pub kind: u32,
        /// Of an interrupt: Linux's number of the irq, which people and manifests use. Else zero.
        pub line: u32,
        /// See `kind`.
        pub start: u64,
        /// See `kind`.
        pub len: u64,
    }

    /// A device that was taken from Linux. Its index in `BootBlock::devices` is its number.
    pub struct BootDevice {
        /// What the partition calls it: `DeviceTake::name`.
        pub name: [u8; DEVICE_NAME],
        /// Where it is on its bus.
        pub address: [u8; DEVICE_NAME],
        /// What kind of device the bus says that it is.
        pub id: [u8; DEVICE_ID],
        /// A `Bus`; `BUS_*` in C.
        pub bus: u32,
        /// Resources in `resources`.
        pub resource_count: u32,
        /// Its resources.
        pub resources: [Resource; DEVICE_RESOURCES],
    }

    /// Start of the shared area. Filled by `ant.ko` before the first CPU starts; never changed
    /// afterwards; checked by the AnT kernel.
    pub struct BootBlock {
        /// `BOOT_MAGIC`.
        pub magic: u64,
        /// `REVISION` of the module.
        pub revision: u32,
        /// Bytes of this structure.
        pub size: u32,
        /// Number of the partition on this machine.
        pub partition: u32,
        /// `BOOT_*`.
        pub flags: u32,
        /// Physical address of the kernel image; the shared area is `SHARED_OFFSET` above it.
        pub image_phys: PhysAddr,
        /// Physical address of the bundle, page aligned.
        pub bundle_phys: PhysAddr,
        /// Bytes of the bundle; 0: none was loaded.
        pub bundle_len: u64,
        /// Frequency of the time-stamp counter in kHz, as Linux measured it.
        pub tsc_khz: u32,
        /// CPUs in `cpus`.
        pub cpu_count: u32,
        /// Extents in `extents`.
        pub extent_count: u32,
        /// Devices in `devices`. Raised by `DEVICE_TAKE`, before the first CPU starts.
        pub device_count: u32,
        /// Sizes of AnT's tables.
        pub tables: TableSizes,
        /// The CPUs of the partition, the m-kernel's first.
        pub cpus: [BootCpu; MAX_CPUS],
        /// The memory of the partition. The first extent begins with the image.
        pub extents: [Extent; MAX_EXTENTS],
        /// The devices of the partition. Filled by `DEVICE_TAKE`, before the first CPU starts.
        pub devices: [BootDevice; MAX_DEVICES],
    }
}

impl TableSizes {
    /// What a partition has that was asked for no other sizes.
    pub const USUAL: Self = Self {
        processes: 128,
        threads: 128,
        endpoints: 64,
        lcas: 128,
        ica_pages: 4096,
        reserved: 0,
    };

    /// The fewest that there can be of each: room for `init`, servers and some programs; the endpoints of
    /// `init` and the servers, and one; an ICA of 2 MiB.
    pub const LEAST: Self = Self {
        processes: 32,
        threads: 32,
        endpoints: SERVER_ENDPOINTS as u32 + 1,
        lcas: 32,
        ica_pages: 512,
        reserved: 0,
    };

    /// The most that there can be of each: what ids, packets and entries of tables have bits for.
    pub const MOST: Self = Self {
        processes: 2048,
        threads: 2048,
        endpoints: 1024,
        lcas: 2048,
        ica_pages: 1 << 17,
        reserved: 0,
    };
}

const _: () = assert!(size_of::<BootBlock>() as u64 <= BOOT_BLOCK_SPAN);

abi_constants!(
    BOOT_MAGIC,
    MAX_EXTENTS,
    BOOT_ALLOW_INJECT,
    BOOT_IDLE_POLL,
    MAX_DEVICES,
    DEVICE_RESOURCES,
    MAX_INTERRUPTS,
    DEVICE_NAME,
    DEVICE_ID,
    BUS_PNP = Bus::Pnp,
    BUS_PCI = Bus::Pci,
    RESOURCE_PORTS = ResourceKind::Ports,
    RESOURCE_MEMORY = ResourceKind::Memory,
    RESOURCE_INTERRUPT = ResourceKind::Interrupt,
);
