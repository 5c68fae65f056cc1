//! Virtual and physical layout that more than one party relies on.
//!
//! The paper's 32-bit picture (2.1.2, Fig. 2) carried over in kind: a process region mapped in
//! 4 KiB pages, above it the ICA at the same place in every process, above that the kernel with
//! read-only text and read-write data in large pages, physical = virtual + constant.

use crate::boot::TableSizes;
use crate::{PAGE_SIZE, UserVirt};

/// Lowest address that a process may use.
pub const PROCESS_START: u64 = 0x0000_0000_0001_0000;
/// End (exclusive) of the process region.
pub const PROCESS_END: u64 = 0x0000_5fff_ffff_f000;
/// Top of a process's first stack.
pub const STACK_TOP: UserVirt = UserVirt::of_layout(0x0000_5fff_ffff_0000);

/// Start of the ICA: page `n` of a partition's ICA is at `ICA_START + n * 4096` in every process.
pub const ICA_START: u64 = 0x0000_6000_0000_0000;
/// End (exclusive) of the largest ICA. A partition's has `TableSizes::ica_pages` pages. Every process has
/// the page tables for all of them, so that a page changes hands by writing an entry.
pub const ICA_END: u64 = ICA_START + TableSizes::MOST.ica_pages as u64 * PAGE_SIZE as u64;

/// Where `init` has the bundle mapped, to read.
pub const BUNDLE_START: u64 = 0x0000_6800_0000_0000;
/// Physical memory that a bundle can take, contiguous.
pub const BUNDLE_SPAN: u64 = 4 << 20;

/// Device memory at physical address `p` that was granted to a process is at `DEVICE_START + p`.
pub const DEVICE_START: u64 = 0x0000_7000_0000_0000;
/// End (exclusive) of granted device memory.
pub const DEVICE_END: u64 = 0x0000_7fff_0000_0000;

// The regions of a process lie apart.
const _: () = assert!(PROCESS_END <= ICA_START && ICA_END <= BUNDLE_START);
const _: () = assert!(BUNDLE_START + BUNDLE_SPAN <= DEVICE_START);

/// Where the kernel image is linked, and where `ant.ko` maps it for the first instruction.
pub const IMAGE_VIRT: u64 = 0xffff_ffff_8000_0000;
/// Large page that maps the image: 2 MiB.
pub const LARGE_PAGE: u64 = 2 << 20;
/// Physical memory that the image takes, contiguous: one large page of text and read-only data,
/// one of data, which ends with the shared area.
pub const IMAGE_SPAN: u64 = 2 * LARGE_PAGE;
/// Where data begins, from the start of the image.
pub const IMAGE_DATA: u64 = LARGE_PAGE;

/// Bytes of the shared area that the boot block takes.
pub const BOOT_BLOCK_SPAN: u64 = 64 << 10;
/// Bytes of the shared area that one CPU takes.
pub const CPU_BLOCK_SPAN: u64 = 32 << 10;
/// Bytes of the area shared by both kernels: the boot block, then one block for each CPU.
pub const SHARED_SPAN: u64 = BOOT_BLOCK_SPAN + crate::MAX_CPUS as u64 * CPU_BLOCK_SPAN;
/// Where the shared area begins, from the start of the image.
pub const SHARED_OFFSET: u64 = IMAGE_SPAN - SHARED_SPAN;

/// Vector on which AnT CPUs take the doorbell, from Linux and from one another.
pub const DOORBELL_VECTOR: u64 = 0xf0;

abi_constants!(
    IMAGE_VIRT,
    LARGE_PAGE,
    IMAGE_SPAN,
    BUNDLE_SPAN,
    BOOT_BLOCK_SPAN,
    CPU_BLOCK_SPAN,
    SHARED_SPAN,
    SHARED_OFFSET,
    DOORBELL_VECTOR,
);
