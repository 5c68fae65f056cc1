//! What executes the guest's instructions.

use std::fs::{self, File};

/// An accelerator of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The host's processor.
    Kvm,
    /// QEMU's translator, one thread for each of the guest's CPUs.
    Tcg,
}

impl Accel {
    /// As QEMU's `-accel` takes it.
    pub fn argument(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg,thread=multi",
        }
    }
}

/// True if KVM may work: the processor has it, and we may use it. Only a trial can tell: there
/// are machines where it opens and the guest then hangs.
pub fn kvm_is_possible() -> bool {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
        && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}
