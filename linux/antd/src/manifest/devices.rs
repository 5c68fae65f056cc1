//! What servers want of devices: each is one server's alone.

use std::ops::Range;

use ant_abi::boot::DEVICE_NAME;
use ant_abi::bundle::{BundleDevice, BundleServer, GRANTS_MAX, WHOLE_DEVICES_MAX};
use ant_abi::ipc::{DeviceGrant, GrantKind};
use ant_logic::bundle::{INTERRUPT_BITS, is_device_name};
use serde::Deserialize;
use toml::Spanned;

use super::{Fault, ServerEntry, ensure};

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RangeEntry {
    start: u64,
    len: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterruptEntry {
    line: u64,
    bit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceEntry {
    name: String,
    bit: u64,
}

/// Fails where two servers want one device.
pub(super) fn check(entries: &[ServerEntry]) -> Result<(), Fault> {
    for (index, entry) in entries.iter().enumerate() {
        for other in &entries[..index] {
            if let Some(span) = entry.shared_device(other) {
                let (name, other) = (entry.name.get_ref(), other.name.get_ref());
                let what =
                    format!("`{other}` and `{name}` want one device: take it from one of them");
                return Err(Fault { span, what });
            }
        }
    }
    Ok(())
}

impl ServerEntry {
    /// Where it wants a device that another wants, too.
    fn shared_device(&self, other: &Self) -> Option<Range<usize>> {
        let meeting = |ours: &[Spanned<RangeEntry>], theirs: &[Spanned<RangeEntry>]| {
            let meets = |range: &&Spanned<RangeEntry>| {
                theirs.iter().any(|other| range.get_ref().meets(*other.get_ref()))
            };
            ours.iter().find(meets).map(Spanned::span)
        };
        let is_taken = |ours: &&Spanned<InterruptEntry>| {
            let mut lines = other.interrupts.iter().map(|theirs| theirs.get_ref().line);
            lines.any(|line| line == ours.get_ref().line)
        };
        let is_named = |ours: &&Spanned<DeviceEntry>| is_among(ours, &other.devices);
        meeting(&self.ports, &other.ports)
            .or_else(|| meeting(&self.memory, &other.memory))
            .or_else(|| self.interrupts.iter().find(is_taken).map(Spanned::span))
            .or_else(|| self.devices.iter().find(is_named).map(Spanned::span))
    }

    /// Puts the ranges and lines that it wants into what the bundle says of it.
    pub(super) fn grant(&self, record: &mut BundleServer) -> Result<(), Fault> {
        let range = |kind: GrantKind, range: &Spanned<RangeEntry>| {
            let RangeEntry { start, len } = *range.get_ref();
            (range.span(), DeviceGrant { kind: kind.into(), reserved: 0, start, len })
        };
        let interrupt = |interrupt: &Spanned<InterruptEntry>| {
            let InterruptEntry { line, bit } = *interrupt.get_ref();
            let kind = GrantKind::Interrupt.into();
            let grant = DeviceGrant { kind, reserved: 0, start: line, len: bit };
            (interrupt.span(), grant)
        };
        let ports = self.ports.iter().map(|ports| range(GrantKind::Ports, ports));
        let memory = self.memory.iter().map(|memory| range(GrantKind::Memory, memory));
        for interrupt in &self.interrupts {
            check_bit(interrupt.get_ref().bit, interrupt)?;
        }
        for (span, grant) in ports.chain(memory).chain(self.interrupts.iter().map(interrupt)) {
            let count = record.grant_count as usize;
            let Some(place) = record.grants.get_mut(count) else {
                let what =
                    format!("a server can have {GRANTS_MAX} ranges and interrupts: leave some out");
                return Err(Fault { span, what });
            };
            *place = grant;
            record.grant_count += 1;
        }
        Ok(())
    }

    /// Puts the devices that it wants whole into what the bundle says of it.
    pub(super) fn name_devices(&self, record: &mut BundleServer) -> Result<(), Fault> {
        for (index, device) in self.devices.iter().enumerate() {
            let name = &device.get_ref().name;
            ensure(is_device_name(name), device, || {
                let most = DEVICE_NAME - 1;
                format!(
                    "{name:?} is no device's name: 1 to {most} letters, digits and signs, no blanks"
                )
            })?;
            check_bit(device.get_ref().bit, device)?;
            ensure(!is_among(device, &self.devices[..index]), device, || {
                format!("device `{name}` is named twice: once is enough")
            })?;
            ensure(index < WHOLE_DEVICES_MAX, device, || {
                format!("a server can have {WHOLE_DEVICES_MAX} whole devices: leave some out")
            })?;
            record.devices[index] = device.get_ref().record();
            record.device_count += 1;
        }
        Ok(())
    }
}

fn check_bit<T>(bit: u64, at: &Spanned<T>) -> Result<(), Fault> {
    ensure(bit < INTERRUPT_BITS, at, || {
        format!("an interrupt's `bit` must be 0 to {}", INTERRUPT_BITS - 1)
    })
}

/// Whether one of these is the same device.
fn is_among(device: &Spanned<DeviceEntry>, others: &[Spanned<DeviceEntry>]) -> bool {
    others.iter().any(|other| other.get_ref().name == device.get_ref().name)
}

impl DeviceEntry {
    /// As the bundle has it; its name was checked.
    fn record(&self) -> BundleDevice {
        let mut name = [0; DEVICE_NAME];
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        BundleDevice { name, bit: self.bit }
    }
}

impl RangeEntry {
    fn meets(self, other: Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}
