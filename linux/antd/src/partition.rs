//! A partition from the taking of its CPUs to their return.
//!
//! What is set up last is undone first; the module does most of it when the control file closes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ant_abi::boot::{BOOT_ALLOW_INJECT, BOOT_IDLE_POLL, TableSizes};
use ant_abi::control::INIT_CHANNELS;
use ant_abi::cpu_block::CpuState;
use ant_abi::device::MIN_MEMORY;
use ant_abi::store::StoreEntry;
use ant_abi::{PAGE_SIZE, REVISION};
use ant_dev::{
    ControlFile, CreateError, Device, LoadTarget, OpenError, OperationError, PartitionRequest,
    SharedArea,
};
use ant_logic::tables::{self, BadSize};
use ant_protocol::cpu_list::describe_memory;
use ant_protocol::{Boot, Layout, Tables, time_stamp};
use thiserror::Error;

use crate::bundle::{self, BundleError};
use crate::devices::{self, AssignedDevices};
use crate::image::{Image, ImageError};
use crate::log_book::LogBook;

/// How long a CPU may take from its start to `CpuState::Ready`.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// How often that is looked at.
const READY_STEP: Duration = Duration::from_millis(1);

/// Why AnT does not run.
#[derive(Debug, Error)]
pub enum BootError {
    /// The image is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The manifest is wrong, or the programs that it names.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// There can be no such tables.
    #[error("AnT cannot have {asked}: {bad}; `antctl boot --help` says more")]
    Tables {
        /// What it was to have room for.
        asked: Tables,
        /// Which size is wrong.
        bad: BadSize,
    },
    /// The tables would take too much of the memory.
    #[error(
        "{} are too small for {asked}: give --memory {}M or more, or ask for less room",
        describe_memory(*memory), least >> 20
    )]
    TooSmall {
        /// Bytes of memory that were asked for.
        memory: u64,
        /// What it was to have room for.
        asked: Tables,
        /// Bytes that it takes.
        least: u64,
    },
    /// No device.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The module is of another revision.
    #[error(
        "the module is of ABI revision {0}, antd of revision {REVISION}: install both from one \
         build, then `rmmod ant` and `modprobe ant`"
    )]
    Module(u32),
    /// No CPUs, or no memory.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// A step failed.
    #[error("{0}; the CPUs are Linux's again")]
    Operation(#[from] OperationError),
    /// A CPU did not come up.
    #[error("CPU {cpu} did not come up: {what}; the CPUs are Linux's again, `antctl log` has more")]
    NotReady {
        /// Linux's number.
        cpu: u32,
        /// What it did instead.
        what: String,
    },
    /// AnT came up without its first process.
    #[error("AnT came up, but without init; the CPUs are Linux's again, `antctl log` has more")]
    NoInit,
}

/// A partition with running CPUs.
pub struct Partition {
    // Before the file: the mapping must be gone when the partition ends.
    shared: SharedArea,
    control: Box<dyn ControlFile>,
    /// Linux's numbers of the CPUs, the m-kernel's first.
    pub cpus: Vec<u32>,
    /// Bytes of memory that were asked for.
    pub memory: u64,
    /// Sizes of AnT's tables.
    pub tables: TableSizes,
    /// The kernel image.
    pub image: PathBuf,
    /// Whether it may be made to fail.
    pub allow_inject: bool,
    /// Its devices, and what it did not get.
    pub assigned: AssignedDevices,
    /// When its first CPU was started.
    pub since: Instant,
    /// The time-stamp counter then.
    pub tsc_start: u64,
}

impl Partition {
    /// Takes CPUs, memory and devices, loads image and bundle, starts the CPUs one by one. `root` is
    /// where `/sys` and `/proc` are.
    ///
    /// # Errors
    ///
    /// Nothing is left of the partition; its log is in `log`.
    pub fn boot(
        device: &dyn Device,
        root: &Path,
        request: &Boot,
        log: &mut LogBook,
    ) -> Result<Self, BootError> {
        let tables = tables_for(request)?;
        let image = Image::read(&request.image)?;
        let bundle = bundle::read(&request.manifest, &request.init, &tables)?;
        let module = device.info()?.revision;
        if module != REVISION {
            return Err(BootError::Module(module));
        }
        let flags = [(request.allow_inject, BOOT_ALLOW_INJECT), (request.poll, BOOT_IDLE_POLL)];
        let flags = flags.iter().filter(|(wanted, _)| *wanted).map(|(_, flag)| flag).sum();
        let (cpus, memory) = (request.cpus.clone(), request.memory);
        let control =
            device.create(&PartitionRequest { cpus: cpus.clone(), memory, flags, tables })?;
        for segment in &image.segments {
            control.load(LoadTarget::Image, &segment.bytes, segment.offset)?;
        }
        control.load(LoadTarget::Bundle, &bundle, 0)?;
        // AnT looks once, when it starts.
        let assigned = devices::lend(root, request.device, &*control);
        let (since, tsc_start) = (Instant::now(), time_stamp());
        // The module fills the boot block when the first CPU starts.
        control.start(0, image.entry)?;
        let partition = Self {
            shared: control.shared()?,
            control,
            cpus,
            memory,
            tables,
            image: request.image.clone(),
            allow_inject: request.allow_inject,
            assigned,
            since,
            tsc_start,
        };
        log.begin(&partition.cpus, tsc_start, partition.shared.tsc_khz());
        let log_start = log.end();
        let result = partition.bring_up(image.entry);
        log.drain(&partition.shared);
        match result {
            Ok(()) => Ok(partition),
            Err(mut error) => {
                if let BootError::NotReady { what, .. } = &mut error
                    && let Some(line) = log.last_error(log_start)
                {
                    what.push_str(&format!(" (\"{}\")", line.text));
                }
                if let Err(error) = partition.stop() {
                    tracing::error!("{error}");
                }
                Err(error)
            }
        }
    }

