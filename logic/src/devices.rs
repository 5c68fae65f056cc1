//! What a grant gives a process of the devices that the partition has.
//!
//! The rule: I/O ports and interrupts are granted only of devices that Linux has given to the
//! partition, for what Linux has kept its drivers use. Device memory needs no device of the
//! partition (whether it is the partition's own memory, the m-kernel checks).
//!
//! Deliberately absent: which process has what, and access to devices.

use ant_abi::boot::{
    BootDevice, DEVICE_RESOURCES, MAX_DEVICES, MAX_INTERRUPTS, Resource, ResourceKind,
};
use ant_abi::ipc::{DeviceGrant, GrantKind, NOTIFY_USER};
use ant_abi::{Error, PAGE_SIZE};
use arrayvec::ArrayVec;

/// One past the highest I/O port.
pub const PORTS_END: u64 = 1 << 16;

/// A part of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// I/O ports.
    Ports {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
    },
    /// Device memory: whole pages.
    Memory {
        /// Physical address.
        start: u64,
        /// Bytes.
        len: u64,
    },
    /// An interrupt of the partition.
    Interrupt {
        /// Its index.
        index: u8,
        /// Notification bit that it raises.
        bit: u8,
    },
}

/// What one grant gives.
pub type Rights = ArrayVec<Right, DEVICE_RESOURCES>;

/// Whether a device of the boot block is one: its resources can be counted, and are what they say.
#[must_use]
pub fn is_valid(device: &BootDevice) -> bool {
    let count = device.resource_count as usize;
    device.resources.get(..count).is_some_and(|resources| resources.iter().all(is_resource))
}

fn is_resource(resource: &Resource) -> bool {
    let &Resource { kind, start, len, .. } = resource;
    let end = start.checked_add(len).filter(|_| len > 0);
    end.is_some_and(|end| match ResourceKind::try_from(kind) {
        Ok(ResourceKind::Ports) => end <= PORTS_END,
        Ok(ResourceKind::Memory) => true,
        Ok(ResourceKind::Interrupt) => end <= MAX_INTERRUPTS as u64 && len == 1,
        Err(_) => false,
    })
}

fn is_of_kind(resource: &Resource, kind: ResourceKind) -> bool {
    resource.kind == u32::from(kind)
}

/// Number of the device that the partition calls `name`, which is not empty. `get` gives the device with
/// a number, if the partition has so many.
///
/// # Errors
///
/// `NoDevice`: there is none. What `get` fails with.
pub fn find(
    name: &str,
    get: impl Fn(usize) -> Result<Option<BootDevice>, Error>,
) -> Result<u64, Error> {
    for number in 0..MAX_DEVICES {
        match get(number)? {
            Some(device) if is_called(&device, name) => return Ok(number as u64),
            Some(_) => {}
            None => break,
        }
    }
    Err(Error::NoDevice)
}

fn is_called(device: &BootDevice, name: &str) -> bool {
    let padding = device.name.strip_prefix(name.as_bytes());
    padding.is_some_and(|padding| padding.iter().all(|&byte| byte == 0))
}

/// What a grant gives where `devices`, each of which [`is_valid`], are the partition's.
///
/// # Errors
///
/// `Invalid`: it makes no sense. `NoDevice`: it is not of a device of the partition.
pub fn resolve(grant: &DeviceGrant, devices: &[BootDevice]) -> Result<Rights, Error> {
    let &DeviceGrant { kind, start, len, .. } = grant;
    let mut rights = Rights::new();
    match GrantKind::try_from(kind).map_err(|_| Error::Invalid)? {
        GrantKind::Ports => rights.push(ports(start, len, devices)?),
        GrantKind::Memory => rights.push(memory(start, len)?),
        GrantKind::Interrupt => rights.push(interrupt(start, len, devices)?),
        GrantKind::Device => {
            let bit = bit(len)?;
            let of_device = resources(device(start, devices)?).iter();
            rights.extend(of_device.filter_map(|resource| right(resource, bit)));
        }
        GrantKind::DeviceMemory => {
            let is_memory = |resource: &&Resource| is_of_kind(resource, ResourceKind::Memory);
            for resource in resources(device(start, devices)?).iter().filter(is_memory) {
                rights.push(memory(resource.start, resource.len)?);
            }
        }
    }
    Ok(rights)
}

fn resources(device: &BootDevice) -> &[Resource] {
    device.resources.get(..device.resource_count as usize).unwrap_or(&[])
}

fn device(index: u64, devices: &[BootDevice]) -> Result<&BootDevice, Error> {
    usize::try_from(index).ok().and_then(|index| devices.get(index)).ok_or(Error::NoDevice)
}

fn bit(number: u64) -> Result<u8, Error> {
    let is_bit = number < u64::from(u64::BITS) && 1 << number & NOTIFY_USER != 0;
    if is_bit { Ok(number as u8) } else { Err(Error::Invalid) }
}

