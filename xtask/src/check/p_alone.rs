//! A p-kernel has no memory manager and allocates nothing: what is linked into one tells.

use super::nothing_is_wrong;
use crate::{bare, step};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Parts of names that only code that allocates has: the page allocator, page tables being made, Rust's
/// heap, and whatever the m-kernel alone has.
const OF_ALLOCATION: &[&str] =
    &["PageAllocator", "AddressSpace>::new", "AddressSpace::new", "__rust_alloc", "ant_m::"];
/// The whole kernel has these: they are still called so.
const OF_THE_M_KERNEL: &[&str] = &["PageAllocator", "ant_m::"];
/// Every kernel has this.
const OF_THE_P_KERNEL: &str = "ant_p::";

/// Fails with everything in the p-kernel alone that allocates.
pub fn check() -> Result<()> {
    let kernels = bare::kernels()?;
    let whole = symbols(&kernels, "ant-kernel")?;
    for name in OF_THE_M_KERNEL {
        ensure!(whole.contains(name), "the kernel has no {name} any more: look for what it is now");
    }
    let alone = symbols(&kernels, "ant-p-kernel-alone")?;
    ensure!(alone.contains(OF_THE_P_KERNEL), "nm names nothing of the p-kernel:\n{alone}");
    let is_wrong = |line: &&str| OF_ALLOCATION.iter().any(|name| line.contains(name));
    let wrong: Vec<&str> = alone.lines().filter(is_wrong).collect();
    nothing_is_wrong(&wrong).context("in a p-kernel")
}

/// What `nm` names in one of the kernels.
pub fn symbols(kernels: &[PathBuf], name: &str) -> Result<String> {
    let kernel = kernels.iter().find(|path| path.file_name() == Some(name.as_ref()));
    let kernel: &Path = kernel.with_context(|| format!("{name} was not built"))?;
    step::capture("nm", Command::new("nm").arg("-C").arg(kernel))
}
