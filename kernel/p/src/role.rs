//! What differs between m-kernel and p-kernel.

use ant_abi::ipc::Span;
use ant_abi::store::StoreEntry;
use ant_abi::syscall::Sysnum;
use ant_abi::{CpuIndex, Pid, ProcessSlot, ThreadSlot};

use crate::cpu::Cpu;
use crate::mailbox::Message;
use crate::process::WithThread;
use crate::syscalls::Outcome;

/// What the loop of a CPU leaves to the kernel that runs it.
pub trait Role: Sized {
    /// Takes a message that only one of the two understands.
    fn message(&mut self, cpu: &mut Cpu, from: CpuIndex, message: Message);
    /// Serves a system call that not every CPU can.
    fn syscall(
        &mut self,
        cpu: &mut Cpu,
        slot: ThreadSlot,
        number: Sysnum,
        args: [u64; 3],
    ) -> Outcome;
    /// Linux has released the LCA of a thread that is not this CPU's.
    fn released_elsewhere(&mut self, cpu: &mut Cpu, lca: StoreEntry);
    /// A call that the loader of the process of thread `slot` made has returned.
    fn loading_returned(&mut self, cpu: &mut Cpu, slot: ThreadSlot);
    /// Takes ICA pages back that the process in `slot` gives back, and has unmapped.
    fn freed(&mut self, slot: ProcessSlot, pid: Pid, span: Span);
    /// Takes the memory of a zombie back.
    fn reap(&mut self, cpu: &mut Cpu, zombie: WithThread);
}
