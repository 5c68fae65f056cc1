//! Builds `ant.ko` for one kernel, outside the source tree.
//!
//! Kbuild writes beside its sources, so the sources are copied to a directory for each kernel;
//! only changed files are copied, and `make` does the rest.

use crate::{build, step};
use ant_vm::paths;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How strictly the compiler looks at the module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    /// As distributions build modules.
    Default,
    /// `W=1`.
    Extra,
}

/// Builds the module for the kernel `version`; without sources for it, says so and does nothing.
///
/// Returns what the build printed, with names of source files as they are in the source tree.
pub fn build(version: &str, warnings: Warnings) -> Result<String> {
    let source = paths::root().join("linux/module");
    if !source.join("Kbuild").exists() && !source.join("Makefile").exists() {
        eprintln!("  --    ant.ko: linux/module has no Kbuild yet, going on without");
        return Ok(String::new());
    }
    let headers = PathBuf::from(format!("/lib/modules/{version}/build"));
    if !headers.exists() {
        bail!("no headers for the kernel {version}: run `./ant setup --kernel {version}`");
    }
    let dir = build_dir(version, warnings);
    if warnings == Warnings::Extra {
        // Only what is compiled can warn: compile all of it.
        fs::remove_dir_all(&dir).ok();
    }
    let changed = copy_sources(&source, &dir)?;
    let module = dir.join("ant.ko");
    if !changed && module.exists() && warnings == Warnings::Default {
        return Ok(String::new());
    }
    let mut make = Command::new("make");
    make.arg("-C").arg(headers).arg(format!("M={}", dir.display())).arg("modules");
    make.arg(format!("-j{}", std::thread::available_parallelism().map_or(1, usize::from)));
    if warnings == Warnings::Extra {
        make.arg("W=1");
    }
    // Kbuild takes these from the environment and would act on them.
    make.env_remove("MAKEFLAGS").env_remove("ARCH").env_remove("CROSS_COMPILE");
    let wanted = format!("ant.ko for {version}");
    let result = step::run_renaming(&wanted, &mut make, &dir, Path::new("linux/module"));
    if result.is_err() {
        // A stale module must not be taken for the one that did not compile.
        fs::remove_file(&module).ok();
    }
    result
}

fn build_dir(version: &str, warnings: Warnings) -> PathBuf {
    let module = paths::module(version);
    let dir = module.parent().unwrap_or(&module);
    match warnings {
        Warnings::Default => dir.to_path_buf(),
        Warnings::Extra => dir.with_file_name(format!("{version}-W1")),
    }
}

/// Copies the sources that differ; true if anything did.
fn copy_sources(source: &Path, dir: &Path) -> Result<bool> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {dir:?}"))?;
    let mut changed = false;
    for entry in fs::read_dir(source).with_context(|| format!("cannot read {source:?}"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if is_source(&name.to_string_lossy()) {
            changed |= build::copy_if_changed(&path, &dir.join(name))?;
        }
    }
    Ok(changed)
}

/// False for what `make` in the source directory may have left there.
pub fn is_source(name: &str) -> bool {
    let by_suffix = [".c", ".h", ".S"].iter().any(|suffix| name.ends_with(suffix));
    (by_suffix && !name.ends_with(".mod.c")) || name == "Kbuild" || name == "Makefile"
}
