//! Which room may depend on which, as ARCHITECTURE.md has it, checked against `cargo metadata`.

use crate::step;
use crate::toolchain::host_cargo;
use ant_vm::paths;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// A room (a directory of the tree) and the rooms that its packages may depend on. The first
/// that a package lies in counts. What every core runs (`kernel/p`) cannot name what only the
/// m-kernel has.
const ALLOWED: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("core", &["abi"]),
    ("kernel/p", &["abi", "core"]),
    ("kernel/m", &["abi", "core", "kernel/p"]),
    ("kernel", &["kernel/m", "kernel/p"]),
    ("user", &["abi", "core", "user"]),
    ("linux", &["abi", "core", "linux"]),
    ("xtask", &["vm"]),
    ("tests", &["vm"]),
    ("vm", &["vm"]),
];

/// Fails with every dependency that goes the wrong way.
pub fn check() -> Result<()> {
    let mut cargo = host_cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&step::capture("cargo metadata", &mut cargo)?)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let Some((from, allowed)) = room(Path::new(manifest)) else {
            wrong.push(format!("{name} ({manifest}) lies where no rule is for"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let path = dependency["path"].as_str().map(Path::new);
            if let Some((to, _)) = path.and_then(room)
                && !allowed.contains(&to)
            {
                wrong.push(format!("{name} depends on {} ({from} -> {to})", dependency["name"]));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

/// The room that `path` lies in, and what it may depend on.
fn room(path: &Path) -> Option<(&'static str, &'static [&'static str])> {
    let inside = path.strip_prefix(paths::root()).ok()?;
    ALLOWED.iter().copied().find(|(room, _)| inside.starts_with(room))
}
