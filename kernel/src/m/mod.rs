//! What only the m-kernel has (paper 2.1.1): the memory manager, process creation and placement,
//! and the system calls through which `init` uses them.
//!
//! It runs on the first core, which also does all that a p-kernel does.

mod init_calls;
mod memory;
mod processes;

use core::sync::atomic::Ordering;

use ant_abi::Error;
use ant_abi::lca::END_LOAD_FAILED;
use ant_abi::store::StoreEntry;
use memory::MemoryManager;
use processes::Processes;

use crate::arch::{paging, percore, trap};
use crate::linux::call;
use crate::linux::loader::Progress;
use crate::p::mailbox::{self, Message, Report};
use crate::p::process::{self, Ending, Owned, Waiting};
use crate::p::{self, Core, Role};
use crate::{log, shared};

/// `init`, built before the kernel.
static INIT: &[u8] = include_bytes!(env!("ANT_INIT_ELF"));

/// The m-kernel, from its first Rust code on.
pub fn start() -> ! {
    trap::fill();
    p::init_traps();
    p::announce(0);
    if let Err(what) = shared::check_boot() {
        panic!("{what}");
    }
    let boot = shared::boot();
    let extents = &boot.extents[..boot.extent_count as usize];
    paging::build_kernel_half(extents);
    let timer = p::init_apic();
    let mut memory = MemoryManager::new(extents);
    for core in 1..shared::core_count() {
        let area = memory.alloc_for_ever(percore::AREA_SIZE);
        // SAFETY: fresh, zeroed pages in the direct map, given away for ever.
        unsafe { percore::prepare(core, area) };
    }
    let mut m_kernel = MKernel { memory, processes: Processes::new() };
    let mut core = Core::new(0, timer);
    m_kernel.start_init(&mut core);
    log::info!(
        "AnT {} runs: {} cores, {} MiB; the m-kernel is on CPU {}",
        env!("CARGO_PKG_VERSION"),
        shared::core_count(),
        m_kernel.memory.total_mib(),
        shared::linux_cpu(0),
    );
    p::work(core, m_kernel)
}

/// The role of the first core.
struct MKernel {
    memory: MemoryManager,
    processes: Processes,
}

impl MKernel {
    fn start_init(&mut self, core: &mut Core) {
        let mut init = match self.processes.create_init(INIT, &mut self.memory) {
            Ok(init) => init,
            Err(failure) => panic!("init: {}", failure.text),
        };
        init.waiting = Waiting::No;
        shared::control(0).init_lca().store(init.lca.entry().0, Ordering::Release);
        core.adopt(init);
    }

    /// A process is loaded: it goes to the core it was made for.
    fn place(&mut self, core: &mut Core, slot: u8) {
        let mut process = core.give_up(slot);
        process.waiting = Waiting::No;
        let (pid, home) = (process.pid, process.home);
        let cpu = shared::linux_cpu(home);
        if home == core.index() {
            log::info!("process {pid} starts on CPU {cpu}");
            core.adopt(process);
            return;
        }
        match mailbox::send(home, Message::Adopt(process)) {
            Ok(()) => log::info!("process {pid} starts on CPU {cpu}"),
            Err(message) => {
                // Its core has long stopped taking messages.
                if let Message::Adopt(process) = message {
                    core.adopt(process);
                }
                let text = format_args!("CPU {cpu} does not answer AnT");
                call::end(core, slot, Ending::new(END_LOAD_FAILED, Error::TimedOut as u64, text));
            }
        }
    }
}

impl Role for MKernel {
    fn reports(&mut self, core: &mut Core) {
        for other in 1..shared::core_count() {
            while let Some(Report::Reap(process)) = mailbox::next_report(other) {
                self.reap(core, process);
            }
        }
    }

    fn syscall(&mut self, core: &mut Core, slot: u8, number: u64, args: [u64; 3]) -> Option<i64> {
        init_calls::serve(self, core, slot, number, args)
    }

    /// A proxy may die while its process moves from here to its own core. The message comes after
    /// the process.
    fn released_elsewhere(&mut self, lca: StoreEntry) {
        let owner = process::find(|public| public.lca.load(Ordering::Relaxed) == lca.0);
        let Some(owner) = owner else {
            log::warning!("a release for nobody: {:#x}", lca.0);
            return;
        };
        let pid = owner.pid.load(Ordering::Relaxed);
        let home = owner.core.load(Ordering::Relaxed) as usize;
        if mailbox::send(home, Message::Released { pid }).is_err() {
            log::error!("CPU {} takes no messages", shared::linux_cpu(home));
        }
    }

    fn loading_returned(&mut self, core: &mut Core, slot: u8) {
        let Some(process) = core.process(slot) else { return };
        let Some(mut loader) = process.loader.take() else { return };
        let free_before = self.memory.free_pages();
        let progress = loader.advance(process, &mut self.memory);
        process.public().add_pages(free_before - self.memory.free_pages());
        match progress {
            Progress::Call => {
                process.loader = Some(loader);
                call::request_for_loader(core, slot);
            }
            Progress::Done => {
                loader.free(&mut self.memory);
                self.place(core, slot);
            }
            Progress::Failed(failure) => {
                loader.free(&mut self.memory);
                let text = format_args!("{}", failure.text);
                call::end(core, slot, Ending::new(END_LOAD_FAILED, failure.errno, text));
            }
        }
        self.memory.publish();
    }

    fn reap(&mut self, _core: &mut Core, process: Owned) {
        self.processes.destroy(process, &mut self.memory);
    }
}
