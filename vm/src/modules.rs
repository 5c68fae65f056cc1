//! The modules of the distribution's kernel that the guest gets, with those they depend on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the guest's devices and the shared directory need.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_console",
    "virtio_rng",
    "virtio_blk",
    "virtio_net",
    "9p",
    "9pnet_virtio",
];

/// One module: its path under /lib/modules/VERSION, the modules it depends on, its content.
pub struct Module {
    /// Path under /lib/modules/VERSION, without a suffix of compression.
    pub path: String,
    /// Paths of all the modules that must be loaded before.
    pub needs: Vec<String>,
    /// The object, not compressed.
    pub content: Vec<u8>,
}

/// The modules for the kernel `version`.
///
/// # Errors
/// When the kernel's own files cannot be read; a module that is built in is no error.
pub fn collect(version: &str) -> io::Result<Vec<Module>> {
    let dir = Path::new("/lib/modules").join(version);
    let dependencies = fs::read_to_string(dir.join("modules.dep"))?;
    let lines: Vec<(&str, Vec<&str>)> = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needs)| (path, needs.split_whitespace().collect()))
        .collect();

    let mut paths = BTreeSet::new();
    for (path, needs) in &lines {
        if WANTED.contains(&name(path)) {
            paths.insert(*path);
            paths.extend(needs);
        }
    }
    let chosen = lines.iter().filter(|(path, _)| paths.contains(path));
    chosen
        .map(|(path, needs)| {
            Ok(Module {
                path: plain(path).to_owned(),
                needs: needs.iter().map(|path| plain(path).to_owned()).collect(),
                content: read(&dir.join(path))?,
            })
        })
        .collect()
}

/// `modules.dep` for `modules` and for `extra`, which depend on nothing.
pub fn dependencies(modules: &[Module], extra: &[String]) -> String {
    let mut text = String::new();
    for module in modules {
        text += &format!("{}: {}\n", module.path, module.needs.join(" "));
    }
    for path in extra {
        text += &format!("{path}:\n");
    }
    text
}

fn name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file)
}

fn plain(path: &str) -> &str {
    [".xz", ".zst", ".gz"].iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path)
}

fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let tool = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path),
    };
    let output = Command::new(tool).arg("-dc").arg(path).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{tool} -dc {}: {}", path.display(), output.status)));
    }
    Ok(output.stdout)
}
