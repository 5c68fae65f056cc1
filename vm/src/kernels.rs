//! The kernels that this machine's distribution installed.

use std::path::{Path, PathBuf};

/// No kernel to boot.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Nothing in /boot.
    #[error("no kernel in /boot: run `./ant setup`")]
    None,
    /// Not this one.
    #[error("no kernel {0} in /boot: run `./ant setup --kernel {0}`")]
    Missing(String),
}

/// The kernel image of `version`.
pub fn image(version: &str) -> Result<PathBuf, KernelError> {
    let path = PathBuf::from(format!("/boot/vmlinuz-{version}"));
    if path.exists() { Ok(path) } else { Err(KernelError::Missing(version.to_owned())) }
}

/// The newest installed version whose modules are there as well.
pub fn newest() -> Result<String, KernelError> {
    let mut versions: Vec<String> = std::fs::read_dir("/boot")
        .map_err(|_| KernelError::None)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
        .filter(|version| Path::new("/lib/modules").join(version).is_dir())
        .collect();
    versions.sort_by_key(|version| numbers(version));
    versions.pop().ok_or(KernelError::None)
}

/// `6.1.0-56-amd64` as numbers, so that 9 sorts before 10.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}
