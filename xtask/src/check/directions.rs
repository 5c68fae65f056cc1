//! Which room may depend on which, as ARCHITECTURE.md has it, checked against `cargo metadata`.

use super::nothing_is_wrong;
use crate::step;
use crate::toolchain::host_cargo;
use ant_vm::paths;
use anyhow::Result;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A room (a directory of the tree) and the rooms that its packages may depend on. The first
/// that a package lies in counts. What depends on the processor (`kernel/arch`) cannot name what runs
/// on it, and what every CPU runs (`kernel/p`) cannot name what only the m-kernel has.
const ALLOWED: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("logic", &["abi"]),
    ("kernel/arch", &["abi", "logic"]),
    ("kernel/p", &["abi", "logic", "kernel/arch"]),
    ("kernel/m", &["abi", "logic", "kernel/arch", "kernel/p"]),
    ("kernel", &["kernel/m", "kernel/p"]),
    ("user", &["abi", "logic", "user"]),
    ("linux/protocol", &["abi"]),
    ("linux/ant-dev", &["abi", "logic"]),
    ("linux/ant-loopback", &["abi", "logic", "linux/ant-dev"]),
    ("linux/antd", &["abi", "logic", "linux/protocol", "linux/ant-dev", "linux/ant-loopback"]),
    ("linux/antctl", &["abi", "linux/protocol"]),
    ("bench", &["linux/protocol"]),
    ("xtask", &["vm"]),
    ("tests", &["vm", "abi"]),
    ("vm", &["vm"]),
];

/// Rooms that only tests may depend on.
const FOR_TESTS: &[&str] = &["linux/ant-loopback"];

/// What `cargo metadata` says.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
    /// `dev`, `build`, or `None` for a normal dependency.
    kind: Option<String>,
}

/// Fails with every dependency that goes the wrong way.
pub fn check() -> Result<()> {
    let mut cargo = host_cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&step::capture("cargo metadata", &mut cargo)?)?;
    let mut wrong = Vec::new();
    for Package { name, manifest_path, dependencies } in metadata.packages {
        let Some((from, allowed)) = room(&manifest_path) else {
            wrong.push(format!("{name} ({}) lies where no rule is for", manifest_path.display()));
            continue;
        };
        for dependency in dependencies {
            let Some((to, _)) = dependency.path.as_deref().and_then(room) else { continue };
            let for_tests = dependency.kind.as_deref() == Some("dev");
            if !allowed.contains(&to) || FOR_TESTS.contains(&to) && !for_tests {
                wrong.push(format!("{name} depends on {} ({from} -> {to})", dependency.name));
            }
        }
    }
    nothing_is_wrong(&wrong)
}

/// The room that `path` lies in, and what it may depend on.
fn room(path: &Path) -> Option<(&'static str, &'static [&'static str])> {
    let inside = path.strip_prefix(paths::root()).ok()?;
    ALLOWED.iter().copied().find(|(room, _)| inside.starts_with(room))
}
