//! The texts of the tree that people write, for the checks that read them.
//!
//! Found by walking, not by asking git: a file counts before it is added.

use ant_vm::paths;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Directories that hold nothing that people write.
const SKIPPED: &[&str] = &[".git", "target"];
/// How the names of files end that the module's build makes.
const MADE: &str = ".mod.c";

/// One file.
pub struct Source {
    /// Its path from the root of the tree.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// All files with names that end in one of `endings`, in the order of their paths.
pub fn all(endings: &[&str]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(&paths::root(), endings, &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn walk(dir: &Path, endings: &[&str], found: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(&path, endings, found)?;
        }
        let is_meant = endings.iter().any(|ending| name.ends_with(ending));
        if kind.is_file() && is_meant && !name.ends_with(MADE) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(paths::root())?.display().to_string();
            found.push(Source { path, text });
        }
    }
    Ok(())
}
