//! The shipped kernel cannot be made to fail: nothing of fault injection is linked into it.

use super::nothing_is_wrong;
use super::p_alone::symbols;
use crate::bare;
use anyhow::{Context, Result, ensure};

/// In the names of all that belongs to fault injection.
const MODULE: &str = "::fault_injection::";

/// Fails with what the shipped kernel has of fault injection.
pub fn check() -> Result<()> {
    // It would be seen: the kernel for tests has it. Built first, for both lie in the same place.
    let for_tests = symbols(&bare::kernels_for_tests()?, "ant-kernel")?;
    ensure!(for_tests.contains(MODULE), "the kernel for tests has no {MODULE} any more");
    let shipped = symbols(&bare::kernels()?, "ant-kernel")?;
    let wrong: Vec<&str> = shipped.lines().filter(|line| line.contains(MODULE)).collect();
    nothing_is_wrong(&wrong).context("in the shipped kernel")
}
