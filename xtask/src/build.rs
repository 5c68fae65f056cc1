//! `./ant build`: everything that a guest (or a real machine) needs, under `target/ant`.

use crate::module::{self, Warnings};
use crate::{bare, linux_programs, setup, step};
use ant_vm::paths;
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Parts that can be built alone.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// ant.ko
    Module,
    /// antd, antctl, ant-bench, the guest's agent
    Linux,
    /// init, the OS servers and the sample programs
    Programs,
    /// The AnT kernel
    Kernel,
    /// What only tests run: programs, and a kernel with fault injection
    Tests,
}

/// Every part.
const ALL: &[Part] = &[Part::Module, Part::Linux, Part::Programs, Part::Kernel, Part::Tests];

/// Arguments of `./ant build`.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// What to build (default: everything)
    parts: Vec<Part>,
    /// Build ant.ko for this kernel: its version, or `6.12-rt` for the newest of those (default: what
    /// linux-image-amd64 stands for)
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
}

/// Builds what `args` ask for.
pub fn run(args: &BuildArgs) -> Result<()> {
    let version = setup::ensure(args.kernel.as_deref())?;
    let parts = if args.parts.is_empty() { ALL } else { &args.parts };
    build(parts, &version)?;
    eprintln!("  built into {}", paths::out().display());
    Ok(())
}

/// Builds `parts`, with no other build beside; the module for kernel `version`.
pub fn build(parts: &[Part], version: &str) -> Result<()> {
    let _alone = lock()?;
    for part in parts {
        match part {
            Part::Module => drop(module::build(version, Warnings::Default)?),
            Part::Linux => linux_programs::build()?,
            Part::Programs => bare::build_programs()?,
            Part::Kernel => {
                bare::build_kernel()?;
                bare::say_weight()?;
            }
            Part::Tests => {
                bare::build_test_programs()?;
                bare::build_test_kernel()?;
            }
        }
    }
    Ok(())
}

/// Waits until no other `./ant` of this tree builds; released when dropped.
pub fn lock() -> Result<File> {
    fs::create_dir_all(paths::out())?;
    let path = paths::out().join(".build-lock");
    let file = File::create(&path).with_context(|| format!("cannot write {path:?}"))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!("  ...   waiting for another build in this tree");
        flock(&file, FlockOperation::LockExclusive)?;
    }
    Ok(file)
}

/// One of cargo's messages.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// The programs that cargo's JSON `messages` name.
pub fn executables(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .collect()
}

/// Runs the build `cargo`, shown as `name`, and puts its programs into `dir` after `strip` with `how`.
pub fn install(name: &str, cargo: &mut Command, dir: &Path, how: &[&str]) -> Result<()> {
    let programs = executables(&step::run(name, cargo)?);
    programs.iter().try_for_each(|program| install_stripped(program, dir, how))
}

/// Puts `program` into `dir` after `strip` with `how`; a file that stays the same is not touched.
pub fn install_stripped(program: &Path, dir: &Path, how: &[&str]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {dir:?}"))?;
    let name = program.file_name().context("a program without a name")?;
    let stripped = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let status = Command::new("strip").args(how).arg("-o").arg(&stripped).arg(program).status()?;
    if !status.success() {
        bail!("strip {}: {status}", program.display());
    }
    let target = dir.join(name);
    if fs::read(&stripped)? == fs::read(&target).unwrap_or_default() {
        fs::remove_file(&stripped)?;
    } else {
        fs::rename(&stripped, &target)?;
    }
    Ok(())
}

/// Copies `from` over `to` unless they hold the same; true if it copied.
pub fn copy_if_changed(from: &Path, to: &Path) -> Result<bool> {
    let new = fs::read(from).with_context(|| format!("cannot read {from:?}"))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(false);
    }
    fs::write(to, new).with_context(|| format!("cannot write {to:?}"))?;
    Ok(true)
}
