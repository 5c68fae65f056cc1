//! One LCA, mapped by its proxy.

use std::mem::offset_of;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use ant_abi::PAGE_SIZE;
use ant_abi::lca::{LCA_HEADER, Lca, STEPS, Stamp};
use ant_abi::store::StoreEntry;
use zerocopy::IntoBytes;

use crate::{Access, Mapping, OperationError};

/// A mapped LCA. The process on AnT may write any of it at any time.
///
/// After the channel was closed, or the partition has stopped, it reads as zeros.
#[derive(Debug)]
pub struct LcaPage {
    mapping: Mapping,
}

impl LcaPage {
    /// Maps the LCA that is at `offset` of `file`.
    ///
    /// # Errors
    ///
    /// Those of `mmap`.
    pub fn map(file: impl AsFd, offset: u64, lca: StoreEntry) -> Result<Self, OperationError> {
        Mapping::new(file, offset, PAGE_SIZE, Access::ReadWrite)
            .map(|mapping| Self { mapping })
            .map_err(|errno| OperationError::new(format!("mapping {:#x}", lca.0), errno))
    }

    /// A copy of the head, each word read once.
    #[must_use]
    pub fn head(&self) -> [u8; LCA_HEADER] {
        let mut words = [0u64; LCA_HEADER / 8];
        self.mapping.copy_words(0, &mut words);
        let mut head = [0; LCA_HEADER];
        head.copy_from_slice(words.as_bytes());
        head
    }

    /// A copy of part of the buffer.
    ///
    /// # Panics
    ///
    /// It reaches beyond the buffer.
    #[must_use]
    pub fn buffer(&self, range: Range<usize>) -> Vec<u8> {
        let first = range.start / 8 * 8;
        let mut words = vec![0u64; (range.end - first).div_ceil(8)];
        self.mapping.copy_words(LCA_HEADER + first, &mut words);
        words.as_bytes()[range.start - first..range.end - first].to_vec()
    }

    /// Writes to the beginning of the buffer.
    ///
    /// # Panics
    ///
    /// It reaches beyond the buffer.
    pub fn set_buffer(&self, bytes: &[u8]) {
        self.mapping.store_bytes(LCA_HEADER, bytes);
    }

    /// Writes the result.
    pub fn set_retval(&self, retval: i64) {
        self.word(offset_of!(Lca, retval)).store(retval as u64, Ordering::Relaxed);
    }

    /// Address of byte `offset` of the buffer in this process.
    ///
    /// # Panics
    ///
    /// It lies beyond the buffer.
    #[must_use]
    pub fn buffer_address(&self, offset: usize) -> u64 {
        self.mapping.address(LCA_HEADER + offset)
    }

    /// Writes `value` at `offset` of the buffer, a multiple of 8, and returns the former value.
    ///
    /// # Panics
    ///
    /// It lies beyond the buffer.
    pub fn replace_buffer_word(&self, offset: usize, value: u64) -> u64 {
        self.word(LCA_HEADER + offset).swap(value, Ordering::Relaxed)
    }

    /// Stamps a step.
    ///
    /// # Panics
    ///
    /// There is no such step.
    pub fn stamp(&self, step: usize, stamp: Stamp) {
        assert!(step < STEPS, "no such step");
        let at = offset_of!(Lca, stamps) + step * size_of::<Stamp>();
        let place = u64::from(stamp.cpu) | u64::from(stamp.pid) << 32;
        self.word(at + offset_of!(Stamp, cpu)).store(place, Ordering::Relaxed);
        self.word(at + offset_of!(Stamp, tsc)).store(stamp.tsc, Ordering::Relaxed);
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        self.mapping.writable(offset)
    }
}

const _: () = assert!(offset_of!(Stamp, pid) == offset_of!(Stamp, cpu) + 4);
