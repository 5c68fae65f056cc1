//! What servers want of devices: each is one server's alone.

use std::ops::Range;

use ant_abi::bundle::{BundleServer, GRANTS_MAX};
use ant_abi::ipc::{DeviceGrant, GrantKind};
use ant_logic::bundle::INTERRUPT_BITS;
use serde::Deserialize;
use toml::Spanned;

use super::{Fault, ServerEntry};

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
        meeting(&self.ports, &other.ports)
            .or_else(|| meeting(&self.memory, &other.memory))
            .or_else(|| self.interrupts.iter().find(is_taken).map(Spanned::span))
    }

    /// Puts what it wants into what the bundle says of it.
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
        for (span, grant) in ports.chain(memory).chain(self.interrupts.iter().map(interrupt)) {
            if grant.kind == u32::from(GrantKind::Interrupt) && grant.len >= INTERRUPT_BITS {
                let what = format!("an interrupt's `bit` must be 0 to {}", INTERRUPT_BITS - 1);
                return Err(Fault { span, what });
            }
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
}

impl RangeEntry {
    fn meets(self, other: Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}
