//! A kernel image for tests, small enough to be made by hand.

use ant_abi::boot::{IMAGE_MAGIC, ImageHeader};
use ant_abi::layout::IMAGE_VIRT;
use elf::abi::{EM_X86_64, PT_LOAD};
use zerocopy::IntoBytes;

/// A smallest image: one segment at `vaddr`, of a header and `memory` bytes in all.
#[must_use]
pub fn image(revision: u32, vaddr: u64, memory: u64) -> Vec<u8> {
    let header = ImageHeader { magic: IMAGE_MAGIC, revision, size: 16 };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(2u16.to_le_bytes());
    bytes.extend(EM_X86_64.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((IMAGE_VIRT + 16).to_le_bytes());
    bytes.extend(64u64.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(PT_LOAD.to_le_bytes());
    bytes.extend(5u32.to_le_bytes());
    for word in [120, vaddr, vaddr, 16, memory, 4096] {
        bytes.extend(u64::to_le_bytes(word));
    }
    bytes.extend(header.as_bytes());
    bytes
}
