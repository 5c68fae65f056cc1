//! A kernel that was asked for by a name: the installed version, or the packages to install, or what there is
//! instead.

use crate::apt::Apt;
use ant_vm::kernels;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// True if a module for `version` can be built and `version` be booted.
pub fn is_complete(version: &str) -> bool {
    kernels::image(version).is_ok()
        && Path::new("/lib/modules").join(version).join("build").exists()
}

/// The installed version that `name` stands for. One that is installed is preferred to a newer one: a series
/// stays the same version until its next is installed.
pub fn installed(name: &str) -> Option<String> {
    kernels::named(name, &all_installed()).map(str::to_owned)
}

/// The packages with the kernel that `name` stands for, by the lists that apt has.
pub fn packages(apt: &Apt, name: &str) -> Result<Vec<String>> {
    let there = apt.kernels();
    let Some(version) = kernels::named(name, &there) else {
        bail!(not_found(name, &[all_installed(), there].concat()));
    };
    Ok(["image", "headers"].map(|part| format!("linux-{part}-{version}")).into())
}

/// What is said where there is no kernel `name`, but these `versions`.
pub fn not_found(name: &str, versions: &[String]) -> String {
    let mut all_series = BTreeMap::<String, Vec<&str>>::new();
    for version in versions {
        let series = kernels::series(version).unwrap_or_else(|| version.clone());
        all_series.entry(series).or_default().push(version);
    }
    let mut text = format!("there is no kernel {name} with its headers");
    if !all_series.is_empty() {
        text += "; name one of these, or their series, which is the newest of them:";
    }
    for (series, mut versions) in all_series {
        versions.sort_by_key(|version| kernels::numbers(version));
        versions.dedup();
        text += &format!("\n  {series}: {}", versions.join(" "));
    }
    text
}

fn all_installed() -> Vec<String> {
    let versions = kernels::installed().into_iter();
    versions.filter(|version| is_complete(version)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_instead_is_said() {
        let versions =
            ["6.12.95+deb12-amd64", "6.12.117+deb12-amd64", "6.12.95+deb12-amd64", "6.1.0-5-amd64"];
        let text = not_found("6.13", &versions.map(str::to_owned));
        assert_eq!(
            text,
            "there is no kernel 6.13 with its headers; \
             name one of these, or their series, which is the newest of them:\n  \
             6.1: 6.1.0-5-amd64\n  6.12: 6.12.95+deb12-amd64 6.12.117+deb12-amd64"
        );
        assert_eq!(not_found("6.13", &[]), "there is no kernel 6.13 with its headers");
    }
}