/// The right to ports or an interrupt that a device has.
fn right(resource: &Resource, bit: u8) -> Option<Right> {
    let &Resource { kind, start, len, .. } = resource;
    match ResourceKind::try_from(kind) {
        Ok(ResourceKind::Ports) => Some(port_range(start, start + len)),
        Ok(ResourceKind::Interrupt) => Some(Right::Interrupt { index: start as u8, bit }),
        Ok(ResourceKind::Memory) | Err(_) => None,
    }
}

fn ports(start: u64, len: u64, devices: &[BootDevice]) -> Result<Right, Error> {
    if !is_resource(&Resource { kind: ResourceKind::Ports.into(), line: 0, start, len }) {
        return Err(Error::Invalid);
    }
    let end = start + len;
    let has_them = |resource: &Resource| {
        let all = resource.start..resource.start + resource.len;
        is_of_kind(resource, ResourceKind::Ports) && all.start <= start && end <= all.end
    };
    let listed = devices.iter().flat_map(resources).any(has_them);
    listed.then_some(port_range(start, end)).ok_or(Error::NoDevice)
}

fn port_range(start: u64, end: u64) -> Right {
    Right::Ports { first: start as u16, last: (end - 1) as u16 }
}

fn memory(start: u64, len: u64) -> Result<Right, Error> {
    let page = PAGE_SIZE as u64;
    let is_range = len > 0 && start.checked_add(len).is_some();
    let fits = is_range && start.is_multiple_of(page) && len.is_multiple_of(page);
    fits.then_some(Right::Memory { start, len }).ok_or(Error::Invalid)
}

