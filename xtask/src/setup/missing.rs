//! What is not there yet, in the order in which it is installed.

use crate::apt::Apt;
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
    /// What is taken from the backports where the release itself has it too old: QEMU, and a
    /// kernel that was asked for by its version, with what its headers need.
    pub newest: Vec<String>,
    /// The distribution's kernel.
    pub kernel: Vec<String>,
}

impl Missing {
    /// What building and booting `kernel` (default: the distribution's newest) lacks.
    pub fn find(apt: Option<&Apt>, kernel: Option<&str>) -> Self {
        let version = kernel.filter(|version| !is_complete(version));
        let has_usual = kernels::usual().is_ok_and(|version| is_complete(&version));
        let usual = if kernel.is_none() && !has_usual { KERNEL } else { &[] };
        let installs_kernel = version.is_some() || !usual.is_empty();

        let mut tools = ALWAYS.to_vec();
        if toolchain::find_bare().is_err() {
            tools.extend(BARE_RUST);
        }
        if installs_kernel && apt.is_some_and(lacks_initrd_maker) {
            tools.push(INITRD_MAKERS[0]);
        }
        Self {
            tools: not_there(apt, &tools),
            newest: newest(version),
            kernel: not_there(apt, usual),
        }
    }

    /// All of them, in one line.
    pub fn names(&self) -> String {
        [&self.tools[..], &self.newest, &self.kernel].concat().join(" ")
    }
}

fn lacks_initrd_maker(apt: &Apt) -> bool {
    apt.missing(INITRD_MAKERS).len() == INITRD_MAKERS.len()
}

fn newest(kernel: Option<&str>) -> Vec<String> {
    let mut wanted = Vec::new();
    if !setup::qemu_is_new_enough() {
        wanted.push("qemu-system-x86".to_owned());
    }
    if let Some(version) = kernel {
        wanted.push(format!("linux-image-{version}"));
        wanted.push(format!("linux-headers-{version}"));
    }
    wanted
}

/// True if a module for `version` can be built and `version` be booted.
fn is_complete(version: &str) -> bool {
    kernels::image(version).is_ok()
        && Path::new("/lib/modules").join(version).join("build").exists()
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
