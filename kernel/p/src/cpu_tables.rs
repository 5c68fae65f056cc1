//! Memory of the tables that one CPU has to itself, as large as the boot block says.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::boot::TableSizes;
use ant_abi::{CpuIndex, MAX_CPUS, ThreadSlot};
use ant_logic::deadlines::DeadlinePlace;
use ant_logic::ipc::{IpcMemory, IpcPlace, QueueList, QueueNode, SENDS_PER_CPU, SendPlace};
use ant_logic::sched::RunPlace;
use ant_logic::tables;

use crate::owned::Owned;
use crate::process::Process;
use crate::shared;
use crate::thread::Thread;

/// The tables of one CPU, empty.
pub struct CpuTables {
    /// Of IPC.
    pub ipc: IpcMemory,
    /// Of the others.
    pub local: LocalTables,
}

/// The tables of one CPU's threads and processes, empty.
pub struct LocalTables {
    /// Of the run queue.
    pub run: &'static mut [RunPlace],
    /// Of the deadlines.
    pub deadlines: &'static mut [DeadlinePlace],
    /// The threads that are the CPU's, by slot.
    pub threads: &'static mut [Option<Owned<Thread>>],
    /// The processes that are the CPU's, by slot.
    pub processes: &'static mut [Option<Owned<Process>>],
    /// A list of threads.
    pub zombies: &'static mut [ThreadSlot],
    /// Another.
    pub migrating: &'static mut [ThreadSlot],
}

/// Where they are, 0 for not yet. Written by the m-kernel before a CPU starts.
static PLACES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

// What `antd` counts on.
const _: () = {
    assert!(bytes(&TableSizes::USUAL) as u64 <= tables::cpu_bytes(&TableSizes::USUAL));
    assert!(bytes(&TableSizes::MOST) as u64 <= tables::cpu_bytes(&TableSizes::MOST));
};

/// Bytes that the tables of one CPU take.
pub const fn bytes(sizes: &TableSizes) -> usize {
    let mut carver = Carver { next: 0, end: usize::MAX };
    let TableSizes { processes, threads, .. } = *sizes;
    carver.skip::<IpcPlace>(threads as usize);
    carver.skip::<QueueList>(threads as usize);
    carver.skip::<QueueNode>(threads as usize + SENDS_PER_CPU);
    carver.skip::<SendPlace>(SENDS_PER_CPU);
    carver.skip::<RunPlace>(threads as usize);
    carver.skip::<DeadlinePlace>(threads as usize);
    carver.skip::<Option<Owned<Thread>>>(threads as usize);
    carver.skip::<Option<Owned<Process>>>(processes as usize);
    carver.skip::<ThreadSlot>(threads as usize);
    carver.skip::<ThreadSlot>(threads as usize);
    carver.next
}

/// Gives CPU `cpu` the memory of its tables.
///
/// # Safety
/// `memory` is mapped on every CPU, as long as [`bytes`] says, aligned to a page, and given away for
/// ever.
pub unsafe fn place(cpu: CpuIndex, memory: *mut u8) {
    PLACES[cpu.index()].store(memory as u64, Ordering::Release);
}

impl CpuTables {
    /// Those of the CPU that asks, which asks once.
    pub fn take(cpu: CpuIndex) -> Self {
        let place = PLACES[cpu.index()].swap(0, Ordering::Acquire);
        assert!(place != 0, "a CPU takes its tables once");
        let sizes = shared::tables();
        let next = place as usize;
        let mut carver = Carver { next, end: next + bytes(sizes) };
        let TableSizes { processes, threads, .. } = *sizes;
        let (processes, threads) = (processes as usize, threads as usize);
        // SAFETY: `place` was given memory for this CPU alone, as long as `bytes` says, and gives it away
        // once.
        unsafe {
            Self {
                ipc: IpcMemory {
                    places: carver.carve(threads, || IpcPlace::EMPTY),
                    lists: carver.carve(threads, || QueueList::EMPTY),
                    nodes: carver.carve(threads + SENDS_PER_CPU, || QueueNode::NONE),
                    sends: carver.carve(SENDS_PER_CPU, || SendPlace::FREE),
                },
                local: LocalTables {
                    run: carver.carve(threads, || RunPlace::EMPTY),
                    deadlines: carver.carve(threads, || DeadlinePlace::EMPTY),
                    threads: carver.carve(threads, || None),
                    processes: carver.carve(processes, || None),
                    zombies: carver.carve(threads, ThreadSlot::default),
                    migrating: carver.carve(threads, ThreadSlot::default),
                },
            }
        }
    }
}

/// Cuts a piece of memory into tables.
struct Carver {
    next: usize,
    end: usize,
}

impl Carver {
    /// Passes over a table; where it begins.
    const fn skip<T>(&mut self, len: usize) -> usize {
        let start = self.next.next_multiple_of(align_of::<T>());
        self.next = start + len * size_of::<T>();
        start
    }

    /// The next table.
    ///
    /// # Safety
    /// The memory there, up to `end`, is the caller's, for ever.
    unsafe fn carve<T>(&mut self, len: usize, element: impl Fn() -> T) -> &'static mut [T] {
        let first = self.skip::<T>(len) as *mut T;
        assert!(self.next <= self.end, "`bytes` has counted each table");
        // SAFETY: the caller's promise.
        unsafe {
            (0..len).for_each(|index| first.add(index).write(element()));
            core::slice::from_raw_parts_mut(first, len)
        }
    }
}
