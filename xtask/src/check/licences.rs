//! Every part says under which licence it stands, and the texts are there.

use super::nothing_is_wrong;
use crate::module;
use ant_vm::paths;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// The texts, each with words that only it has.
const TEXTS: &[(&str, &str)] = &[
    ("LICENSE-MIT", "Permission is hereby granted, free of charge"),
    ("LICENSE-APACHE", "Version 2.0, January 2004"),
    ("LICENSE-GPL-2.0", "Version 2, June 1991"),
];

/// Fails with everything that lacks its licence.
pub fn check() -> Result<()> {
    let root = paths::root();
    let mut wrong = Vec::new();
    for (name, words) in TEXTS {
        if !fs::read_to_string(root.join(name)).unwrap_or_default().contains(words) {
            wrong.push(format!("{name} is missing or not the text"));
        }
    }
    for entry in fs::read_dir(root.join("linux/module"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if module::is_source(&name) && !has_spdx(&entry.path()) {
            wrong
                .push(format!("linux/module/{name}: no SPDX-License-Identifier in its first line"));
        }
    }
    for manifest in manifests(&root)? {
        let text = fs::read_to_string(root.join(&manifest))?;
        if text.contains("[package]") && !text.contains("license") {
            wrong.push(format!("{manifest}: no license"));
        }
    }
    nothing_is_wrong(&wrong)
}

fn has_spdx(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    first.contains("SPDX-License-Identifier:") && first.contains("GPL-2.0-only")
}

/// The workspace's manifests, as the root names them.
fn manifests(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join("Cargo.toml"))?;
    let members = text.split("members = [").nth(1).unwrap_or_default();
    let members = members.split(']').next().unwrap_or_default();
    Ok(members.split('"').skip(1).step_by(2).map(|dir| format!("{dir}/Cargo.toml")).collect())
}
