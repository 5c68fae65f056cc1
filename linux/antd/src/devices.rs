//! Devices that AnT may get, and whether Linux can spare them.
//!
//! So far that is COM2. Only what nobody on Linux uses is taken: no console, nothing that is open.
//! Taking it from its driver and giving it back is the module's, which does it also when this
//! process is killed.

use std::fs;
use std::path::{Path, PathBuf};

use ant_abi::boot::BOOT_COM2;
use ant_dev::{ControlFile, DeviceRequest};
use ant_protocol::{Device, DeviceChoice};
use rustix::io::Errno;

/// First I/O port of COM2.
const COM2_PORT: u32 = 0x2f8;
/// Ports of a serial port.
const COM2_PORTS: u32 = 8;
/// Interrupt line of COM2.
const COM2_LINE: u32 = 3;

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
    if choice == DeviceChoice::None {
        return AssignedDevices::default();
    }
    match lend_com2(root, control) {
        Ok(device) => AssignedDevices { devices: vec![device], notes: Vec::new() },
        Err(why) => {
            AssignedDevices { devices: Vec::new(), notes: vec![format!("without COM2: {why}")] }
        }
    }
}

fn lend_com2(root: &Path, control: &dyn ControlFile) -> Result<Device, String> {
    let request = find_com2(root)?;
    control.take_device(&request).map_err(|error| match error.errno {
        Errno::BUSY => format!(
            "another driver has its interrupt line {COM2_LINE} or its ports: see /proc/interrupts \
             and /proc/ioports"
        ),
        Errno::OPNOTSUPP => "its interrupt line is not edge-triggered".into(),
        _ => error.to_string(),
    })?;
    let (port, ports, line) = (request.port, request.ports, request.line);
    Ok(Device { name: "COM2".into(), port, ports, line })
}

/// COM2 as Linux knows it.
fn find_com2(root: &Path) -> Result<DeviceRequest, String> {
    let tty = find_tty(root).ok_or("this machine has none")?;
    let name = tty.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if attribute(&tty, "console") == "Y" {
        return Err(format!("{name} is a console of Linux's"));
    }
    if attribute(&tty, "irq") != COM2_LINE.to_string() {
        return Err(format!("{name} has no interrupt line {COM2_LINE}"));
    }
    if let Some(user) = find_user(root, &name) {
        return Err(format!("/dev/{name} is open in {user}"));
    }
    let device = pnp_device(&tty).ok_or_else(|| format!("{name} is not on the PNP bus"))?;
    Ok(DeviceRequest {
        name: device,
        flag: BOOT_COM2,
        line: COM2_LINE,
        port: COM2_PORT,
        ports: COM2_PORTS,
    })
}

/// The terminal whose ports are COM2's: that there is a chip, Linux has found out.
fn find_tty(root: &Path) -> Option<PathBuf> {
    let all = fs::read_dir(root.join("sys/class/tty")).ok()?.flatten().map(|entry| entry.path());
    let is_com2 = |tty: &PathBuf| {
        let port = attribute(tty, "port");
        let port = port.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
        port == Some(COM2_PORT) && !matches!(attribute(tty, "type").as_str(), "" | "0")
    };
    all.into_iter().find(is_com2)
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

    #[test]
    fn com2_is_found_if_nobody_uses_it() {
        let machine = Machine::with_com2("found");
        let request = find_com2(machine.root()).unwrap();
        assert_eq!((request.name.as_str(), request.flag), ("00:05", BOOT_COM2));
        assert_eq!((request.line, request.port, request.ports), (3, 0x2f8, 8));
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
        assert_eq!(find_com2(machine.root()).unwrap().name, "00:05");
        fs::remove_file(device.join("subsystem")).unwrap();
        symlink("/sys/bus/platform", device.join("subsystem")).unwrap();
        assert_eq!(find_com2(machine.root()).unwrap_err(), "ttyS1 is not on the PNP bus");
    }
}
