//! `init`'s system call for fault injection; only kernels that tests boot have it.

use ant_abi::boot::BOOT_ALLOW_INJECT;
use ant_abi::syscall::Injection;
use ant_abi::{Error, Pid, Tid};
use ant_p::fault_injection::FaultPoint;
use ant_p::mailbox::{self, Message};
use ant_p::{Cpu, shared};

use super::MKernel;
use crate::init_calls;

/// Serves `FAULT_INJECT`.
pub fn inject(
    m: &mut MKernel,
    cpu: &mut Cpu,
    [kind, target, calls]: [u64; 3],
) -> Result<(), Error> {
    if shared::boot().flags & BOOT_ALLOW_INJECT == 0 {
        return Err(Error::NotPermitted);
    }
    let kind = u32::try_from(kind).ok().and_then(|kind| Injection::try_from(kind).ok());
    let kind = kind.ok_or(Error::Invalid)?;
    if !kind.is_of_cpu() {
        return arm(target, FaultPoint::new(kind, calls)?);
    }
    let target = shared::cpu_with_index(target).ok_or(Error::NoDevice)?;
    let message = Message::Inject(kind);
    if target == cpu.index() {
        cpu.handle_message(target, message, m);
        return Ok(());
    }
    mailbox::send(cpu.index(), target, message).map_err(|_| Error::Again)
}

/// Arms the fault point of a process, or of the server that is made next.
fn arm(target: u64, fault_point: FaultPoint) -> Result<(), Error> {
    if target == 0 {
        fault_point.arm_next_server();
        return Ok(());
    }
    let pid = Pid::try_from(target).map_err(|_| Error::NoProcess)?;
    let (slot, _) = init_calls::find(pid)?;
    fault_point.arm(slot, Tid::first_of(pid));
    Ok(())
}
