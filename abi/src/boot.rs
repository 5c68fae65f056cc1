//! What AnT is told when it is started: image header and boot block.

use crate::MAX_CPUS;
use crate::layout::BOOT_BLOCK_SPAN;

/// First eight bytes of an AnT kernel image: `AnTimage`.
pub const IMAGE_MAGIC: u64 = u64::from_le_bytes(*b"AnTimage");
/// First eight bytes of a boot block: `AnTbootb`.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"AnTbootb");
/// Pieces of memory that a partition can consist of.
pub const MAX_EXTENTS: usize = 1024;

/// `BootBlock::flags`: AnT may be told to fail on purpose (tests, trials of recovery).
pub const BOOT_ALLOW_INJECT: u32 = 1 << 0;

/// `BootBlock::flags`: COM2 and its interrupt line 3 are AnT's. Set by `DEVICE_TAKE` only.
pub const BOOT_COM2: u32 = 1 << 1;

/// `BootBlock::flags`: a CPU without work looks for some all the time instead of sleeping: messages
/// between CPUs need no interrupt, and the CPU takes all the power it can.
pub const BOOT_IDLE_POLL: u32 = 1 << 2;

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
        pub start: u64,
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
        pub image_phys: u64,
        /// Physical address of the bundle, page aligned.
        pub bundle_phys: u64,
        /// Bytes of the bundle; 0: none was loaded.
        pub bundle_len: u64,
        /// Frequency of the time-stamp counter in kHz, as Linux measured it.
        pub tsc_khz: u32,
        /// CPUs in `CPUs`.
        pub cpu_count: u32,
        /// Extents in `extents`.
        pub extent_count: u32,
        /// Zero.
        pub reserved: u32,
        /// The CPUs of the partition, the m-kernel's first.
        pub cpus: [BootCpu; MAX_CPUS],
        /// The memory of the partition. The first extent begins with the image.
        pub extents: [Extent; MAX_EXTENTS],
    }
}

const _: () = assert!(size_of::<BootBlock>() as u64 <= BOOT_BLOCK_SPAN);

abi_constants!(BOOT_MAGIC, MAX_EXTENTS, BOOT_ALLOW_INJECT, BOOT_COM2, BOOT_IDLE_POLL);
