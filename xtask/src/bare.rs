//! Builds what runs on AnT: apps and OS servers, `ant-init`, which embeds the servers, and the
//! kernel, which embeds `ant-init`.

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
/// Tells init's build script where the servers are that it embeds.
const SERVERS_DIR: &str = "ANT_SERVERS_DIR";
/// Package with the programs that people run.
const APPS: &str = "ant-apps";
/// Package whose programs only tests run.
const TESTS: &str = "ant-user-tests";
/// Feature of the kernels that tests boot to make them fail.
const FAULT_INJECTION: &str = "fault-injection";
/// Where the OS servers are: in directory `NAME` the package `ant-NAME`.
const SERVERS: &str = "user/servers";
/// The server to copy from, which is none yet.
const TEMPLATE: &str = "ant-template";

/// Builds the apps, the OS servers and `ant-init`, which embeds the servers that its manifest names,
/// into `target/ant/bare`.
pub fn build_programs() -> Result<()> {
    let out = paths::bare_programs();
    let servers = out.join("servers");
    let mut apps = cargo(&toolchain::find_bare()?);
    if !out.join(INIT).exists() {
        // The first time, what init's build script needs is compiled beside `cpu`, which keeps one
        // processor busy for long. This init has no servers and is not installed.
        apps.args(["-p", INIT]).env(SERVERS_DIR, "/dev/null");
    }
    build_all("AnT programs", apps, [APPS.to_owned()], &out.join("apps"))?;
    let packages = server_packages()?.into_iter().chain([TEMPLATE.to_owned()]);
    build_all("AnT servers", cargo(&toolchain::find_bare()?), packages, &servers)?;
    let mut init = cargo(&toolchain::find_bare()?);
    init.args(["-p", INIT]).env(SERVERS_DIR, servers);
    build::install("AnT init", &mut init, &out, &["--strip-all"])
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
fn build_all(
    step: &str,
    mut cargo: Command,
    packages: impl IntoIterator<Item = String>,
    dir: &Path,
) -> Result<()> {
    for package in packages {
        cargo.arg("-p").arg(package);
    }
    let mut programs = build::executables(&step::run(step, &mut cargo)?);
    programs.retain(|program| program.file_name().is_some_and(|name| name != INIT));
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

/// Builds the kernel into `target/ant/bare`; it embeds the `ant-init` that lies there.
pub fn build_kernel() -> Result<()> {
    let out = paths::bare_programs();
    build::install("AnT kernel", &mut kernel_cargo()?, &out, &["--strip-debug"])
}

/// Builds the kernel, and the p-kernel alone, and installs neither.
pub fn kernels() -> Result<Vec<PathBuf>> {
    Ok(build::executables(&step::run("AnT kernel", &mut kernel_cargo()?)?))
}

/// As [`kernels`], with fault injection. They lie where those of [`kernels`] do.
pub fn kernels_for_tests() -> Result<Vec<PathBuf>> {
    let mut cargo = kernel_cargo()?;
    cargo.args(["--features", FAULT_INJECTION]);
    Ok(build::executables(&step::run("AnT kernel for tests", &mut cargo)?))
}

fn kernel_cargo() -> Result<Command> {
    let mut cargo = cargo(&toolchain::find_bare()?);
    cargo.args(["-p", "ant-kernel"]);
    let init = paths::bare_programs().join(INIT);
    // Without an init yet, the kernel can still be compiled; it has nothing to start.
    cargo.env("ANT_INIT_ELF", if init.exists() { &init } else { Path::new("/dev/null") });
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
    build_all("AnT programs for tests", cargo(&toolchain::find_bare()?), [TESTS.to_owned()], &dir)
}

/// Builds the kernel with fault injection, whose servers are those of `tests/manifest.toml`, into
/// `target/ant/bare/tests`. That takes the programs of tests.
pub fn build_test_kernel() -> Result<()> {
    let (programs, out) = (paths::bare_programs(), paths::bare_tests());
    let mut init = cargo(&toolchain::find_bare()?);
    init.args(["-p", INIT, "--features", "tests"]).env(SERVERS_DIR, programs);
    build::install("AnT init for tests", &mut init, &out, &["--strip-all"])?;
    let mut kernel = cargo(&toolchain::find_bare()?);
    kernel.args(["-p", "ant-kernel", "--bin", "ant-kernel"]);
    kernel.args(["--features", "tests", "--features", FAULT_INJECTION]);
    kernel.env("ANT_INIT_ELF", out.join(INIT));
    build::install("AnT kernel for tests", &mut kernel, &out, &["--strip-debug"])
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
