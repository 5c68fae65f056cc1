//! What only the m-kernel has (paper 2.1.1): the memory manager, process creation and placement,
//! and the system calls through which `init` uses them.
//!
//! It runs on the first CPU, which also does all that a p-kernel does.
//!
//! - `memory`: the pages of the partition; `ica`: those of the ICA; `lcas`: the LCAs among them.
//! - `bundle`: what is there to be started.
//! - `processes`, `loader`, `program`: making and destroying processes, reading their programs.
//! - `init_calls`: what `init` may do; `m_call`: what processes of any CPU ask for.
#![no_std]

mod bundle;
mod exit_queue;
#[cfg(feature = "fault-injection")]
mod fault_injection;
mod ica;
mod init_calls;
mod lcas;
mod loader;
mod m_call;
mod memory;
mod processes;
mod program;

use core::sync::atomic::Ordering;

use ant_abi::boot::Extent;
use ant_abi::ipc::{NOTIFY_EXITED, SERVER_ENDPOINTS, Span};
use ant_abi::lca::ExitKind;
use ant_abi::store::{EntryKind, StoreEntry};
use ant_abi::syscall::{ProcessKind, Service, Sysnum};
use ant_abi::{CpuIndex, EndpointId, Error, Pid, ProcessSlot, ThreadSlot};
use ant_arch::{clock, paging, percpu};
use ant_p::linux::call;
use ant_p::locals::Caller;
use ant_p::mailbox::{self, Message};
use ant_p::process::{self, ExitReason, WithThread};
use ant_p::syscalls::{Outcome, Served};
use ant_p::thread::{self, BlockReason, MCall, PublicThread};
use ant_p::{Cpu, Role, cpu_tables, endpoints, exit, ipc, log, migrate, shared, syscalls};
use arrayvec::ArrayVec;
use exit_queue::ExitQueue;
use loader::Progress;
use memory::MemoryManager;
use processes::Processes;

/// The m-kernel, from its first Rust code on.
pub fn start() -> ! {
    ant_p::fill_vectors();
    ant_p::init_traps();
    ant_p::announce(CpuIndex::M_KERNEL);
    if let Err(what) = shared::take_boot() {
        panic!("{what}");
    }
    let boot = shared::boot();
    let extents = shared::extents();
    clock::init(boot.tsc_khz);
    paging::build_kernel_half(boot.image_phys, extents);
    let timer = ant_p::init_apic();
    let (place, bundle) = bundle::take().unwrap_or_else(|error| panic!("{error}"));
    let mut memory = MemoryManager::new(extents, place);
    make_tables(&mut memory);
    place_cpus(&mut memory);
    let processes = Processes::new(&mut memory);
    let exit_queue = ExitQueue::new();
    let closed = ArrayVec::new();
    let init = ThreadSlot::default();
    let mut m_kernel = MKernel { memory, processes, exit_queue, init, closed };
    let mut cpu = Cpu::new(CpuIndex::M_KERNEL, timer);
    m_kernel.start_init(&mut cpu, bundle.init(), place);
    log::info!(
        "AnT {} runs: {} CPUs, {} MiB; the m-kernel is on CPU {}",
        env!("CARGO_PKG_VERSION"),
        shared::cpu_count(),
        m_kernel.memory.total_mib(),
        shared::linux_cpu(CpuIndex::M_KERNEL),
    );
    ant_p::work(cpu, m_kernel)
}

/// Makes the tables that every CPU reads.
fn make_tables(memory: &mut MemoryManager) {
    let mut alloc = |bytes| memory.alloc_static(bytes);
    process::make_table(&mut alloc);
    thread::make_table(&mut alloc);
    endpoints::make_table(&mut alloc);
    #[cfg(feature = "fault-injection")]
    ant_p::fault_injection::make_table(&mut alloc);
}

/// Gives every CPU what it needs before it starts.
fn place_cpus(memory: &mut MemoryManager) {
    for cpu in shared::cpus() {
        let rings = memory.alloc_static(mailbox::bytes());
        // SAFETY: here and below: fresh, zeroed pages in the direct map, given away for ever.
        unsafe { mailbox::place(cpu, rings) };
        let tables = memory.alloc_static(cpu_tables::bytes(shared::tables()));
        // SAFETY: as above.
        unsafe { cpu_tables::place(cpu, tables) };
        if cpu != CpuIndex::M_KERNEL {
            let area = memory.alloc_static(percpu::AREA_SIZE);
            // SAFETY: as above.
            unsafe { percpu::prepare(cpu.index(), area) };
        }
        percpu::unmap_guard(cpu.index(), memory);
    }
}

/// The role of the first CPU.
struct MKernel {
    memory: MemoryManager,
    processes: Processes,
    /// Servers that have ended, for `init`.
    exit_queue: ExitQueue,
    /// `init`'s thread.
    init: ThreadSlot,
    /// Endpoints that `init` has closed; their numbers are not free yet.
    closed: ArrayVec<EndpointId, SERVER_ENDPOINTS>,
}

