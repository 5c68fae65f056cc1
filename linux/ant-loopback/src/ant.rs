//! AnT's side, for a test to play.

use std::mem::offset_of;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use ant_abi::PAGE_SIZE;
use ant_abi::boot::{BootBlock, BootDevice, TableSizes};
use ant_abi::control::INIT_CHANNELS;
use ant_abi::cpu_block::{CpuBlock, CpuControl, CpuRole, CpuState};
use ant_abi::layout::{IMAGE_SPAN, SHARED_OFFSET};
use ant_abi::lca::Lca;
use ant_abi::store::StoreEntry;
use ant_dev::SharedArea;
use ant_logic::rings::log::LogWriter;
use zerocopy::{FromBytes, IntoBytes};

use crate::PHYSICAL_START;
use crate::memory::{
    DEVICE_ANTS, DEVICE_BUSY, DEVICES_OFFSET, Memory, PROCESSES_OFFSET, WIRE_DEVICE, WIRE_ENTRY,
    WIRE_KICKS, WIRE_REFERENCES, WIRE_STOPS,
};

/// AnT's side: its CPUs are whatever the test does with this.
#[derive(Debug)]
pub struct Ant {
    memory: Rc<Memory>,
}

impl Ant {
    pub(crate) fn new(memory: Rc<Memory>) -> Self {
        Self { memory }
    }

    /// Entry address of a CPU that Linux started, if it did.
    #[must_use]
    pub fn started(&self, cpu_index: u32) -> Option<u64> {
        let entry = self.memory.wire(cpu_index, WIRE_ENTRY).load(Ordering::Acquire);
        (entry != 0).then_some(entry)
    }

    /// How often Linux rang a CPU's doorbell to see whether it responds.
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
        self.memory.mapping.copy_words(DEVICES_OFFSET, &mut words);
        Some(BootDevice::read_from_bytes(words.as_bytes()).expect("as many bytes"))
    }

    /// Sizes of the tables in the boot block, as AnT finds them when it starts.
    ///
    /// # Panics
    ///
    /// Never: there are as many bytes.
    #[must_use]
    pub fn tables(&self) -> TableSizes {
        let mut words = [0u64; size_of::<TableSizes>() / 8];
        let offset = SHARED_OFFSET as usize + offset_of!(BootBlock, tables);
        self.memory.mapping.copy_words(offset, &mut words);
        TableSizes::read_from_bytes(words.as_bytes()).expect("as many bytes")
    }

    /// The bundle, as AnT finds it when it starts.
    #[must_use]
    pub fn bundle(&self) -> Vec<u64> {
        let len = self.memory.bundle_len().load(Ordering::Relaxed) as usize;
        let mut words = vec![0; len.div_ceil(8)];
        self.memory.mapping.copy_words(IMAGE_SPAN as usize, &mut words);
        words
    }

    /// Whether the machine's one device is AnT's.
    #[must_use]
    pub fn has_device(&self) -> bool {
        self.memory.wire(0, WIRE_DEVICE).load(Ordering::Relaxed) == DEVICE_ANTS
    }

    /// Gives the machine's one device to a driver that keeps it.
    pub fn set_device_busy(&self) {
        self.memory.wire(0, WIRE_DEVICE).store(DEVICE_BUSY, Ordering::Relaxed);
    }

    /// Whether Linux refuses to release LCAs, as if I/O to them were under way.
    pub fn set_references(&self, there_are: bool) {
        self.memory.wire(0, WIRE_REFERENCES).store(there_are.into(), Ordering::Relaxed);
    }

    /// Sets a CPU's state and role.
    pub fn set_state(&self, cpu_index: u32, state: CpuState, role: CpuRole) {
        self.memory
            .control_half(cpu_index, offset_of!(CpuControl, role))
            .store(role.into(), Ordering::Relaxed);
        self.memory
            .control_half(cpu_index, offset_of!(CpuControl, state))
            .store(state.into(), Ordering::Release);
    }

    /// Names the LCAs of `init`.
    pub fn set_init_lcas(&self, lcas: [StoreEntry; INIT_CHANNELS]) {
        let field = offset_of!(CpuControl, init_lcas);
        for (index, lca) in lcas.iter().enumerate() {
            self.memory.control_word(0, field + index * 8).store(lca.0, Ordering::Release);
        }
    }

    /// Counts a doorbell on a CPU.
    pub fn count_doorbell(&self, cpu_index: u32) {
        let field = offset_of!(CpuControl, doorbells);
        self.memory.control_word(cpu_index, field).fetch_add(1, Ordering::Release);
    }

    /// Says how often a CPU has entered or left its kernel.
    pub fn set_kernel_entries(&self, cpu_index: u32, kernel_entries: u64) {
        let field = offset_of!(CpuControl, kernel_entries);
        self.memory.control_word(cpu_index, field).store(kernel_entries, Ordering::Release);
    }

    /// Requests of a CPU that Linux refused.
    #[must_use]
    pub fn refused(&self, cpu_index: u32) -> u64 {
        let field = offset_of!(CpuControl, linux_refused);
        self.memory.control_word(cpu_index, field).load(Ordering::Relaxed)
    }

    /// Page `page` of the partition behind image and bundle, as an LCA of generation `generation`.
    #[must_use]
    pub fn lca(&self, page: u64, generation: u16) -> StoreEntry {
        StoreEntry::call(PHYSICAL_START + PROCESSES_OFFSET + page * PAGE_SIZE as u64, generation)
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
        self.memory.mapping.copy_words(offset as usize, &mut words);
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
        self.memory.ring();
    }

    /// Takes what Linux gave back to a CPU.
    #[must_use]
    pub fn returned(&self, cpu_index: u32) -> Option<StoreEntry> {
        self.memory.store(cpu_index, offset_of!(CpuBlock, ret)).pop().map(StoreEntry)
    }

    /// Writes into a CPU's log.
    pub fn log(&self, cpu_index: u32, writer: &mut LogWriter, tsc: u64, level: u8, text: &str) {
        let at =
            SHARED_OFFSET as usize + SharedArea::cpu_offset(cpu_index) + offset_of!(CpuBlock, log);
        writer.write(self.memory.mapping.writable(at), tsc, level, text.as_bytes());
    }
}
