//! Making, placing and destroying processes.

use core::sync::atomic::Ordering;

use ant_abi::boot::Extent;
use ant_abi::control::INIT_CHANNELS;
use ant_abi::ipc::{ServerCreate, Span, Transfer};
use ant_abi::syscall::{ANY_CPU, ProcessKind};
use ant_abi::{CpuIndex, Error, PAGE_SIZE, PhysAddr, Pid, Priority, Tid, UserVirt};
use ant_arch::paging::{AddressSpace, Pages};
use ant_logic::ica::{Access, Limit};
use ant_logic::tables;
use ant_p::linux::channel::Channels;
use ant_p::linux::lca::LcaPage;
use ant_p::locals::Caller;
use ant_p::owned::{Entry, Owned};
use ant_p::process::{self, Process, PublicProcess, WithThread};
use ant_p::thread::{self, Thread};
use ant_p::{endpoints, shared};

use crate::ica::{self, Ica};
use crate::lcas::Lcas;
use crate::loader::{self, Failure, Loader, Progress, Source, Startup, Strings};
use crate::memory::{ForPrograms, MemoryManager};

/// Hands out ids and generations, and has the loaders of processes that are being loaded.
pub struct Processes {
    last_tid: Option<Tid>,
    /// By slot. Too large for a kernel stack.
    loaders: &'static mut [Option<Loader>],
    /// Their ICA pages.
    pub ica: Ica,
    lcas: Lcas,
}

// What `antd` counts on.
const _: () = assert!(
    size_of::<Option<Loader>>() + size_of::<Entry<Process>>() <= tables::PROCESS_BYTES as usize
        && size_of::<Entry<Thread>>() <= tables::THREAD_BYTES as usize
);

/// Processes that there is always room for, so that servers can be started and replaced.
const SLOTS_FOR_SERVERS: usize = 8;

/// What a new process is to be.
struct Plan {
    home: CpuIndex,
    kind: ProcessKind,
    priority: Priority,
    /// Channels to Linux.
    channels: usize,
    ica: Limit,
}

impl Processes {
    /// No process yet.
    pub fn new(memory: &mut MemoryManager) -> Self {
        let loaders = memory.alloc_places(shared::tables().processes as usize, || None);
        Self { last_tid: None, loaders, ica: Ica::new(memory), lcas: Lcas::new(memory) }
    }

    /// A program that will run on CPU `cpu` (or any), and the first call of its loader is in its
    /// LCA. `startup` has its path as argument 0.
    pub fn create(
        &mut self,
        cpu: u32,
        startup: Startup<'_>,
        path_len: usize,
        memory: &mut MemoryManager,
    ) -> Result<WithThread, Error> {
        let plan = Plan {
            home: place(cpu)?,
            kind: ProcessKind::Program,
            priority: Priority::USUAL,
            channels: 1,
            ica: ica::limit_program(),
        };
        if process::free_slots() <= SLOTS_FOR_SERVERS {
            return Err(Error::NoMemory);
        }
        let page = ForPrograms(memory).alloc().ok_or(Error::NoMemory)?;
        let kept = Strings::new(page, startup, path_len).inspect_err(|_| memory.free(page))?;
        let mut new = match self.create_empty(&plan, memory) {
            Ok(new) => new,
            Err(error) => {
                kept.free(memory);
                return Err(error);
            }
        };
        new.process.public().set_name(&startup.arguments[..path_len - 1]);
        let slot = new.process.slot().index();
        let channel = new.thread.linux.first();
        self.loaders[slot] = channel.map(|channel| Loader::begin(kept, channel.lca.contents()));
        Ok(new)
    }

