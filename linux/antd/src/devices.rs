//! Devices that AnT may get, and whether Linux can spare them.
//!
//! What a device is called, and where it is on a bus of Linux's, is policy, and here: the module takes
//! whatever device of a bus it is told, AnT's kernel gives its servers what the list of devices in the
//! boot block has. So far the only one is a serial port. Only what Linux does not use is taken: no
//! console, nothing that is open. Taking it from its driver and giving it back is the module's, which
//! does it also when this process is killed.

use std::fs;
use std::path::{Path, PathBuf};

use ant_abi::boot::{BootDevice, Bus, Resource as Found, ResourceKind};
use ant_dev::{ControlFile, DeviceRequest};
use ant_protocol::{Device, DeviceChoice, Resource};
use rustix::io::Errno;

/// A serial port that every PC has in the same place.
struct SerialPort {
    /// How it is chosen.
    choice: DeviceChoice,
    /// What people call it.
    title: &'static str,
    /// What manifests of AnT's servers call it.
    name: &'static str,
    /// Its first I/O port, by which Linux's terminal is found.
    port: u32,
    /// Its interrupt line.
    line: u32,
}

/// The devices that can be chosen; each is on the PNP bus.
const KNOWN: [SerialPort; 1] =
    [SerialPort { choice: DeviceChoice::Com2, title: "COM2", name: "com2", port: 0x2f8, line: 3 }];

/// What AnT got, or why it got nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignedDevices {
    /// What it has.
    pub devices: Vec<Device>,
    /// What it does not have, and why; for people.
    pub notes: Vec<String>,
}

/// Gives AnT what was chosen, if Linux can spare it. `root` is where `/sys` and `/proc` are.
pub fn lend(root: &Path, choice: DeviceChoice, control: &dyn ControlFile) -> AssignedDevices {
    let mut assigned = AssignedDevices::default();
    for device in KNOWN.iter().filter(|device| device.choice == choice) {
        match device.lend(root, control) {
            Ok(device) => assigned.devices.push(device),
            Err(why) => assigned.notes.push(format!("without {}: {why}", device.title)),
        }
    }
    assigned
}

impl SerialPort {
    fn lend(&self, root: &Path, control: &dyn ControlFile) -> Result<Device, String> {
        let request = self.find(root)?;
        let found = control.take_device(&request).map_err(|error| match error.errno {
            Errno::BUSY => format!(
                "another driver has its interrupt line {} or its ports: see /proc/interrupts and \
                 /proc/ioports",
                self.line
            ),
            Errno::OPNOTSUPP => "its interrupt line is not edge-triggered, or it uses DMA".into(),
            _ => error.to_string(),
        })?;
        Ok(Device { name: self.title.into(), resources: resources(&found) })
    }

    /// The port as Linux knows it.
    fn find(&self, root: &Path) -> Result<DeviceRequest, String> {
        let tty = self.find_tty(root).ok_or("this machine has none")?;
        let name = tty.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if attribute(&tty, "console") == "Y" {
            return Err(format!("{name} is a console of Linux's"));
        }
        if attribute(&tty, "irq") != self.line.to_string() {
            return Err(format!("{name} has no interrupt line {}", self.line));
        }
        if let Some(user) = find_user(root, &name) {
            return Err(format!("/dev/{name} is open in {user}"));
        }
        let address = pnp_device(&tty).ok_or_else(|| format!("{name} is not on the PNP bus"))?;
        Ok(DeviceRequest { bus: Bus::Pnp, address, name: self.name.into() })
    }

    /// The terminal that has the port: that there is a chip, Linux has found out.
    fn find_tty(&self, root: &Path) -> Option<PathBuf> {
        let entries = fs::read_dir(root.join("sys/class/tty")).ok()?.flatten();
        let has_it = |tty: &PathBuf| {
            let port = attribute(tty, "port");
            let port = port.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
            port == Some(self.port) && !matches!(attribute(tty, "type").as_str(), "" | "0")
        };
        entries.map(|entry| entry.path()).find(has_it)
    }
}

