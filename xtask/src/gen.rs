//! `./ant gen`: the C header of the module, generated from `abi/`.

use crate::step;
use crate::toolchain::host_cargo;
use ant_vm::paths;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Where the header is committed.
pub fn header_path() -> PathBuf {
    paths::root().join("linux/module/ant_abi.h")
}

/// The header as it should be.
pub fn header() -> Result<String> {
    let mut cargo = host_cargo();
    cargo.args(["run", "--quiet", "--package", "ant-abi", "--example", "c_header"]);
    step::run("c_header", &mut cargo)
}

/// Writes the header if it differs.
pub fn run() -> Result<()> {
    let path = header_path();
    let header = header()?;
    if std::fs::read_to_string(&path).is_ok_and(|is| is == header) {
        eprintln!("  {} is fresh", path.display());
        return Ok(());
    }
    std::fs::write(&path, header).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("  wrote {}", path.display());
    Ok(())
}
