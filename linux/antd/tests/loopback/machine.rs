//! What Linux says in `/sys` and `/proc` about a machine with COM2, played in a directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where the serial port is, as a terminal.
pub const TTY: &str = "sys/class/tty/ttyS1";
/// Where it is, as a device.
pub const DEVICE: &str = "sys/devices/pnp0/00:05";

/// A machine; its directory goes with it.
pub struct Machine(PathBuf);

impl Machine {
    /// One with an unused serial port.
    pub fn with_com2(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("ant-machine-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let machine = Self(root);
        let (tty, device) = (machine.0.join(TTY), machine.0.join(DEVICE));
        fs::create_dir_all(&tty).unwrap();
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(machine.0.join("sys/bus/pnp")).unwrap();
        symlink(machine.0.join("sys/bus/pnp"), device.join("subsystem")).unwrap();
        symlink(&device, tty.join("device")).unwrap();
        let attributes =
            [("port", "0x2F8"), ("irq", "3"), ("type", "4"), ("console", "N"), ("dev", "4:65")];
        for (name, value) in attributes {
            fs::write(tty.join(name), format!("{value}\n")).unwrap();
        }
        machine
    }

    /// Where its `/sys` and `/proc` are.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Has a process open the terminal.
    pub fn open_tty(&self, pid: u32, name: &str) {
        let process = self.0.join(format!("proc/{pid}"));
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::write(process.join("comm"), format!("{name}\n")).unwrap();
        symlink("/dev/null", process.join("fd/0")).unwrap();
        symlink("/dev/ttyS1", process.join("fd/1")).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
