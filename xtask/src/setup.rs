//! `./ant setup`: installs what is missing on a Debian machine, and nothing when nothing is.

mod missing;
mod named_kernel;

use crate::apt::Apt;
use crate::{step, toolchain};
use ant_vm::kernels;
use anyhow::{Context, Result, bail};
use missing::Missing;
use std::process::{Command, Stdio};

/// x2APIC and a deterministic clock with several CPUs came with this QEMU.
const QEMU_MAJOR: u32 = 10;

/// Arguments of `./ant setup`.
#[derive(clap::Args)]
pub struct SetupArgs {
    /// Install this kernel of the distribution as well: its version, or `6.12-rt` for the newest of those
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
}

/// Installs what is missing and says what there is.
pub fn run(args: &SetupArgs) -> Result<()> {
    let version = ensure(args.kernel.as_deref())?;
    eprintln!("  kernel {version}");
    eprintln!("  QEMU   {}", qemu_version().unwrap_or_default());
    eprintln!("  Rust   {:?} for {}", toolchain::find_bare()?, toolchain::BARE_TARGET);
    Ok(())
}

/// Installs what is missing for building and for booting `kernel` (a version or a series; default: the
/// distribution's), and returns that kernel's version. Asks nothing; takes a few milliseconds when nothing is
/// missing.
pub fn ensure(kernel: Option<&str>) -> Result<String> {
    ensure_tools_first(kernel, || ())
}

/// As [`ensure`]; calls `programs_can_be_built` as soon as that is true.
pub fn ensure_tools_first(
    kernel: Option<&str>,
    programs_can_be_built: impl FnOnce(),
) -> Result<String> {
    let apt = Apt::detect();
    let missing = Missing::find(apt.as_ref(), kernel);
    let names = missing.names();
    if names.is_empty() {
        programs_can_be_built();
        return version(kernel);
    }
    let Some(apt) = apt else {
        bail!("not a Debian: install what corresponds to {names} (QEMU: {QEMU_MAJOR} or newer)");
    };
    let Missing { tools, mut newest, kernel: usual, named } = missing;
    update(&apt, !newest.is_empty() || named.is_some())?;
    if let Some(name) = named {
        // From the backports with QEMU, for its headers may need newer tools than the release has.
        newest.extend(named_kernel::packages(&apt, &name)?);
    }
    install(&tools, |names| apt.install(names))?;
    programs_can_be_built();
    install(&newest, |names| apt.install_newest(names))?;
    install(&usual, |names| apt.install(names))?;
    if !qemu_is_new_enough() {
        bail!("QEMU {QEMU_MAJOR} or newer is needed; there is {:?}", qemu_version());
    }
    toolchain::find_bare()?;
    version(kernel)
}

/// The installed version of the kernel that is meant by `kernel` (default: the distribution's).
fn version(kernel: Option<&str>) -> Result<String> {
    match kernel {
        Some(name) => named_kernel::installed(name)
            .with_context(|| format!("the packages of kernel {name} lack its image or headers")),
        None => Ok(kernels::usual()?),
    }
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
    let Some(apt) = Apt::detect() else { return Ok(()) };
    let missing = apt.missing(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    update(&apt, false)?;
    install(&missing, |names| apt.install(names))
}

fn update(apt: &Apt, backports: bool) -> Result<()> {
    step::timed("fetching the lists of packages", || apt.update(backports))
}

/// Has `apt_get` install `packages`, if there are any, as one step.
fn install(packages: &[String], apt_get: impl FnOnce(&[String]) -> Result<()>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    step::announced(&format!("installing {}", packages.join(" ")), || apt_get(packages))
}

/// True if the QEMU of this machine will do.
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
