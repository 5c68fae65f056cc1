//! `./ant setup`: installs what is missing on a Debian machine, and nothing when nothing is.

use crate::apt::Apt;
use crate::{step, toolchain};
use ant_vm::kernels;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// What every build and every guest needs.
const ALWAYS: &[&str] =
    &["binutils", "busybox-static", "gcc", "kmod", "libc6-dev", "make", "xz-utils"];
/// The distribution's kernel, and what a module for it is built with.
const KERNEL: &[&str] = &["linux-headers-amd64", "linux-image-amd64"];
/// A compiler with its own sources, for the bare-metal target.
const BARE_RUST: &[&str] = &["cargo-web", "rust-web-src", "rustc-web"];
/// x2APIC and a deterministic clock with several CPUs came with this QEMU.
const QEMU_MAJOR: u32 = 10;

/// Arguments of `./ant setup`.
#[derive(clap::Args)]
pub struct Args {
    /// Install this kernel of the distribution as well
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
}

/// Installs what is missing and says what there is.
pub fn run(args: &Args) -> Result<()> {
    ensure(args.kernel.as_deref())?;
    let version = match &args.kernel {
        Some(version) => version.clone(),
        None => kernels::usual()?,
    };
    eprintln!("  kernel {version}");
    eprintln!("  QEMU   {}", qemu_version().unwrap_or_default());
    eprintln!("  Rust   {:?} for {}", toolchain::find_bare()?, toolchain::BARE_TARGET);
    Ok(())
}

/// Installs what is missing for building and for booting `kernel` (default: the distribution's
/// newest). Asks nothing; takes a few milliseconds when nothing is missing.
pub fn ensure(kernel: Option<&str>) -> Result<()> {
    let apt = Apt::detect();
    let plain = missing_packages(&apt, kernel);
    let newest = missing_newest(kernel);
    if plain.is_empty() && newest.is_empty() {
        return Ok(());
    }
    let names = [plain.clone(), newest.clone()].concat().join(" ");
    let Some(mut apt) = apt else {
        bail!("not a Debian: install what corresponds to {names} (QEMU: {QEMU_MAJOR} or newer)");
    };
    step::announced(&format!("installing {names}"), || {
        apt.update(!newest.is_empty())?;
        if !newest.is_empty() {
            apt.install_newest(&newest)?;
        }
        if plain.is_empty() { Ok(()) } else { apt.install(&plain) }
    })?;
    if !qemu_is_new_enough() {
        bail!("QEMU {QEMU_MAJOR} or newer is needed; there is {:?}", qemu_version());
    }
    toolchain::find_bare().map(drop)
}

/// Installs what only `./ant check` needs: `clippy`, `rustfmt`, and the perl of the kernel's tools.
pub fn ensure_check_tools() -> Result<()> {
    let has = |tool| {
        Command::new("cargo")
            .arg(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    // W=1 has the kernel check the module's comments, by a perl script.
    let mut wanted = vec!["perl"];
    if !has("clippy") || matches!(toolchain::find_bare()?, toolchain::Bare::FromSource { .. }) {
        wanted.push("rust-web-clippy");
    }
    if !has("fmt") {
        wanted.push("rustfmt-web");
    }
    let Some(mut apt) = Apt::detect() else { return Ok(()) };
    let missing = apt.missing(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    step::announced(&format!("installing {}", missing.join(" ")), || {
        apt.update(false)?;
        apt.install(&missing)
    })
}

fn missing_packages(apt: &Option<Apt>, kernel: Option<&str>) -> Vec<String> {
    let mut wanted: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    if kernel.is_none() && !kernels::usual().is_ok_and(|version| is_complete(&version)) {
        wanted.extend(KERNEL.iter().map(|name| (*name).to_owned()));
    }
    if toolchain::find_bare().is_err() {
        wanted.extend(BARE_RUST.iter().map(|name| (*name).to_owned()));
    }
    match apt {
        Some(apt) => apt.missing(&wanted),
        // Without dpkg, what is on the PATH tells.
        None => wanted.into_iter().filter(|name| !is_there(name)).collect(),
    }
}

/// What is taken from the backports where the release itself has it too old: QEMU, and a kernel
/// that was asked for by its version, with what its headers need.
fn missing_newest(kernel: Option<&str>) -> Vec<String> {
    let mut wanted = Vec::new();
    if !qemu_is_new_enough() {
        wanted.push("qemu-system-x86".to_owned());
    }
    if let Some(version) = kernel.filter(|version| !is_complete(version)) {
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

fn qemu_is_new_enough() -> bool {
    let version = qemu_version().unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    major.is_some_and(|major: u32| major >= QEMU_MAJOR)
}

/// `10.0.2`.
fn qemu_version() -> Option<String> {
    let output = Command::new("qemu-system-x86_64").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split("version ").nth(1)?.split_whitespace().next()?.to_owned())
}
