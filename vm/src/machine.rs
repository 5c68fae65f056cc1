//! The guest machine, and the QEMU command that makes it.

use crate::accel::Accel;
use crate::image::ExtraFile;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the guest's time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// As fast as the host goes.
    Free,
    /// One instruction at a time over all CPUs, and the clock counts instructions: the same
    /// figures in every run, whatever the host does. Slow, and blind to caches.
    Icount,
}

/// The local APIC's programming model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apic {
    /// Memory-mapped.
    Xapic,
    /// By MSRs.
    X2apic,
}

/// A guest machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Version of the distribution's kernel.
    pub kernel: String,
    /// CPUs.
    pub smp: u32,
    /// Memory, as QEMU takes it: `1G`, `512M`.
    pub mem: String,
    /// What the guest sends to its second serial port goes to this file; else nowhere.
    pub com2: Option<PathBuf>,
    /// What connects to this socket of the host's can send to the second serial port; needs `com2`.
    pub com2_input: Option<PathBuf>,
    /// A directory that appears under /mnt.
    pub share: Option<PathBuf>,
    /// How time passes.
    pub timing: Timing,
    /// Programming model of the local APIC.
    pub apic: Apic,
    /// More words for Linux's command line.
    pub append: Vec<String>,
    /// More files in the guest.
    pub files: Vec<ExtraFile>,
    /// More arguments for QEMU.
    pub qemu_args: Vec<String>,
}

impl Machine {
    /// Four CPUs, 1 GiB, the kernel `version`.
    pub fn new(version: &str) -> Self {
        Self {
            kernel: version.to_owned(),
            smp: 4,
            mem: "1G".to_owned(),
            com2: None,
            com2_input: None,
            share: None,
            timing: Timing::Free,
            apic: Apic::Xapic,
            append: Vec::new(),
            files: Vec::new(),
            qemu_args: Vec::new(),
        }
    }

    /// The command that runs this machine; COM1 is QEMU's standard output, the agent's port is
    /// the socket with descriptor `agent_fd`.
    pub(crate) fn command(
        &self,
        accel: Accel,
        kernel: &Path,
        initrd: &Path,
        agent_fd: i32,
    ) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-name", "ant-guest,debug-threads=on"]);
        self.processor(accel, &mut command);
        command.args(["-m", &self.mem]).args(["-smp", &self.smp.to_string()]);
        command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
        command.args(["-append", &self.command_line()]);
        command.args(["-chardev", "stdio,id=com1,signal=off", "-serial", "chardev:com1"]);
        self.second_serial(&mut command);
        command.args(["-chardev", &format!("socket,id=agent,fd={agent_fd}")]);
        command.args(["-device", "virtio-serial-pci"]);
        command
            .args(["-device", &format!("virtserialport,chardev=agent,name={}", ant_agent::PORT)]);
        if let Some(dir) = &self.share {
            let dir = quoted(dir);
            command.args(["-fsdev", &format!("local,id=share,security_model=none,path={dir}")]);
            command.args(["-device", "virtio-9p-pci,fsdev=share,mount_tag=share"]);
        }
        command.args(&self.qemu_args);
        command
    }

    /// COM2, which is AnT's to have.
    fn second_serial(&self, command: &mut Command) {
        let backend = match (&self.com2, &self.com2_input) {
            (Some(file), None) => format!("file,id=com2,path={}", quoted(file)),
            (Some(file), Some(socket)) => format!(
                "socket,id=com2,server=on,wait=off,path={},logfile={}",
                quoted(socket),
                quoted(file)
            ),
            (None, _) => "null,id=com2".to_owned(),
        };
        command.args(["-chardev", &backend, "-serial", "chardev:com2"]);
    }

    fn processor(&self, accel: Accel, command: &mut Command) {
        let mut cpu = vec!["max"];
        match self.timing {
            Timing::Free => {
                command.args(["-accel", accel.argument()]);
            }
            Timing::Icount => {
                command.args(["-accel", "tcg,thread=single", "-icount", "shift=3,sleep=off"]);
                // Neither the host's clock nor its random numbers may make a difference.
                command.args(["-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]);
                // Otherwise one instruction may copy any number of bytes.
                cpu.extend(["erms=off", "fsrm=off"]);
            }
        }
        match self.apic {
            Apic::Xapic => {
                cpu.push("-x2apic");
                command.args(["-machine", "q35"]);
            }
            Apic::X2apic => {
                cpu.push("+x2apic");
                command.args(["-machine", "q35,kernel-irqchip=split"]);
                command.args(["-device", "intel-iommu,intremap=on,eim=on"]);
            }
        }
        command.args(["-cpu", &cpu.join(",")]);
    }

    fn command_line(&self) -> String {
        let mut words = vec!["console=ttyS0", "panic=-1"];
        if self.timing == Timing::Icount {
            words.extend([
                "ant.icount=8",
                "nokaslr",
                "norandmaps",
                "randomize_kstack_offset=off",
                "tsc=reliable",
            ]);
        }
        if self.apic == Apic::X2apic {
            words.extend(["intel_iommu=on", "no5lvl"]);
        }
        if self.share.is_some() {
            words.push("ant.share");
        }
        words.extend(self.append.iter().map(String::as_str));
        words.join(" ")
    }
}

/// A path in an option's value, where a comma is written twice.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
