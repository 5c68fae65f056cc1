//! The ioctls of `/dev/ant`.
//!
//! A file is nothing until it becomes either a *control* file (`CREATE`: it owns a partition, which
//! ends with it) or a *channel* file (`BIND`). Both serve the channels that are bound to them: `GET`
//! gives their requests and no others, `RET` returns them, `mmap` at offset `raddr` gives the LCA. A
//! channel that is bound can have proxies' files beside, which map and return it. `mmap` of a control
//! file at offset 0 gives the shared area, read-only.
//!
//! Errors beside those of [`crate::Error`]: `-EBADFD`, the file is of the wrong kind; `-EXDEV`,
//! `BIND` through another device node than the control file's; `-ENOSPC`, the return store is full;
//! `-EPROTO`, another revision.
//!
//! # Life of a partition
//!
//! 1. `CREATE` takes CPUs and memory. The control file owns the partition from now on: when it is
//!    closed, for whatever reason, the partition ends and everything goes back to Linux.
//! 2. `LOAD` copies in what AnT boots from (`antd` reads the ELF file; the module does not know
//!    ELF). `DEVICE_TAKE` takes a device that Linux does not use from its driver, and has its
//!    interrupt line forwarded.
//! 3. `START` of CPU 0, the m-kernel's: the module fills the boot block (before the first start
//!    only), puts the trampoline into a borrowed page below 1 MiB, sends INIT-SIPI-SIPI, waits
//!    until `CpuControl::state` leaves `CpuState::Off`, and gives the page back.
//! 4. `antd` waits for `CpuState::Ready`, then starts the other CPUs, the p-kernels, one by one.
//! 5. `STOP`, or the last close: INIT to every CPU, CPUs online under Linux, memory freed, devices
//!    back with their drivers. A waiting `GET` returns `-ENODEV`. Mappings are taken away: an access to
//!    the shared area is SIGBUS afterwards, an LCA reads as zeros in a page of the process's own.

use crate::MAX_CPUS;
use crate::boot::{BootDevice, DEVICE_NAME, TableSizes};

/// `_IOC` type of all requests.
pub const IOCTL_TYPE: u8 = b'A';

/// What `CREATE` could not do; in `PartitionCreate::failure`.
pub const FAILURE_NONE: u32 = 0;
/// The revisions differ; the module's is in `failed_value`.
pub const FAILURE_REVISION: u32 = 1;
/// No such CPU; it is in `failed_value`, as in all that follow up to `FAILURE_OFFLINE`.
pub const FAILURE_NO_CPU: u32 = 2;
/// The CPU that Linux booted on stays Linux's.
pub const FAILURE_BOOT_CPU: u32 = 3;
/// The CPU belongs to a partition.
pub const FAILURE_CPU_TAKEN: u32 = 4;
/// The CPU is named twice.
pub const FAILURE_CPU_TWICE: u32 = 5;
/// Linux would not give the CPU up.
pub const FAILURE_CPU_BUSY: u32 = 6;
/// The CPU is offline, so not Linux's to give.
pub const FAILURE_OFFLINE: u32 = 7;
/// No CPU named, or more than `MAX_CPUS`.
pub const FAILURE_CPU_COUNT: u32 = 8;
/// Too little memory asked for; the least is in `failed_value`, in MiB.
pub const FAILURE_TOO_SMALL: u32 = 9;
/// Linux could not give that much memory; what it could is in `failed_value`, in MiB.
pub const FAILURE_NO_MEMORY: u32 = 10;
/// No interrupt vector left.
pub const FAILURE_NO_VECTOR: u32 = 11;
/// No page below 1 MiB to start a CPU from.
pub const FAILURE_NO_TRAMPOLINE: u32 = 12;

/// `MemoryLoad::target`: the kernel image.
pub const LOAD_IMAGE: u32 = 0;
/// `MemoryLoad::target`: the bundle. The boot block names it; its length is where the last byte goes.
pub const LOAD_BUNDLE: u32 = 1;

/// Least memory of a partition, in bytes.
pub const MIN_MEMORY: u64 = 16 << 20;

