//! What executes the guest's instructions.

use crate::paths;
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
    /// KVM where it works, else the translator. Only a trial can tell: there are machines where
    /// KVM opens and the guest then hangs. `trial` boots with KVM; what came of it is kept in
    /// `target/ant/kvm-trial`.
    pub fn choose(trial: impl FnOnce() -> bool) -> Self {
        if !kvm_is_possible() {
            return Accel::Tcg;
        }
        let memory = paths::out().join("kvm-trial");
        let works = match fs::read_to_string(&memory).as_deref() {
            Ok("works") => true,
            Ok("fails") => false,
            _ => {
                let works = trial();
                // If it cannot be kept, the next guest tries again.
                fs::write(&memory, if works { "works" } else { "fails" }).ok();
                works
            }
        };
        if works { Accel::Kvm } else { Accel::Tcg }
    }

    /// As QEMU's `-accel` takes it.
    pub fn argument(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg,thread=multi",
        }
    }
}

/// True if KVM may work: the processor has it, and we may use it.
fn kvm_is_possible() -> bool {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
        && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}
