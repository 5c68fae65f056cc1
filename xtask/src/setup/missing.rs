//! What is not there yet, in the order in which it is installed.

use crate::apt::Apt;
use crate::setup::named_kernel;
use crate::{setup, toolchain};
use ant_vm::kernels;
use std::path::Path;

/// What every build and every guest needs.
const ALWAYS: &[&str] =
    &["binutils", "busybox-static", "gcc", "kmod", "libc6-dev", "make", "xz-utils"];
/// The distribution's kernel, and what a module for it is built with.
const KERNEL: &[&str] = &["linux-headers-amd64", "linux-image-amd64"];
/// A compiler with its own sources, for the bare-metal target.
const BARE_RUST: &[&str] = &["cargo-web", "rust-web-src", "rustc-web"];
/// What Debian's kernel has its initrd made by: the first, unless the machine has another. One
/// that is installed together with a kernel makes the same initrd twice, so it is installed before.
const INITRD_MAKERS: &[&str] = &["initramfs-tools", "dracut"];

/// Names of packages.
pub struct Missing {
    /// What programs are built with.
    pub tools: Vec<String>,
    /// What is taken from the backports where the release itself has it too old: QEMU.
    pub newest: Vec<String>,
    /// The distribution's kernel.
    pub kernel: Vec<String>,
    /// The kernel that was asked for, if it is not there: as its name was given.
    pub named: Option<String>,
}

impl Missing {
    /// What building and booting `kernel` (default: the distribution's newest) lacks.
    pub fn find(apt: Option<&Apt>, kernel: Option<&str>) -> Self {
        let named = kernel.filter(|name| named_kernel::installed(name).is_none());
        let has_usual = kernels::usual().is_ok_and(|version| named_kernel::is_complete(&version));
        let usual = if kernel.is_none() && !has_usual { KERNEL } else { &[] };
        let installs_kernel = named.is_some() || !usual.is_empty();

        let mut tools = ALWAYS.to_vec();
        if toolchain::find_bare().is_err() {
            tools.extend(BARE_RUST);
        }
        if installs_kernel && apt.is_some_and(lacks_initrd_maker) {
            tools.push(INITRD_MAKERS[0]);
        }
        Self {
            tools: not_there(apt, &tools),
            newest: newest(),
            kernel: not_there(apt, usual),
            named: named.map(str::to_owned),
        }
    }

    /// All of them, in one line.
    pub fn names(&self) -> String {
        let named = self.named.iter().map(|name| format!("kernel {name}")).collect::<Vec<_>>();
        [&self.tools[..], &self.newest, &self.kernel, &named].concat().join(" ")
    }
}

fn lacks_initrd_maker(apt: &Apt) -> bool {
    apt.missing(INITRD_MAKERS).len() == INITRD_MAKERS.len()
}

fn newest() -> Vec<String> {
    let wanted = ["qemu-system-x86"].iter().filter(|_| !setup::qemu_is_new_enough());
    wanted.map(|name| (*name).to_owned()).collect()
}

fn not_there(apt: Option<&Apt>, packages: &[&str]) -> Vec<String> {
    match apt {
        Some(apt) => apt.missing(packages),
        // Without dpkg, what is on the PATH tells.
        None => {
            let missing = packages.iter().filter(|name| !is_there(name));
            missing.map(|name| (*name).to_owned()).collect()
        }
    }
}

fn is_there(package: &str) -> bool {
    let program = match package {
        "binutils" => "ld",
        "busybox-static" => "busybox",
        "kmod" => "modprobe",
        "xz-utils" => "xz",
        "libc6-dev" => return Path::new("/usr/include/stdio.h").exists(),
        other => other,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).exists())
}