    /// The first process, from the bundle, which it has mapped.
    pub fn create_init(
        &mut self,
        program: &[u8],
        bundle: Extent,
        memory: &mut MemoryManager,
    ) -> Result<WithThread, Failure> {
        let plan = Plan {
            home: CpuIndex::M_KERNEL,
            kind: ProcessKind::Server,
            priority: Priority::HIGHEST,
            channels: INIT_CHANNELS,
            ica: ica::limit_init(),
        };
        let no_memory = |error: Error| Failure { errno: error as u64, text: "no memory for it" };
        let mut init = self.create_empty(&plan, memory).map_err(no_memory)?;
        init.process.is_init = true;
        init.process.public().set_name(b"init");
        let startup = Startup { arguments: b"init\0", environment: &[] };
        load(&mut init, &mut loader::InMemory(program), startup, memory)?;
        map_bundle(&mut init.process, bundle, memory)?;
        Ok(init)
    }

    /// A server with the program that `source` has. It can run.
    pub fn create_server(
        &mut self,
        request: &ServerCreate,
        environment: &[u8],
        source: &mut impl Source,
        memory: &mut MemoryManager,
    ) -> Result<WithThread, Failure> {
        let refused = |error: Error| Failure { errno: error as u64, text: "" };
        let priority = Priority::try_from(request.priority).map_err(|_| refused(Error::Invalid))?;
        let home = place(request.cpu).map_err(refused)?;
        let ica = ica::limit_server(request.ica_pages);
        let plan = Plan { home, kind: ProcessKind::Server, priority, channels: 0, ica };
        let len = request.name.iter().position(|&byte| byte == 0).unwrap_or(request.name.len());
        let mut name = [0; ant_abi::syscall::NAME_LEN + 1];
        name[..len].copy_from_slice(&request.name[..len]);
        let startup = Startup { arguments: &name[..=len], environment };
        startup.check().map_err(refused)?;
        let mut server = self.create_empty(&plan, memory).map_err(refused)?;
        server.process.public().set_name(&name[..len]);
        match load(&mut server, source, startup, memory) {
            Ok(()) => Ok(server),
            Err(failure) => {
                self.destroy(server, memory);
                Err(failure)
            }
        }
    }

    /// A process with an address space and a thread, but no program.
    fn create_empty(
        &mut self,
        plan: &Plan,
        memory: &mut MemoryManager,
    ) -> Result<WithThread, Error> {
        let slot = process::free_slot().ok_or(Error::NoMemory)?;
        let thread_slot = thread::free_slot().ok_or(Error::NoMemory)?;
        let free_before = memory.free_pages();
        let ica_pages = shared::tables().ica_pages;
        let mut space = AddressSpace::new(ica_pages, memory).ok_or(Error::NoMemory)?;
        if memory.free_pages() < 1 + plan.channels as u64 {
            space.free(memory);
            return Err(Error::NoMemory);
        }
        let fresh = "so many pages are free";
        let scratch = memory.alloc().expect(fresh);
        let tid = thread::allocate_id(self.last_tid, thread_slot);
        self.last_tid = Some(tid);
        let pid = Pid::beginning_with(tid);
        let mut channels = Channels::default();
        for _ in 0..plan.channels {
            // A server, which there is always, needs none: so `init` can have more than one.
            let index = self.lcas.alloc(thread_slot).expect("there is one for each thread");
            let page = memory.alloc().expect(fresh);
            let span = Span::new(index.ica_page(), 1, Transfer::Share);
            space.set_ica(span, Access::Write, |_| Some(page));
            channels.add(LcaPage::new(index, page, tid.get() as u16));
        }
        let thread = Thread::new(tid, (slot, pid), space.root(), plan.priority, channels);
        let mut process = Process::new(pid, space, scratch);
        process.threads.push(thread_slot);
        self.ica.begin(slot, plan.ica);
        let new = WithThread {
            process: Owned::<Process>::begin(slot, process, plan.kind, plan.home),
            thread: Owned::<Thread>::begin(thread_slot, thread, plan.home),
        };
        let pages = (free_before - memory.free_pages()) as u32;
        new.process.public().pages.store(pages, Ordering::Relaxed);
        Ok(new)
    }