abi_struct! {
    /// `INFO`: what module this is.
    pub struct ModuleInfo {
        /// `REVISION` of the module.
        pub revision: u32,
        /// `MAX_CPUS` of the module.
        pub max_cpus: u32,
        /// Partitions that live now.
        pub partitions: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// `CREATE`: take CPUs and memory from Linux. Written back on failure, too.
    pub struct PartitionCreate {
        /// In: `REVISION` of the caller.
        pub revision: u32,
        /// In: `BOOT_*` flags.
        pub flags: u32,
        /// In: memory in bytes; rounded up to 4 MiB.
        pub memory: u64,
        /// In: CPUs in `cpus`.
        pub cpu_count: u32,
        /// Out: number of the new partition.
        pub partition: u32,
        /// Out: one of `FAILURE_*`.
        pub failure: u32,
        /// Out: what the failure is about.
        pub failed_value: u32,
        /// In: what the boot block says of AnT's tables; the module passes it on, unread.
        pub tables: TableSizes,
        /// In: Linux's numbers of the CPUs; the first becomes the m-kernel's.
        pub cpus: [u32; MAX_CPUS],
    }

    /// `LOAD`: copy bytes into the partition's memory, before the first `START`.
    pub struct MemoryLoad {
        /// Address of the bytes in the caller.
        pub source: u64,
        /// How many.
        pub len: u64,
        /// Where, from the start of the target; `offset + len` within `SHARED_OFFSET` for the image,
        /// within `BUNDLE_SPAN` for the bundle.
        pub offset: u64,
        /// One of `LOAD_*`.
        pub target: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// `START`: start one CPU; returns when its first instructions have run.
    pub struct CpuStart {
        /// Index of the CPU in the partition.
        pub cpu: u32,
        /// Zero.
        pub reserved: u32,
        /// Virtual address of the first instruction.
        pub entry: u64,
    }

    /// `BIND`: serve a channel.
    pub struct ChannelBind {
        /// Number of the partition.
        pub partition: u32,
        /// Zero.
        pub reserved: u32,
        /// The LCA with its generation, as `init` has named it.
        pub lca: u64,
    }

    /// `GET`: out: the LCA of a request (`StoreEntry` of kind call).
    pub struct CallGet {
        /// The LCA with its generation.
        pub lca: u64,
    }

    /// `RET`: in: a result.
    pub struct CallRet {
        /// The LCA with its generation.
        pub lca: u64,
        /// CPU that it goes back to, `Lca::cid`.
        pub cid: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// `RELEASE`: in: no mapping any more.
    pub struct LcaRelease {
        /// The LCA with its generation.
        pub lca: u64,
        /// `EntryKind::Released` or `EntryKind::Closed` (`KIND_*` in C).
        pub kind: u64,
    }

    /// `KICK`: ring a CPU's doorbell, to see whether it answers.
    pub struct CpuKick {
        /// Index of the CPU in the partition.
        pub cpu: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// `DEVICE_TAKE`: take a device on one of Linux's buses from its driver.
    pub struct DeviceTake {
        /// In: a `Bus`; `BUS_*` in C.
        pub bus: u32,
        /// Out: its number in the partition.
        pub index: u32,
        /// In: its address on the bus, padded with NULs.
        pub address: [u8; DEVICE_NAME],
        /// In: what the partition calls it, padded with NULs; no other device of it may be called
        /// so. Only manifests and people know what it means.
        pub name: [u8; DEVICE_NAME],
        /// Out: the device, as it is in the boot block from now on.
        pub device: BootDevice,
    }
}

/// Direction of an ioctl's structure, as `_IOC` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `_IO`: no structure.
    None,
    /// `_IOW`: to the module.
    Write,
    /// `_IOR`: from the module.
    Read,
    /// `_IOWR`: both.
    ReadWrite,
}

/// One ioctl.
#[derive(Debug)]
pub struct Ioctl {
    /// `ANT_<name>` in C.
    pub name: &'static str,
    /// `_IOC` number.
    pub number: u8,
    /// Which way the structure goes.
    pub direction: Direction,
    /// Name of the structure, empty for `_IO`.
    pub argument: &'static str,
    /// Bytes of the structure.
    pub size: usize,
}

impl Ioctl {
    /// The request number, `_IOC(direction, IOCTL_TYPE, number, size)`.
    #[must_use]
    pub const fn request(&self) -> u32 {
        let direction = match self.direction {
            Direction::None => 0,
            Direction::Write => 1,
            Direction::Read => 2,
            Direction::ReadWrite => 3,
        };
        direction << 30 | (self.size as u32) << 16 | (IOCTL_TYPE as u32) << 8 | self.number as u32
    }
}

macro_rules! ioctls {
    ($( $(#[doc = $doc:literal])* $name:ident = $number:literal, $direction:ident $(, $arg:ident)?; )*) => {
        $( $(#[doc = $doc])* pub const $name: Ioctl = Ioctl {
            name: stringify!($name),
            number: $number,
            direction: Direction::$direction,
            argument: concat!($(stringify!($arg))?),
            size: 0 $(+ size_of::<$arg>())?,
        }; )*
        /// Every ioctl, for the C header.
        pub const IOCTLS: &[Ioctl] = &[$($name),*];
    };
}

ioctls! {
    /// Any file: what module is this?
    INFO = 0x00, Read, ModuleInfo;
    /// Fresh file: take CPUs and memory, become the control file of a new partition.
    CREATE = 0x01, ReadWrite, PartitionCreate;
    /// Control file: copy a part of the kernel image or of the bundle in.
    LOAD = 0x02, Write, MemoryLoad;
    /// Control file: start a CPU. `-EAGAIN` for any but the first until that is ready.
    START = 0x03, Write, CpuStart;
    /// Control file: stop the CPUs, give everything back to Linux. Also on last close.
    STOP = 0x04, None;
    /// Control file: ring a CPU's doorbell.
    KICK = 0x05, Write, CpuKick;
    /// Control file, before the first `START`: take a device from Linux; it goes back with the
    /// partition. From then on each of its interrupts sets a bit in `CpuControl::interrupts` of the
    /// CPU that `CpuControl::interrupt_targets` says, and rings that CPU. `-EINVAL`: no such bus, or
    /// a bad name; `-EEXIST`: the partition has a device of that name; `-ENODEV`: no device at that
    /// address; `-EOPNOTSUPP`: it has an interrupt that is not edge-triggered, uses DMA, or has more
    /// resources than `DEVICE_RESOURCES`; `-EBUSY`: another driver has its resources, or a CPU has
    /// been started; `-ENOSPC`: the partition has as many devices, or interrupts, as it can have.
    DEVICE_TAKE = 0x06, ReadWrite, DeviceTake;
    /// Wait for a request of the file's channels (`-EAGAIN` at once if the file is non-blocking;
    /// `-ESHUTDOWN` once all of them are closed, `-ENODEV` once the partition has stopped).
    GET = 0x10, Read, CallGet;
    /// Give a result back and ring the CPU. `-ENOENT`: the file has no such channel, or no call of that
    /// CPU; each call has one result.
    RET = 0x11, Write, CallRet;
    /// Tell AnT (CPU 0, the m-kernel, which hands it on) that Linux has let go of an LCA: after a call
    /// without continuation, by the file of the channel; or for good, by the control file alone.
    /// `-EBUSY` as long as Linux has a reference to the page: I/O that pins it. Try again. `-ENOENT`: the
    /// file has no such channel, or has not returned a call of it.
    RELEASE = 0x12, Write, LcaRelease;
    /// Control file, channel file or fresh file, which becomes a channel file: serve one channel more.
    /// If another file serves it already, a fresh file becomes a proxy's. For `CAP_SYS_ADMIN` only.
    /// `-EEXIST`: a file serves it, and this one serves others.
    BIND = 0x13, Write, ChannelBind;
}

abi_constants!(
    FAILURE_NONE,
    FAILURE_REVISION,
    FAILURE_NO_CPU,
    FAILURE_BOOT_CPU,
    FAILURE_CPU_TAKEN,
    FAILURE_CPU_TWICE,
    FAILURE_CPU_BUSY,
    FAILURE_OFFLINE,
    FAILURE_CPU_COUNT,
    FAILURE_TOO_SMALL,
    FAILURE_NO_MEMORY,
    FAILURE_NO_VECTOR,
    FAILURE_NO_TRAMPOLINE,
    MIN_MEMORY,
    LOAD_IMAGE,
    LOAD_BUNDLE,
);
