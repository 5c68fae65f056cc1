//! `init`'s system call for fault injection; only kernels that tests boot have it.

use core::sync::atomic::Ordering;

use ant_abi::Error;
use ant_abi::boot::BOOT_ALLOW_INJECT;
use ant_abi::syscall::INJECT_BAD_RADDR;
use ant_p::fault_injection::FaultPoint;
use ant_p::mailbox::{self, Message};
use ant_p::process::{self, Owned};
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
    if kind > u64::from(INJECT_BAD_RADDR) {
        return arm(m, target, FaultPoint::new(kind, calls)?);
    }
    let target = usize::try_from(target).map_err(|_| Error::NoDevice)?;
    if target >= shared::cpu_count() {
        return Err(Error::NoDevice);
    }
    let message = Message::Inject(kind as u32);
    if target == cpu.index() {
        cpu.handle_message(target, message, m);
        return Ok(());
    }
    mailbox::send(cpu.index(), target, message).map_err(|_| Error::Again)
}

/// Arms the fault point of a process, or of the server that is made next.
fn arm(m: &mut MKernel, pid: u64, fault_point: FaultPoint) -> Result<(), Error> {
    if pid == 0 {
        m.next_fault_point = Some(fault_point);
        return Ok(());
    }
    let process = init_calls::find(pid)?;
    fault_point.arm(process::slot_of(process), process.pid.load(Ordering::Relaxed));
    Ok(())
}

/// Arms the fault point of a server that was just made, if the next one is to fail.
pub fn arm_next(m: &mut MKernel, server: &Owned) {
    if let Some(fault_point) = m.next_fault_point.take() {
        fault_point.arm(server.slot(), server.pid);
    }
}
