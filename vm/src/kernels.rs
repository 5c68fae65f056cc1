//! The kernels that this machine's distribution installed, and how they are named.
//!
//! A *version* is what Linux says of itself (`6.12.117+deb12-rt-amd64`); a *series* is all versions of one
//! release and flavour (`6.12-rt`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the versions of Debian's kernels end.
pub const ARCHITECTURE: &str = "-amd64";

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

/// The newest installed version.
fn newest() -> Result<String, KernelError> {
    installed().pop().ok_or(KernelError::None)
}

/// The installed versions that have their modules as well, the newest last.
pub fn installed() -> Vec<String> {
    let mut versions: Vec<String> = std::fs::read_dir("/boot")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
        .filter(|version| Path::new("/lib/modules").join(version).is_dir())
        .collect();
    versions.sort_by_key(|version| numbers(version));
    versions
}

/// The one of `versions` that `name` stands for: a version, its [`ARCHITECTURE`] left out or not, or the
/// newest of a series.
pub fn named<'a>(name: &str, versions: &'a [String]) -> Option<&'a str> {
    let is_version =
        |version: &&String| *version == name || version.strip_suffix(ARCHITECTURE) == Some(name);
    let is_of_series = |version: &&String| series(version).is_some_and(|series| series == name);
    let of_series = || versions.iter().filter(is_of_series).max_by_key(|version| numbers(version));
    versions.iter().find(is_version).or_else(of_series).map(String::as_str)
}

/// `6.12-rt` for `6.12.117+deb12-rt-amd64`; `None` for what is no version of a distribution's kernel, as
/// `6.12-rt-amd64`, the name that Debian gives to the newest.
pub fn series(version: &str) -> Option<String> {
    let version = version.strip_suffix(ARCHITECTURE)?;
    let mut parts = version.splitn(3, '.');
    let release = [parts.next()?, parts.next()?];
    if release.iter().any(|part| part.parse::<u32>().is_err()) {
        return None;
    }
    let release = release.join(".");
    // `0-56-rt` or `117+deb12-rt`: a flavour is a word, and the rest are numbers.
    Some(match parts.next()?.rsplit_once('-') {
        Some((_, word)) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("{release}-{word}")
        }
        _ => release,
    })
}

/// `6.1.0-56-amd64` as numbers, by which 9 comes before 10.
pub fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_a_series() {
        for (version, of) in [
            ("6.1.0-56-amd64", "6.1"),
            ("6.1.0-56-rt-amd64", "6.1-rt"),
            ("6.12.117+deb12-amd64", "6.12"),
            ("6.12.117+deb12-rt-amd64", "6.12-rt"),
            ("6.12.90+deb12.1-cloud-amd64", "6.12-cloud"),
        ] {
            assert_eq!(series(version).as_deref(), Some(of), "{version}");
        }
        for none in ["amd64", "6.12-amd64", "6.12-rt-amd64", "rt-amd64", "6.12.117+deb12-amd64-dbg"]
        {
            assert_eq!(series(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_is_a_version_or_a_series() {
        let versions = [
            "6.1.0-9-amd64",
            "6.1.0-56-amd64",
            "6.12.117+deb12-rt-amd64",
            "6.12.95+deb12-rt-amd64",
            "6.12.95+deb12-amd64",
            "6.18.0-mine",
        ]
        .map(str::to_owned);
        for (name, version) in [
            ("6.1.0-9-amd64", "6.1.0-9-amd64"),
            ("6.1.0-9", "6.1.0-9-amd64"),
            ("6.1", "6.1.0-56-amd64"),
            ("6.12", "6.12.95+deb12-amd64"),
            ("6.12-rt", "6.12.117+deb12-rt-amd64"),
            ("6.18.0-mine", "6.18.0-mine"),
        ] {
            assert_eq!(named(name, &versions), Some(version), "{name}");
        }
        for none in ["6", "6.1-rt", "6.13", "rt", "", "6.12.117+deb12"] {
            assert_eq!(named(none, &versions), None, "{none}");
        }
    }
}
