//! The shared area as programs on Linux see it: read-only, written by AnT at any time.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use ant_abi::boot::{BOOT_MAGIC, BootBlock, BootCpu};
use ant_abi::cpu_block::{CpuBlock, CpuControl, CpuState};
use ant_abi::layout::{BOOT_BLOCK_SPAN, CPU_BLOCK_SPAN, SHARED_SPAN};
use ant_logic::rings::log::{LogItem, LogReader};
use rustix::io::Errno;
use zerocopy::{FromBytes, IntoBytes};

use crate::{Mapping, OperationError};

/// A read-only view of the shared area.
///
/// After the partition has stopped an access raises SIGBUS, so drop it before.
#[derive(Debug)]
pub struct SharedArea {
    mapping: Mapping,
    cpus: Vec<BootCpu>,
    tsc_khz: u32,
}

impl SharedArea {
    /// Bytes that the mapping must have.
    pub const LEN: usize = SHARED_SPAN as usize;

    /// Takes a mapping of the area and reads its boot block.
    ///
    /// # Errors
    ///
    /// The mapping is too small for a boot block.
    pub fn new(mapping: Mapping) -> Result<Self, OperationError> {
        let mut words = vec![0u64; size_of::<BootBlock>().div_ceil(8)];
        mapping.copy_words(0, &mut words);
        let (boot, _) = BootBlock::ref_from_prefix(words.as_bytes())
            .map_err(|_| OperationError::new("reading the boot block", Errno::INVAL))?;
        // The module fills the block before the first CPU starts; until then it may be empty.
        let filled = boot.magic == BOOT_MAGIC;
        let count = if filled { boot.cpu_count as usize } else { 0 };
        let cpus = boot.cpus.iter().copied().take(count).collect();
        let tsc_khz = boot.tsc_khz;
        Ok(Self { mapping, cpus, tsc_khz })
    }

    /// Where a CPU's block begins in the shared area.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    #[must_use]
    pub fn cpu_offset(cpu_index: u32) -> usize {
        assert!((cpu_index as usize) < ant_abi::MAX_CPUS, "no such CPU");
        (BOOT_BLOCK_SPAN + u64::from(cpu_index) * CPU_BLOCK_SPAN) as usize
    }

    /// The CPUs of the partition; none before the first has been started.
    #[must_use]
    pub fn cpus(&self) -> &[BootCpu] {
        &self.cpus
    }

    /// Frequency of the time-stamp counter in kHz; 0 before the first CPU has been started.
    #[must_use]
    pub fn tsc_khz(&self) -> u32 {
        self.tsc_khz
    }

    /// A copy of a CPU's control page. Its fields need not be of one moment.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    #[must_use]
    pub fn control(&self, cpu_index: u32) -> CpuControl {
        let mut words = [0u64; size_of::<CpuControl>() / 8];
        self.mapping.copy_words(Self::cpu_offset(cpu_index), &mut words);
        CpuControl::read_from_bytes(words.as_bytes()).expect("a page is a page")
    }

    /// State of a CPU.
    ///
    /// # Errors
    ///
    /// A number that means nothing.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    pub fn state(&self, cpu_index: u32) -> Result<CpuState, u32> {
        let at = Self::cpu_offset(cpu_index) + offset_of!(CpuControl, state) / 8 * 8;
        let word = load(&self.mapping, at);
        CpuState::try_from(word as u32).map_err(|unknown| unknown.number)
    }

    /// Doorbells that a CPU has taken.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    #[must_use]
    pub fn doorbells(&self, cpu_index: u32) -> u64 {
        load(&self.mapping, Self::cpu_offset(cpu_index) + offset_of!(CpuControl, doorbells))
    }

    /// How often a CPU has entered or left its kernel: odd inside.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    #[must_use]
    pub fn kernel_entries(&self, cpu_index: u32) -> u64 {
        load(&self.mapping, Self::cpu_offset(cpu_index) + offset_of!(CpuControl, kernel_entries))
    }

    /// The next item of a CPU's log, if there is one.
    ///
    /// # Panics
    ///
    /// `cpu_index` is not below `MAX_CPUS`.
    pub fn read_log(&self, cpu_index: u32, reader: &mut LogReader) -> Option<LogItem> {
        reader.read(self.mapping.at(Self::cpu_offset(cpu_index) + offset_of!(CpuBlock, log)))
    }
}

const _: () = assert!(offset_of!(CpuControl, state) == 0);

/// Loads a word that AnT writes; what AnT wrote before it is seen after it.
fn load(mapping: &Mapping, offset: usize) -> u64 {
    // Relaxed and a fence: only relaxed loads are sure to work on read-only memory.
    let word = mapping.at::<AtomicU64>(offset).load(Ordering::Relaxed);
    // Acquire: pairs with AnT's Release store of `state`.
    fence(Ordering::Acquire);
    word
}
