//! What processes of any CPU ask the m-kernel for: ICA pages, endpoints. A p-kernel asks by
//! message, for its process, and makes the answer the process's own (`ant_p::syscalls`).

use ant_abi::syscall::Sysnum;
use ant_abi::{CpuIndex, Error, ThreadSlot};
use ant_logic::ipc::Target;
use ant_p::endpoints::Purpose;
use ant_p::mailbox::{self, Message};
use ant_p::{endpoints, log, shared, thread};

use crate::MKernel;
use crate::ica::Reserve;

impl MKernel {
    /// CPU `from` asks for its thread in `slot`.
    pub(crate) fn m_call(
        &mut self,
        from: CpuIndex,
        slot: ThreadSlot,
        number: Sysnum,
        args: [u64; 3],
    ) {
        let result = self.grant(from, slot, number, args);
        if mailbox::send(CpuIndex::M_KERNEL, from, Message::MReply { slot, result }).is_err() {
            log::error!("CPU {} takes no messages", shared::linux_cpu(from));
        }
    }

    /// Serves one of the m-kernel's calls (`Service::MKernel`) for the thread in `slot` of CPU `cpu`.
    pub(crate) fn grant(
        &mut self,
        cpu: CpuIndex,
        slot: ThreadSlot,
        number: Sysnum,
        args: [u64; 3],
    ) -> i64 {
        let (reserve, purpose) = match slot == self.init {
            true => (Reserve::Init, Purpose::Server),
            false => (Reserve::Others, Purpose::Program),
        };
        let result = match number {
            Sysnum::IcaAlloc => {
                let process = thread::public(slot).process();
                let ica = &mut self.processes.ica;
                ica.alloc(args[0], process, reserve, &mut self.memory).map(i64::from)
            }
            Sysnum::EndpointOpen => open(cpu, slot, purpose),
            _ => Err(Error::NoSystemCall),
        };
        self.memory.publish();
        result.unwrap_or_else(Error::to_return)
    }
}

fn open(cpu: CpuIndex, slot: ThreadSlot, purpose: Purpose) -> Result<i64, Error> {
    if endpoints::bound_to(cpu, slot).next().is_some() {
        return Err(Error::Busy);
    }
    let here = Target::Bound { cpu, server: slot };
    let endpoint = endpoints::create(here, purpose).ok_or(Error::NoMemory)?;
    Ok(endpoint.bits() as i64)
}