    /// Goes on loading a program after a call of its loader has returned.
    pub fn load_on(&mut self, mut new: Caller<'_>, memory: &mut MemoryManager) -> Progress {
        let place = new.process.slot().index();
        let Some(mut loader) = self.loaders[place].take() else { return Progress::Call };
        let progress = counted(new.process.public(), memory, |memory| {
            loader.advance(&mut new, &mut ForPrograms(memory))
        });
        if matches!(progress, Progress::Call) {
            self.loaders[place] = Some(loader);
        } else {
            loader.free(memory);
        }
        progress
    }

    /// Takes back all that a process and its thread have, after the last release.
    pub fn destroy(&mut self, zombie: WithThread, memory: &mut MemoryManager) {
        let slot = zombie.process.slot();
        if let Some(loader) = self.loaders[slot.index()].take() {
            loader.free(memory);
        }
        let (process, thread) = (zombie.process.remove(), zombie.thread.remove());
        if process.used_ica {
            self.ica.free_all(slot, &process.space, thread.calling.span, memory);
        }
        self.ica.end(slot);
        if let Some(endpoint) = thread.endpoint.filter(|_| thread.owns_endpoint) {
            endpoints::free(endpoint);
        }
        for channel in thread.linux.all() {
            self.lcas.free(channel.lca.index());
            memory.free(channel.lca.entry().raddr());
        }
        memory.free(process.scratch);
        process.space.free(memory);
        memory.publish();
    }
}

/// Loads a program from a source that has all its bytes, and counts its pages.
fn load(
    new: &mut WithThread,
    source: &mut impl Source,
    startup: Startup<'_>,
    memory: &mut MemoryManager,
) -> Result<(), Failure> {
    counted(new.process.public(), memory, |memory| {
        loader::load_from(&mut new.both(), source, startup, memory)
    })
}

/// Does what takes pages for a process, and counts them as the process's.
fn counted<R>(
    process: &PublicProcess,
    memory: &mut MemoryManager,
    work: impl FnOnce(&mut MemoryManager) -> R,
) -> R {
    let free_before = memory.free_pages();
    let result = work(memory);
    process.add_pages((free_before - memory.free_pages()) as i64);
    result
}

/// Maps the bundle into `init`, and counts the tables that lead there.
fn map_bundle(
    process: &mut Owned<Process>,
    bundle: Extent,
    memory: &mut MemoryManager,
) -> Result<(), Failure> {
    let mapped = counted(process.public(), memory, |memory| {
        (0..bundle.len)
            .step_by(PAGE_SIZE)
            .try_for_each(|offset| process.space.map_bundle(offset, bundle.start + offset, memory))
    });
    mapped.map_err(Failure::from)
}

/// Maps device memory, `len` bytes from physical address `start` on, into a process of this CPU.
pub fn map_device(
    process: &mut Owned<Process>,
    start: u64,
    len: u64,
    memory: &mut MemoryManager,
) -> Result<(), Error> {
    let last = PhysAddr::new(start + (len - 1));
    let start = PhysAddr::new(start);
    UserVirt::of_device(last).ok_or(Error::Invalid)?;
    let is_memory = |extent: &Extent| start < extent.start + extent.len && extent.start <= last;
    if shared::extents().iter().any(is_memory) {
        return Err(Error::NotPermitted);
    }
    // The tables that lead there are the process's, too.
    let mapped = counted(process.public(), memory, |memory| {
        start.pages(len).try_for_each(|page| process.space.map_device(page, memory))
    });
    memory.publish();
    mapped.map_err(|_| Error::NoMemory)
}

/// The CPU a process shall run on: the one asked for, or the one with the fewest processes, a
/// p-kernel's rather than the m-kernel's.
fn place(cpu: u32) -> Result<CpuIndex, Error> {
    if cpu != ANY_CPU {
        return shared::cpu_with_index(cpu.into()).ok_or(Error::NoDevice);
    }
    let load = |&cpu: &CpuIndex| (process::count_on(cpu), cpu == CpuIndex::M_KERNEL);
    Ok(shared::cpus().min_by_key(load).unwrap_or(CpuIndex::M_KERNEL))
}
