//! Builds what runs on AnT: apps, `ant-init` and the OS servers, and the kernel.

use crate::toolchain::{self, Bare};
use crate::{build, step};
use ant_vm::paths;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags of every bare-metal program.
///
/// One code model for both sides of the address space, so that `cpu` is built once: `kernel`
/// asks for addresses that sign-extend from 32 bits, which holds for the kernel's (top 2 GiB)
/// and for a program's (linked below 2 GiB).
const RUSTFLAGS: &str = "-Clinker=ld -Clinker-flavor=ld -Crelocation-model=static \
     -Ccode-model=kernel -Cforce-frame-pointers=yes -Clink-arg=-zmax-page-size=4096";

/// Package of `init`, and its program.
const INIT: &str = "ant-init";
/// Package with the programs that people run.
const APPS: &str = "ant-apps";
/// Package with the programs that only tests run.
const TESTS: &str = "ant-user-tests";
/// Feature of the kernels that tests boot to make them fail.
pub const FAULT_INJECTION: &str = "fault-injection";
/// Where the OS servers are: in directory `NAME` the package `ant-NAME`.
const SERVERS: &str = "user/servers";
/// The server to copy from, which is none yet.
const TEMPLATE: &str = "ant-template";

/// Builds the apps, the OS servers and `ant-init` into `target/ant/bare`.
pub fn build_programs() -> Result<()> {
    let out = paths::bare_programs();
    build_all("AnT programs", [APPS.to_owned()], &out.join("apps"))?;
    let packages = server_packages()?.into_iter().chain([TEMPLATE.to_owned()]);
    build_all("AnT servers", packages, &out.join("servers"))?;
    let mut init = cargo(&toolchain::find_bare()?);
    build::install("AnT init", init.args(["-p", INIT]), &out, &["--strip-all"])
}

/// Packages of the OS servers.
fn server_packages() -> Result<Vec<String>> {
    let dir = paths::root().join(SERVERS);
    let entries =
        std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let names = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").exists());
    let packages = names.map(|entry| format!("ant-{}", entry.file_name().to_string_lossy()));
    Ok(packages.filter(|package| package != INIT).collect())
}

/// Builds all programs of `packages` into `dir`, where nothing else is then.
fn build_all(step: &str, packages: impl IntoIterator<Item = String>, dir: &Path) -> Result<()> {
    let mut cargo = cargo(&toolchain::find_bare()?);
    for package in packages {
        cargo.arg("-p").arg(package);
    }
    let programs = build::executables(&step::run(step, &mut cargo)?);
    remove_others(dir, &programs);
    for program in programs {
        build::install_stripped(&program, dir, &["--strip-all"])?;
    }
    Ok(())
}

/// Removes what was built once from sources that are gone.
fn remove_others(dir: &Path, programs: &[PathBuf]) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !programs.iter().any(|program| program.file_name() == Some(&entry.file_name())) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

/// Builds the kernel into `target/ant/bare`.
pub fn build_kernel() -> Result<()> {
    let out = paths::bare_programs();
    build::install("AnT kernel", &mut kernel_cargo(&[])?, &out, &["--strip-debug"])
}

/// Builds the kernel, and the p-kernel alone, and installs neither.
pub fn kernels() -> Result<Vec<PathBuf>> {
    Ok(build::executables(&step::run("AnT kernel", &mut kernel_cargo(&[])?)?))
}

/// As [`kernels`], with fault injection. They lie where those of [`kernels`] do.
pub fn kernels_for_tests() -> Result<Vec<PathBuf>> {
    let mut cargo = kernel_cargo(&[FAULT_INJECTION])?;
    Ok(build::executables(&step::run("AnT kernel for tests", &mut cargo)?))
}

/// Builds the kernel with `features`.
fn kernel_cargo(features: &[&str]) -> Result<Command> {
    let mut cargo = cargo(&toolchain::find_bare()?);
    cargo.args(["-p", "ant-kernel"]);
    for feature in features {
        cargo.args(["--features", feature]);
    }
    Ok(cargo)
}

/// Says how large the kernel is that was built.
pub fn say_weight() -> Result<()> {
    let out = paths::bare_programs();
    let (all, alone) = (weigh(&out.join("ant-kernel"))?, weigh(&out.join("ant-p-kernel-alone"))?);
    eprintln!("  kernel: {all}; a p-kernel alone: {alone}");
    Ok(())
}

/// Builds the programs that only tests run, into `target/ant/bare/tests/programs`.
pub fn build_test_programs() -> Result<()> {
    let dir = paths::bare_tests().join("programs");
    build_all("AnT programs for tests", [TESTS.to_owned()], &dir)
}

/// Builds the kernel with fault injection into `target/ant/bare/tests`.
pub fn build_test_kernel() -> Result<()> {
    let mut cargo = kernel_cargo(&[FAULT_INJECTION])?;
    cargo.args(["--bin", "ant-kernel"]);
    build::install("AnT kernel for tests", &mut cargo, &paths::bare_tests(), &["--strip-debug"])
}

/// Code and data of a kernel, in words: what `size` says of it.
fn weigh(kernel: &Path) -> Result<String> {
    let output = step::capture("size", Command::new("size").arg(kernel))?;
    let line = output.lines().nth(1).unwrap_or_default();
    let sizes: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [text, data, bss, ..] = sizes[..] else { bail!("size says of {kernel:?}: {output}") };
    Ok(format!("{} KiB code and constants, {} KiB data", text >> 10, (data + bss) >> 10))
}

/// A cargo with the flags and the target directory of the bare-metal build.
fn cargo(bare: &Bare) -> Command {
    let mut cargo = toolchain::bare_cargo(bare, "build");
    configure(&mut cargo);
    cargo.args(["--release", "--message-format=json-render-diagnostics"]);
    cargo
}

/// Gives `cargo` the flags and the target directory that every bare-metal invocation shares.
pub fn configure(cargo: &mut Command) {
    cargo
        .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS", RUSTFLAGS)
        .arg("--target-dir")
        .arg(paths::root().join("target/bare"));
}