fn interrupt(line: u64, number: u64, devices: &[BootDevice]) -> Result<Right, Error> {
    let bit = bit(number)?;
    let has_it = |resource: &&Resource| {
        is_of_kind(resource, ResourceKind::Interrupt) && u64::from(resource.line) == line
    };
    let listed = devices.iter().flat_map(resources).find(has_it);
    listed.and_then(|resource| right(resource, bit)).ok_or(Error::NoDevice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    fn resource(kind: ResourceKind, line: u32, start: u64, len: u64) -> Resource {
        Resource { kind: kind.into(), line, start, len }
    }

    fn device(resources: &[Resource]) -> BootDevice {
        let mut device = BootDevice::new_zeroed();
        device.resource_count = resources.len() as u32;
        device.resources[..resources.len()].copy_from_slice(resources);
        device
    }

    /// A serial port, and one with memory, two interrupts and ports.
    fn devices() -> [BootDevice; 2] {
        [
            device(&[
                resource(ResourceKind::Ports, 0, 0x2f8, 8),
                resource(ResourceKind::Interrupt, 3, 0, 1),
            ]),
            device(&[
                resource(ResourceKind::Memory, 0, 0xfe00_0000, 0x2000),
                resource(ResourceKind::Interrupt, 40, 1, 1),
                resource(ResourceKind::Interrupt, 41, 2, 1),
                resource(ResourceKind::Ports, 0, 0xfff0, 16),
            ]),
        ]
    }

    fn of(kind: GrantKind, start: u64, len: u64) -> Result<std::vec::Vec<Right>, Error> {
        let grant = DeviceGrant { kind: kind.into(), reserved: 0, start, len };
        resolve(&grant, &devices()).map(|rights| rights.to_vec())
    }

    #[test]
    fn ports_are_those_of_a_device() {
        let ports = |first, last| Ok(std::vec![Right::Ports { first, last }]);
        assert_eq!(of(GrantKind::Ports, 0x2f8, 8), ports(0x2f8, 0x2ff));
        assert_eq!(of(GrantKind::Ports, 0x2fe, 2), ports(0x2fe, 0x2ff));
        assert_eq!(of(GrantKind::Ports, 0xfff8, 8), ports(0xfff8, 0xffff));
        for (start, len) in [(0x2f7, 2), (0x2f8, 9), (0x60, 1), (0, 0xffff)] {
            assert_eq!(of(GrantKind::Ports, start, len), Err(Error::NoDevice));
        }
        for (start, len) in [(0x2f8, 0), (0xfff8, 9), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(of(GrantKind::Ports, start, len), Err(Error::Invalid));
        }
    }

    #[test]
    fn an_interrupt_is_named_by_its_line_and_has_its_index() {
        let interrupt = |index, bit| Ok(std::vec![Right::Interrupt { index, bit }]);
        assert_eq!(of(GrantKind::Interrupt, 3, 0), interrupt(0, 0));
        assert_eq!(of(GrantKind::Interrupt, 41, 5), interrupt(2, 5));
        for line in [0, 1, 4, 1 << 32 | 3] {
            assert_eq!(of(GrantKind::Interrupt, line, 0), Err(Error::NoDevice));
        }
        for bit in [48, 63, 64, 1 << 32] {
            assert_eq!(of(GrantKind::Interrupt, 3, bit), Err(Error::Invalid));
        }
    }

    #[test]
    fn memory_is_pages_of_any_device() {
        let memory = |start, len| Ok(std::vec![Right::Memory { start, len }]);
        assert_eq!(of(GrantKind::Memory, 0xfed0_0000, 0x1000), memory(0xfed0_0000, 0x1000));
        for (start, len) in [(0xfed0_0010, 0x1000), (0xfed0_0000, 0x10), (0, 0), (!0xfff, 0x1000)] {
            assert_eq!(of(GrantKind::Memory, start, len), Err(Error::Invalid));
        }
    }

    #[test]
    fn a_device_is_granted_in_two_parts() {
        let parts = [
            Right::Interrupt { index: 1, bit: 7 },
            Right::Interrupt { index: 2, bit: 7 },
            Right::Ports { first: 0xfff0, last: 0xffff },
        ];
        assert_eq!(of(GrantKind::Device, 1, 7), Ok(parts.to_vec()));
        let memory = std::vec![Right::Memory { start: 0xfe00_0000, len: 0x2000 }];
        assert_eq!(of(GrantKind::DeviceMemory, 1, 0), Ok(memory));
        assert_eq!(of(GrantKind::DeviceMemory, 0, 0), Ok(std::vec![]));
        assert_eq!(of(GrantKind::Device, 2, 0), Err(Error::NoDevice));
        assert_eq!(of(GrantKind::Device, 0, 48), Err(Error::Invalid));
        assert_eq!(of(GrantKind::DeviceMemory, u64::MAX, 0), Err(Error::NoDevice));
    }

    #[test]
    fn memory_of_a_device_that_is_no_whole_page_is_not_granted() {
        let devices = [device(&[resource(ResourceKind::Memory, 0, 0xfed0_0000, 0x400)])];
        let kind = GrantKind::DeviceMemory.into();
        let grant = DeviceGrant { kind, reserved: 0, start: 0, len: 0 };
        assert_eq!(resolve(&grant, &devices), Err(Error::Invalid));
    }

    #[test]
    fn a_device_is_found_by_its_whole_name() {
        let [mut com2, mut com22] = devices();
        com2.name[..4].copy_from_slice(b"com2");
        com22.name[..5].copy_from_slice(b"com22");
        let devices = [com22, com2];
        let find = |name| find(name, |number| Ok(devices.get(number).copied()));
        assert_eq!((find("com2"), find("com22")), (Ok(1), Ok(0)));
        for name in ["com", "com222", "Com2", &"com2".repeat(9)] {
            assert_eq!(find(name), Err(Error::NoDevice), "{name}");
        }
        let (none, failing) = (|_| Ok(None), |_| Err(Error::Fault));
        assert_eq!(super::find("com2", none), Err(Error::NoDevice));
        assert_eq!(super::find("com2", failing), Err(Error::Fault));
    }

    #[test]
    fn a_device_is_looked_for_among_as_many_as_there_can_be() {
        let asked = core::cell::Cell::new(0);
        let get = |number| {
            asked.set(number + 1);
            Ok(Some(device(&[])))
        };
        assert_eq!(find("com2", get), Err(Error::NoDevice));
        assert_eq!(asked.get(), MAX_DEVICES);
    }

    #[test]
    fn a_kind_of_grant_that_is_none_is_refused() {
        let kind = u32::from(GrantKind::DeviceMemory) + 1;
        let grant = DeviceGrant { kind, reserved: 0, start: 0, len: 0 };
        assert_eq!(resolve(&grant, &devices()), Err(Error::Invalid));
    }

    #[test]
    fn a_device_says_what_can_be() {
        assert!(devices().iter().all(is_valid));
        for bad in [
            resource(ResourceKind::Ports, 0, 0xfff8, 9),
            resource(ResourceKind::Ports, 0, 0x2f8, 0),
            resource(ResourceKind::Memory, 0, u64::MAX, 2),
            resource(ResourceKind::Interrupt, 3, 64, 1),
            resource(ResourceKind::Interrupt, 3, 0, 2),
            Resource { kind: 0, line: 0, start: 0, len: 1 },
        ] {
            assert!(!is_valid(&device(&[bad])), "{bad:?}");
        }
        let mut device = device(&[]);
        device.resource_count = DEVICE_RESOURCES as u32 + 1;
        assert!(!is_valid(&device));
    }

    proptest! {
        #[test]
        fn whatever_is_granted_lies_in_a_device(kind in 0u32..6, start: u64, len in 0u64..0x1_0001) {
            let grant = DeviceGrant { kind, reserved: 0, start: start % 0x1_0002, len };
            let Ok(rights) = resolve(&grant, &devices()) else { return Ok(()) };
            for right in rights {
                match right {
                    Right::Ports { first, last } => {
                        let inside = |ports: [u16; 2]| ports[0] <= first && last <= ports[1];
                        prop_assert!(first <= last);
                        prop_assert!(inside([0x2f8, 0x2ff]) || inside([0xfff0, 0xffff]));
                    }
                    Right::Interrupt { index, bit } => prop_assert!(index < 3 && bit < 48),
                    Right::Memory { start, len } => {
                        prop_assert!(start % 4096 == 0 && len % 4096 == 0 && len > 0);
                    }
                }
            }
        }
    }
}
