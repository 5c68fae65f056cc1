//! What processes were granted of the partition's devices: I/O ports, device memory, interrupts.
//!
//! Interrupts come to Linux. The module forwards each to one CPU of the partition, as a bit in that
//! CPU's `CpuControl::interrupts` and a doorbell; which CPU, AnT says in
//! `CpuControl::interrupt_targets`: the CPU of the process that was granted the interrupt. That takes
//! the bit in its loop and raises the notification bit. A bit that comes to another CPU, because the
//! process has just left it, is not lost: endpoints are global, and whichever CPU takes the bit notifies
//! the endpoint.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::boot::{DEVICE_RESOURCES, MAX_INTERRUPTS};
use ant_abi::ipc::DeviceGrant;
use ant_abi::{CpuIndex, EndpointId, Error, Priority};
use ant_logic::devices::{PORTS_END, Right, Rights};
use arrayvec::ArrayVec;

use crate::endpoints;
use crate::shared::{self, Control};
use ant_arch::cpu::{self, PortWidth};

/// Ranges of ports, and interrupts, that one process can have.
const GRANTS: usize = DEVICE_RESOURCES;

/// What one process was granted. Device memory is in its page tables.
#[derive(Debug, Default)]
pub struct Grants {
    /// The first and the last of each range.
    ports: ArrayVec<(u16, u16), GRANTS>,
    /// Indices, and the notification bit that each raises.
    interrupts: ArrayVec<(u8, u8), GRANTS>,
}

/// The endpoint that each interrupt notifies: `1 << 63 | bit << 16 | endpoint`, 0 for none. Written by
/// the CPU of the process that has the interrupt; read by the CPU that takes the interrupt, which sees
/// what was written before the module was told of its CPU.
static NOTIFIED: [AtomicU64; MAX_INTERRUPTS] = [const { AtomicU64::new(0) }; MAX_INTERRUPTS];
const GRANTED: u64 = 1 << 63;

/// What a grant gives.
pub fn resolve(grant: &DeviceGrant) -> Result<Rights, Error> {
    ant_logic::devices::resolve(grant, shared::devices())
}

impl Grants {
    /// Adds ports and interrupts to what a process of CPU `cpu` has: all of them or, without room, none.
    /// `endpoint` is where it receives, if it does already.
    pub fn add(
        &mut self,
        rights: &Rights,
        endpoint: Option<EndpointId>,
        cpu: CpuIndex,
    ) -> Result<(), Error> {
        let ports = rights.iter().filter(|right| matches!(right, Right::Ports { .. })).count();
        let interrupts = rights.iter().filter(|right| matches!(right, Right::Interrupt { .. }));
        if ports > self.ports.remaining_capacity()
            || interrupts.count() > self.interrupts.remaining_capacity()
        {
            return Err(Error::NoMemory);
        }
        for &right in rights {
            match right {
                Right::Ports { first, last } => self.ports.push((first, last)),
                Right::Interrupt { index, bit } => self.interrupts.push((index, bit)),
                Right::Memory { .. } => {}
            }
        }
        endpoint.into_iter().for_each(|endpoint| self.notify_at(endpoint, cpu));
        Ok(())
    }

    /// Its process receives at `endpoint` and is CPU `cpu`'s: interrupts go there.
    pub fn notify_at(&self, endpoint: EndpointId, cpu: CpuIndex) {
        for &(index, bit) in &self.interrupts {
            let index = usize::from(index);
            let word = GRANTED | u64::from(bit) << 16 | endpoint.bits();
            NOTIFIED[index].store(word, Ordering::Release);
            // The module reads it at each interrupt: those from here on come to this CPU.
            shared::interrupt_target(index).store(cpu.into(), Ordering::Release);
        }
    }

    /// Its process is over.
    pub fn revoke(&mut self) {
        for (index, _) in self.interrupts.drain(..) {
            NOTIFIED[usize::from(index)].store(0, Ordering::Release);
        }
        self.ports.clear();
    }

    /// Serves `PortRead`.
    pub fn port_read(&self, port: u64, width: u64) -> Result<u64, Error> {
        let (port, width) = self.granted(port, width)?;
        // SAFETY: the port is the process's; its device is one that Linux has given away, and the module
        // gives none away that uses DMA.
        Ok(u64::from(unsafe { cpu::port_read(port, width) }))
    }

    /// Serves `PortWrite`.
    pub fn port_write(&self, port: u64, width: u64, value: u64) -> Result<(), Error> {
        let (port, width) = self.granted(port, width)?;
        // SAFETY: as in `port_read`.
        unsafe { cpu::port_write(port, width, value as u32) };
        Ok(())
    }

    fn granted(&self, port: u64, bytes: u64) -> Result<(u16, PortWidth), Error> {
        let width = match bytes {
            1 => PortWidth::Byte,
            2 => PortWidth::Word,
            4 => PortWidth::Long,
            _ => return Err(Error::Invalid),
        };
        let last = port.checked_add(bytes - 1).filter(|&last| last < PORTS_END);
        let last = last.ok_or(Error::NotPermitted)? as u16;
        let port = port as u16;
        let inside = |&(from, to): &(u16, u16)| from <= port && last <= to;
        self.ports.iter().any(inside).then_some((port, width)).ok_or(Error::NotPermitted)
    }
}

/// Takes the interrupts that the module has forwarded to the CPU with this control page, the caller's.
/// `notify` gets each endpoint with a notification that its receiver has to be told of.
pub(crate) fn take_interrupts(control: Control, mut notify: impl FnMut(EndpointId)) {
    let pending = control.interrupts();
    if pending.load(Ordering::Relaxed) == 0 {
        return;
    }
    // AcqRel: pairs with the module's locked change of the word, which follows its look at the target.
    let mut bits = pending.swap(0, Ordering::AcqRel);
    shared::add(control.device_interrupts(), u64::from(bits.count_ones()));
    while bits != 0 {
        let index = bits.trailing_zeros() as usize;
        bits &= bits - 1;
        let word = NOTIFIED[index].load(Ordering::Acquire);
        let endpoint = EndpointId::from_bits(word);
        let bit = 1 << (word >> 16 & 63);
        if word & GRANTED != 0 && endpoints::raise(endpoint, bit, Priority::HIGHEST) {
            notify(endpoint);
        }
    }
}
