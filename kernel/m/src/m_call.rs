//! What processes of any CPU ask the m-kernel for: ICA pages, endpoints. A p-kernel asks by
//! message, for its process, and makes the answer the process's own (`ant_p::syscalls`).

use ant_abi::Error;
use ant_abi::syscall::Sysnum;
use ant_logic::ipc::Target;
use ant_p::mailbox::{self, Message};
use ant_p::{endpoints, log, shared};

use crate::{MKernel, ica};

impl MKernel {
    /// CPU `from` asks for its process in `slot`.
    pub(crate) fn m_call(&mut self, from: usize, slot: u8, number: Sysnum, args: [u64; 3]) {
        let result = self.grant(from, slot, number, args);
        if mailbox::send(0, from, Message::MReply { slot, result }).is_err() {
            log::error!("CPU {} takes no messages", shared::linux_cpu(from));
        }
    }

    /// Serves one of the m-kernel's calls (`Service::MKernel`) for the process in `slot` of CPU `cpu`.
    pub(crate) fn grant(&mut self, cpu: usize, slot: u8, number: Sysnum, args: [u64; 3]) -> i64 {
        let result = match number {
            Sysnum::IcaAlloc => {
                ica::alloc(args[0], slot, slot == self.init, &mut self.memory).map(i64::from)
            }
            Sysnum::EndpointOpen => open(cpu, slot, slot == self.init),
            _ => Err(Error::NoSystemCall),
        };
        self.memory.publish();
        result.unwrap_or_else(Error::to_return)
    }
}

fn open(cpu: usize, slot: u8, is_init: bool) -> Result<i64, Error> {
    let cpu = cpu as u8;
    if endpoints::bound_to(cpu, slot).next().is_some() {
        return Err(Error::Busy);
    }
    let here = Target::Bound { cpu, server: slot };
    endpoints::create(here, is_init).map(i64::from).ok_or(Error::NoMemory)
}