/// What a device has, as people see it.
fn resources(device: &BootDevice) -> Vec<Resource> {
    let found = device.resources.iter().take(device.resource_count as usize);
    let shown = |&Found { kind, line, start, len }: &Found| match ResourceKind::try_from(kind) {
        Ok(ResourceKind::Ports) => Some(Resource::Ports { start, len }),
        Ok(ResourceKind::Memory) => Some(Resource::Memory { start, len }),
        Ok(ResourceKind::Interrupt) => Some(Resource::Interrupt { line }),
        Err(_) => None,
    };
    found.filter_map(shown).collect()
}

fn attribute(tty: &Path, name: &str) -> String {
    fs::read_to_string(tty.join(name)).unwrap_or_default().trim().to_owned()
}

/// Name of the terminal's device on the PNP bus. Later kernels have devices of their own between.
fn pnp_device(tty: &Path) -> Option<String> {
    let device = tty.join("device").canonicalize().ok()?;
    let on_pnp = |path: &&Path| {
        let bus = fs::read_link(path.join("subsystem")).unwrap_or_default();
        bus.file_name().is_some_and(|name| name == "pnp")
    };
    let found = device.ancestors().find(on_pnp)?;
    Some(found.file_name()?.to_str()?.to_owned())
}

/// A process that has the terminal open: its number and name.
fn find_user(root: &Path, tty: &str) -> Option<String> {
    let node = Path::new("dev").join(tty);
    let processes = fs::read_dir(root.join("proc")).ok()?.flatten().map(|entry| entry.path());
    let has_it_open = |process: &PathBuf| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        // Not followed: what is behind may be on a server that does not answer.
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target.ends_with(&node))
    };
    let process = processes.into_iter().find(has_it_open)?;
    let name = attribute(&process, "comm");
    Some(format!("process {} ({name})", process.file_name()?.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_machine::{DEVICE, Machine, TTY};
    use std::os::unix::fs::symlink;

    fn find_com2(root: &Path) -> Result<DeviceRequest, String> {
        KNOWN[0].find(root)
    }

    #[test]
    fn com2_is_found_if_it_is_not_in_use() {
        let machine = Machine::with_com2("found");
        let request = find_com2(machine.root()).unwrap();
        assert_eq!((request.bus, request.address.as_str()), (Bus::Pnp, "00:05"));
        assert_eq!(request.name, "com2");
    }

    #[test]
    fn what_linux_needs_stays_linuxs() {
        let machine = Machine::with_com2("needed");
        let why = |name: &str, value: &str| {
            let path = machine.root().join(TTY).join(name);
            let before = fs::read(&path).unwrap();
            fs::write(&path, value).unwrap();
            let why = find_com2(machine.root()).unwrap_err();
            fs::write(path, before).unwrap();
            why
        };
        assert_eq!(why("console", "Y"), "ttyS1 is a console of Linux's");
        assert_eq!(why("irq", "4"), "ttyS1 has no interrupt line 3");
        assert_eq!(why("type", "0"), "this machine has none");
        assert_eq!(why("port", "0x3F8"), "this machine has none");
        machine.open_tty(345, "agetty");
        let why = find_com2(machine.root()).unwrap_err();
        assert_eq!(why, "/dev/ttyS1 is open in process 345 (agetty)");
        assert_eq!(find_com2(Path::new("/no/such")).unwrap_err(), "this machine has none");
    }

    #[test]
    fn a_device_between_terminal_and_bus_does_not_matter() {
        let machine = Machine::with_com2("between");
        let (tty, device) = (machine.root().join(TTY), machine.root().join(DEVICE));
        fs::create_dir_all(device.join("00:05:0/00:05:0.0")).unwrap();
        fs::remove_file(tty.join("device")).unwrap();
        symlink(device.join("00:05:0/00:05:0.0"), tty.join("device")).unwrap();
        assert_eq!(find_com2(machine.root()).unwrap().address, "00:05");
        fs::remove_file(device.join("subsystem")).unwrap();
        symlink("/sys/bus/platform", device.join("subsystem")).unwrap();
        assert_eq!(find_com2(machine.root()).unwrap_err(), "ttyS1 is not on the PNP bus");
    }
}