impl MKernel {
    fn start_init(&mut self, cpu: &mut Cpu, program: &[u8], bundle: Extent) {
        let mut init = match self.processes.create_init(program, bundle, &mut self.memory) {
            Ok(init) => init,
            Err(failure) => panic!("init: {}", failure.text),
        };
        init.thread.blocked_on = BlockReason::Runnable;
        let published = shared::control(CpuIndex::M_KERNEL).init_lcas();
        for (place, channel) in published.iter().zip(init.thread.linux.all()) {
            place.store(channel.lca.entry().0, Ordering::Release);
        }
        self.init = init.thread.slot();
        cpu.adopt(init);
    }

    /// A process is loaded: it goes to the CPU it was made for.
    fn place(&mut self, cpu: &mut Cpu, slot: ThreadSlot) {
        let index = cpu.index();
        let Ok(Caller { thread, process }) = cpu.local.caller(slot) else { return };
        let (pid, home) = (process.pid, process.public().home());
        let linux_cpu = shared::linux_cpu(home);
        log::info!("process {pid} starts on CPU {linux_cpu}");
        if home == index {
            return cpu.local.wake(slot);
        }
        thread.blocked_on = BlockReason::Runnable;
        migrate::migrate_now(cpu, slot, home);
        if cpu.local.thread(slot).is_some() {
            // Its CPU has long stopped taking messages.
            let text = format_args!("CPU {linux_cpu} does not answer AnT");
            exit::exit(
                cpu,
                slot,
                ExitReason::new(ExitKind::LoadFailed, Error::TimedOut as u64, text),
            );
        }
    }

    /// Tells every CPU that an endpoint has another receiver, or none.
    fn announce_receiver(&mut self, cpu: &mut Cpu, endpoint: EndpointId) {
        cpu.receiver_changed(endpoint);
        for other in shared::cpus().skip(1) {
            if mailbox::send(CpuIndex::M_KERNEL, other, Message::ReceiverChanged { endpoint })
                .is_err()
            {
                log::error!("CPU {} takes no messages", shared::linux_cpu(other));
            }
        }
    }
}

impl Role for MKernel {
    fn message(&mut self, cpu: &mut Cpu, from: CpuIndex, message: Message) {
        match message {
            Message::MCall { slot, number, args } => self.m_call(from, slot, number, args),
            Message::Freed { slot, pid, span } => self.freed(slot, pid, span),
            Message::Dropped(span) => self.processes.ica.free_dropped(span, &mut self.memory),
            Message::Reap(zombie) => self.reap(cpu, zombie),
            _ => log::error!("CPU {} has sent what no m-kernel takes", shared::linux_cpu(from)),
        }
    }

    fn syscall(
        &mut self,
        cpu: &mut Cpu,
        slot: ThreadSlot,
        number: Sysnum,
        args: [u64; 3],
    ) -> Outcome {
        match number.service() {
            Service::MKernel => {
                let result = self.grant(CpuIndex::M_KERNEL, slot, number, args);
                let m_call = MCall { number, arg: args[0] };
                Ok(Served::Result(syscalls::take_m_reply(cpu, slot, m_call, result)))
            }
            Service::InitOnly if cpu.local.caller(slot)?.process.is_init => {
                init_calls::serve(self, cpu, slot, number, args).map(Served::Result)
            }
            Service::InitOnly => Err(Error::NotPermitted),
            Service::Local => Err(Error::NoSystemCall),
        }
    }

    /// A channel may be closed while its thread migrates: the message finds it there, or waits there for it.
    fn released_elsewhere(&mut self, cpu: &mut Cpu, entry: StoreEntry) {
        let lca = entry.with_kind(EntryKind::Call);
        let public = thread::with_lca(lca).map(thread::public);
        let owner = public.filter(|public| public.lca() == Some(lca)).and_then(PublicThread::tid);
        let Some(tid) = owner else {
            log::warning!("a release for no thread: {:#x}", lca.0);
            return;
        };
        let message = match entry.kind() {
            Some(EntryKind::Closed) => Message::Closed { tid },
            _ => Message::Released { tid },
        };
        cpu.handle_message(CpuIndex::M_KERNEL, message, self);
    }

    fn loading_returned(&mut self, cpu: &mut Cpu, slot: ThreadSlot) {
        let Ok(caller) = cpu.local.caller(slot) else { return };
        match self.processes.load_on(caller, &mut self.memory) {
            Progress::Call => call::request_for_loader(cpu, slot),
            Progress::Done => self.place(cpu, slot),
            Progress::Failed(failure) => {
                let text = format_args!("{}", failure.text);
                exit::exit(cpu, slot, ExitReason::new(ExitKind::LoadFailed, failure.errno, text));
            }
        }
        self.memory.publish();
    }

    fn freed(&mut self, slot: ProcessSlot, pid: Pid, span: Span) {
        // If it has ended since, all its pages have come back then.
        if process::pid_in(slot) == Some(pid) {
            self.processes.ica.free(span, slot, &mut self.memory);
            self.memory.publish();
        }
    }

    fn reap(&mut self, cpu: &mut Cpu, zombie: WithThread) {
        if zombie.process.public().is_a(ProcessKind::Server) {
            self.exit_queue.add(&zombie.process);
            ipc::notify_own(cpu, self.init, NOTIFY_EXITED);
        }
        self.processes.destroy(zombie, &mut self.memory);
    }
}
