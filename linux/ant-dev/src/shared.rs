//! The shared area as Linux's programs see it: read-only, written by AnT at any time.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use ant_abi::boot::{BOOT_MAGIC, BootBlock, BootCore};
use ant_abi::core_block::{
    CORE_HALTED, CORE_OFF, CORE_PANICKED, CORE_READY, CORE_STARTING, CoreBlock, CoreControl,
    ROLE_M_KERNEL,
};
use ant_abi::layout::{BOOT_BLOCK_SPAN, CORE_BLOCK_SPAN, SHARED_SPAN};
use ant_core::log_ring::{LogItem, LogReader};
use nix::errno::Errno;
use zerocopy::{FromBytes, IntoBytes};

use crate::OperationError;
use crate::raw::Mapping;

/// `CoreControl::state`, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// Nothing has run there.
    Off,
    /// The kernel's first instructions have run.
    Starting,
    /// It schedules processes.
    Ready,
    /// Its kernel panicked.
    Panicked,
    /// Stopped because another core panicked.
    Halted,
    /// A number that means nothing.
    Nonsense(u32),
}

impl From<u32> for CoreState {
    fn from(state: u32) -> Self {
        match state {
            CORE_OFF => CoreState::Off,
            CORE_STARTING => CoreState::Starting,
            CORE_READY => CoreState::Ready,
            CORE_PANICKED => CoreState::Panicked,
            CORE_HALTED => CoreState::Halted,
            other => CoreState::Nonsense(other),
        }
    }
}

/// What a core is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Memory manager and process creation, too.
    MKernel,
    /// Traps, IPC, scheduling.
    PKernel,
}

impl From<u32> for Role {
    fn from(role: u32) -> Self {
        if role == ROLE_M_KERNEL { Role::MKernel } else { Role::PKernel }
    }
}

/// A read-only view of the shared area.
///
/// After the partition has stopped an access raises SIGBUS, so drop it before.
#[derive(Debug)]
pub struct SharedArea {
    mapping: Mapping,
    cores: Vec<BootCore>,
    tsc_khz: u32,
}

impl SharedArea {
    /// Bytes that the mapping must have.
    pub(crate) const LEN: usize = SHARED_SPAN as usize;

    /// Takes a mapping of the area and reads its boot block.
    ///
    /// # Errors
    ///
    /// The boot block is none: the module did not fill it, or it is of another revision.
    pub(crate) fn new(mapping: Mapping) -> Result<Self, OperationError> {
        let mut words = vec![0u64; size_of::<BootBlock>().div_ceil(8)];
        copy_words(&mapping, 0, &mut words);
        let (boot, _) = BootBlock::ref_from_prefix(words.as_bytes())
            .map_err(|_| OperationError::new("reading the boot block", Errno::EINVAL))?;
        // The module fills the block before the first core starts; until then it may be empty.
        let filled = boot.magic == BOOT_MAGIC;
        let count = if filled { boot.core_count as usize } else { 0 };
        let cores = boot.cores.iter().copied().take(count).collect();
        let tsc_khz = boot.tsc_khz;
        Ok(Self { mapping, cores, tsc_khz })
    }

    /// The cores of the partition; none before the first has been started.
    #[must_use]
    pub fn cores(&self) -> &[BootCore] {
        &self.cores
    }

    /// Frequency of the time-stamp counter in kHz; 0 before the first core has been started.
    #[must_use]
    pub fn tsc_khz(&self) -> u32 {
        self.tsc_khz
    }

    /// A copy of a core's control page. Its fields need not be of one moment.
    ///
    /// # Panics
    ///
    /// `core` is not below `MAX_CORES`.
    #[must_use]
    pub fn control(&self, core: u32) -> CoreControl {
        let mut words = [0u64; size_of::<CoreControl>() / 8];
        copy_words(&self.mapping, core_offset(core), &mut words);
        CoreControl::read_from_bytes(words.as_bytes()).expect("a page is a page")
    }

    /// State of a core.
    ///
    /// # Panics
    ///
    /// `core` is not below `MAX_CORES`.
    #[must_use]
    pub fn state(&self, core: u32) -> CoreState {
        let at = core_offset(core) + offset_of!(CoreControl, state) / 8 * 8;
        let word = load(&self.mapping, at);
        CoreState::from(word as u32)
    }

    /// Doorbells that a core has taken.
    ///
    /// # Panics
    ///
    /// `core` is not below `MAX_CORES`.
    #[must_use]
    pub fn doorbells(&self, core: u32) -> u64 {
        load(&self.mapping, core_offset(core) + offset_of!(CoreControl, doorbells))
    }

    /// How often a core has entered or left its kernel: odd inside.
    ///
    /// # Panics
    ///
    /// `core` is not below `MAX_CORES`.
    #[must_use]
    pub fn passages(&self, core: u32) -> u64 {
        load(&self.mapping, core_offset(core) + offset_of!(CoreControl, passages))
    }

    /// The next item of a core's log, if there is one.
    ///
    /// # Panics
    ///
    /// `core` is not below `MAX_CORES`.
    pub fn read_log(&self, core: u32, reader: &mut LogReader) -> Option<LogItem> {
        reader.read(self.mapping.at(core_offset(core) + offset_of!(CoreBlock, log)))
    }
}

const _: () = assert!(offset_of!(CoreControl, state) == 0);

/// Where a core's block begins in the shared area.
pub(crate) fn core_offset(core: u32) -> usize {
    assert!((core as usize) < ant_abi::MAX_CORES, "no such core");
    (BOOT_BLOCK_SPAN + u64::from(core) * CORE_BLOCK_SPAN) as usize
}

/// Loads a word that AnT writes; what AnT wrote before it is seen after it.
fn load(mapping: &Mapping, offset: usize) -> u64 {
    // Relaxed and a fence: only relaxed loads are sure to work on read-only memory.
    let word = mapping.at::<AtomicU64>(offset).load(Ordering::Relaxed);
    // Acquire: pairs with AnT's Release store of `state`.
    fence(Ordering::Acquire);
    word
}

/// Copies words out of shared memory, each once.
pub(crate) fn copy_words(mapping: &Mapping, offset: usize, words: &mut [u64]) {
    for (index, word) in words.iter_mut().enumerate() {
        *word = mapping.at::<AtomicU64>(offset + index * 8).load(Ordering::Relaxed);
    }
    // Acquire: what follows is not done before the copy.
    fence(Ordering::Acquire);
}