    /// Waits for the m-kernel, then starts the others.
    fn bring_up(&self, entry: u64) -> Result<(), BootError> {
        self.wait_ready(0)?;
        for cpu_index in 1..self.cpus.len() as u32 {
            self.control.start(cpu_index, entry)?;
            self.wait_ready(cpu_index)?;
        }
        if self.init_lcas().contains(&StoreEntry(0)) { Err(BootError::NoInit) } else { Ok(()) }
    }

    fn wait_ready(&self, cpu_index: u32) -> Result<(), BootError> {
        let limit = Instant::now() + READY_LIMIT;
        let cpu = self.cpus[cpu_index as usize];
        loop {
            // Before the look at all CPUs, which then sees a panic that this one is the effect of.
            let state = self.shared.state(cpu_index);
            let what = match (state, self.panicked()) {
                (Ok(CpuState::Ready), _) => return Ok(()),
                (_, Some(panicked)) if panicked == cpu => "its kernel panicked".into(),
                (_, Some(panicked)) => format!("the kernel on CPU {panicked} panicked"),
                (Ok(CpuState::Off | CpuState::Starting), None) if Instant::now() < limit => {
                    std::thread::sleep(READY_STEP);
                    continue;
                }
                (Ok(CpuState::Off | CpuState::Starting), None) => {
                    format!("not ready after {} s", READY_LIMIT.as_secs())
                }
                (Ok(state), None) => format!("its state is {state:?}"),
                (Err(unknown), None) => format!("its state is {unknown}?"),
            };
            return Err(BootError::NotReady { cpu, what });
        }
    }

    /// Linux's number of a CPU on which AnT's kernel panicked.
    #[must_use]
    pub fn panicked(&self) -> Option<u32> {
        let cpus = 0..self.cpus.len();
        cpus.into_iter()
            .find(|&cpu_index| self.shared.state(cpu_index as u32) == Ok(CpuState::Panicked))
            .map(|cpu_index| self.cpus[cpu_index])
    }

    /// The LCAs of `init`'s channels.
    #[must_use]
    pub fn init_lcas(&self) -> [StoreEntry; INIT_CHANNELS] {
        self.shared.control(0).init_lcas.map(StoreEntry)
    }

    /// The shared area.
    #[must_use]
    pub fn shared(&self) -> &SharedArea {
        &self.shared
    }

    /// The control file.
    #[must_use]
    pub fn control(&self) -> &dyn ControlFile {
        &*self.control
    }

    /// Index of the CPU that Linux calls `cpu`.
    #[must_use]
    pub fn cpu_index_of(&self, cpu: u32) -> Option<u32> {
        self.cpus.iter().position(|&own| own == cpu).map(|cpu_index| cpu_index as u32)
    }

    /// Linux's number of a CPU; of one that AnT made up, the m-kernel's.
    #[must_use]
    pub fn cpu_of(&self, cpu_index: u32) -> u32 {
        self.cpus.get(cpu_index as usize).copied().unwrap_or(self.cpus[0])
    }

    /// What it consists of.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let devices = self.assigned.devices.iter().map(|device| device.name.clone()).collect();
        Layout { cpus: self.cpus.clone(), memory: self.memory, devices }
    }

    /// Gives everything back to Linux.
    ///
    /// # Errors
    ///
    /// Something did not go back.
    pub fn stop(self) -> Result<(), OperationError> {
        drop(self.shared);
        self.control.stop()
    }
}

/// The tables of a partition that is to be booted.
fn tables_for(request: &Boot) -> Result<TableSizes, BootError> {
    let (asked, memory) = (request.tables, request.memory);
    let sizes = asked.sizes();
    tables::check(&sizes).map_err(|bad| BootError::Tables { asked, bad })?;
    let least = tables::least_memory(&sizes, request.cpus.len());
    // What is too small for any tables is the module's to refuse.
    if (MIN_MEMORY..least).contains(&memory) {
        return Err(BootError::TooSmall { memory, asked, least });
    }
    Ok(sizes)
}

/// Bytes in that many pages.
#[must_use]
pub fn pages(count: u64) -> u64 {
    count.saturating_mul(PAGE_SIZE as u64)
}
