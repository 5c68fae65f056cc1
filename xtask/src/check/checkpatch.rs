//! How the module is written, by the kernel's own tool.
//!
//! Debian's headers come without it: it is taken out of the package of the kernel's sources, once.

use crate::{module, step};
use ant_vm::{kernels, paths};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The module compiles for several kernels (compat.h), and the tool takes `LINUX_VERSION_CODE` for
/// a constant.
const IGNORED: &str = "--ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON";

/// Fetches the package `$1` into the working directory, and out of it the tool with what it reads.
const FETCH: &str = r#"
    apt-get download -q "$1"
    dpkg-deb --fsys-tarfile "$1"_*.deb | tar -xO "./usr/src/$1.tar.xz" |
        tar -xJ --strip-components=2 "$1/scripts/checkpatch.pl" \
            "$1/scripts/spelling.txt" "$1/scripts/const_structs.checkpatch"
    rm "$1"_*.deb
"#;

/// Fails with everything that the tool does not like.
pub fn check() -> Result<()> {
    let mut command = Command::new("perl");
    command.arg(tool()?).args([
        "--no-tree",
        "--strict",
        "--terse",
        "--show-types",
        IGNORED,
        "--file",
    ]);
    for entry in fs::read_dir(paths::root().join("linux/module"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if module::is_source(&name) && name.contains('.') {
            command.arg(entry.path());
        }
    }
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

/// The tool, of the kernel that the module is built for.
fn tool() -> Result<PathBuf> {
    let kernel = kernels::usual()?;
    let release: Vec<&str> = kernel.split('.').take(2).collect();
    let package = format!("linux-source-{}", release.join("."));
    let target = paths::root().join("target");
    let dir = target.join(&package);
    if !dir.exists() {
        let unfinished = target.join(format!("{package}.new"));
        fs::remove_dir_all(&unfinished).ok();
        fs::create_dir_all(&unfinished)?;
        let mut fetch = Command::new("sh");
        fetch.args(["-ec", FETCH, "sh", &package]).current_dir(&unfinished);
        step::run("fetching checkpatch", &mut fetch)
            .with_context(|| format!("no {package}, which has checkpatch: try `apt-get update`"))?;
        fs::rename(&unfinished, &dir)?;
    }
    Ok(dir.join("checkpatch.pl"))
}
