//! The kernels that this machine's distribution installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// The kernel that the distribution's `linux-image-amd64` stands for; without that package, the
/// newest. So a kernel that was installed beside it, for a trial, does not take its place.
///
/// # Errors
/// When there is no kernel at all.
pub fn usual() -> Result<String, KernelError> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Depends}", "linux-image-amd64"])
        .stderr(Stdio::null())
        .output();
    let depends = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = depends.ok().and_then(|depends| {
        let first = depends.split([' ', ',']).next()?;
        first.strip_prefix("linux-image-").map(str::to_owned)
    });
    match version.filter(|version| image(version).is_ok()) {
        Some(version) => Ok(version),
        None => newest(),
    }
}

/// The newest installed version that has its modules as well.
fn newest() -> Result<String, KernelError> {
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
