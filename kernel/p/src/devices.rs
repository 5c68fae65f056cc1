//! Devices that processes were granted: I/O ports, device memory, interrupt lines.
//!
//! Interrupts come to Linux, whose module forwards them to the m-kernel's CPU as a bit in
//! `CpuControl::interrupts` and a doorbell. They reach the process as notification bits.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::boot::BOOT_COM2;
use ant_abi::ipc::{DeviceGrant, GRANT_INTERRUPT, GRANT_MEMORY, GRANT_PORTS, NOTIFY_USER};
use ant_abi::{CpuIndex, EndpointId, Error};
use arrayvec::ArrayVec;

use crate::arch::cpu::{self, PortWidth};
use crate::{endpoints, shared};

/// Grants that one process can have of each kind.
const GRANTS: usize = 4;
/// Interrupt lines that the module can forward.
const LINES: usize = 64;
/// Highest I/O port, and one.
const PORTS: u64 = 1 << 16;

/// What one process was granted. Device memory is in its page tables.
#[derive(Debug, Default)]
pub struct Grants {
    ports: ArrayVec<(u16, u16), GRANTS>,
    /// Lines, and the notification bit that each raises.
    lines: ArrayVec<(u8, u8), GRANTS>,
}

/// Who gets the interrupts of a line: `1 << 63 | bit << 8 | endpoint`; 0: nobody.
static LINE_TARGETS: [AtomicU64; LINES] = [const { AtomicU64::new(0) }; LINES];
const TAKEN: u64 = 1 << 63;

/// COM2's ports and interrupt line, which Linux lends or keeps.
const COM2_PORTS: core::ops::Range<u64> = 0x2f8..0x300;
const COM2_LINE: u64 = 3;

/// Whether a grant makes sense, and is not of a device that Linux has kept: `flags` are the boot
/// block's.
pub fn check(grant: &DeviceGrant, flags: u32) -> Result<(), Error> {
    let end = grant.start.checked_add(grant.len).ok_or(Error::Invalid)?;
    let page = ant_abi::PAGE_SIZE as u64;
    let fits = match grant.kind {
        GRANT_PORTS => grant.len > 0 && end <= PORTS,
        GRANT_MEMORY => {
            grant.len > 0 && grant.start.is_multiple_of(page) && grant.len.is_multiple_of(page)
        }
        GRANT_INTERRUPT => {
            grant.start < LINES as u64 && 1u64 << (grant.len & 63) & NOTIFY_USER != 0
        }
        _ => false,
    };
    if !fits {
        return Err(Error::Invalid);
    }
    let com2 = match grant.kind {
        GRANT_PORTS => grant.start < COM2_PORTS.end && COM2_PORTS.start < end,
        GRANT_INTERRUPT => grant.start == COM2_LINE,
        _ => false,
    };
    if com2 && flags & BOOT_COM2 == 0 { Err(Error::NoDevice) } else { Ok(()) }
}

impl Grants {
    /// Adds a grant that [`check`] found right. `endpoint` is where its process receives, if it does
    /// already.
    pub fn add(&mut self, grant: &DeviceGrant, endpoint: Option<EndpointId>) -> Result<(), Error> {
        match grant.kind {
            GRANT_PORTS => {
                let range = (grant.start as u16, (grant.start + grant.len - 1) as u16);
                self.ports.try_push(range).map_err(|_| Error::NoMemory)
            }
            GRANT_INTERRUPT => {
                let line = (grant.start as u8, grant.len as u8);
                self.lines.try_push(line).map_err(|_| Error::NoMemory)?;
                endpoint.into_iter().for_each(|endpoint| self.notify_at(endpoint));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Its process receives at `endpoint`: interrupts go there.
    pub fn notify_at(&self, endpoint: EndpointId) {
        for &(line, bit) in &self.lines {
            let word = TAKEN | u64::from(bit) << 8 | endpoint.bits();
            LINE_TARGETS[usize::from(line)].store(word, Ordering::Relaxed);
        }
    }

    /// Its process is over.
    pub fn revoke(&mut self) {
        for (line, _) in self.lines.drain(..) {
            LINE_TARGETS[usize::from(line)].store(0, Ordering::Relaxed);
        }
        self.ports.clear();
    }

    /// Serves `PortRead`.
    pub fn port_read(&self, port: u64, width: u64) -> Result<u64, Error> {
        let (port, width) = self.granted(port, width)?;
        // SAFETY: the port is the process's, and its device can do no DMA: `init`'s manifest says
        // which devices are given.
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
        let last = port.checked_add(bytes - 1).filter(|&last| last < PORTS);
        let last = last.ok_or(Error::NotPermitted)? as u16;
        let port = port as u16;
        let inside = |&(from, to): &(u16, u16)| from <= port && last <= to;
        self.ports.iter().any(inside).then_some((port, width)).ok_or(Error::NotPermitted)
    }
}

/// The endpoints whose first notification bits the interrupts that the module has forwarded have
/// raised. The m-kernel's CPU only.
pub fn take_interrupts() -> impl Iterator<Item = EndpointId> {
    let pending = shared::control(CpuIndex::M_KERNEL).interrupts();
    let mut lines = match pending.load(Ordering::Relaxed) {
        0 => 0,
        _ => pending.swap(0, Ordering::AcqRel),
    };
    core::iter::from_fn(move || {
        while lines != 0 {
            let line = lines.trailing_zeros() as usize;
            lines &= lines - 1;
            let word = LINE_TARGETS[line].load(Ordering::Relaxed);
            let endpoint = EndpointId::from_bits(word & 0xff);
            if word & TAKEN != 0 && endpoints::bits(endpoint).raise(1 << (word >> 8 & 63)) {
                return Some(endpoint);
            }
        }
        None
    })
}
