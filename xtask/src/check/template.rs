//! A server is short: the one to copy is, and the README says how short.

use ant_vm::paths;
use anyhow::{Result, ensure};
use std::fs;

/// From here on, the loop does too little for its servers.
const LINES_MAX: usize = 50;

/// Fails if the template has grown, or is not as long as people are told.
pub fn check() -> Result<()> {
    let root = paths::root();
    let lines = fs::read_to_string(root.join("user/template/src/main.rs"))?.lines().count();
    ensure!(lines < LINES_MAX, "user/template has {lines} lines, {LINES_MAX} or more");
    let said = format!("A server takes {lines} lines");
    let readme = fs::read_to_string(root.join("README.md"))?;
    ensure!(readme.contains(&said), "README.md does not say: {said}");
    Ok(())
}
