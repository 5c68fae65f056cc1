//! Builds the Linux programs, static, so that they run in any guest.

use crate::toolchain::{LINUX_TARGET, host_cargo};
use crate::{build, step};
use ant_vm::paths;
use anyhow::Result;

/// What has a program for Linux; built at once, so that what several need is built once.
const PACKAGES: &[&str] = &["ant-agent", "antd", "antctl"];

/// Builds the Linux programs and puts them under `target/ant/linux`.
pub fn build() -> Result<()> {
    let mut cargo = host_cargo();
    cargo
        .args(["build", "--profile", "linux", "--target", LINUX_TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--target-dir")
        .arg(paths::root().join("target/linux"))
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-Ctarget-feature=+crt-static -Crelocation-model=static",
        );
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let messages = step::run("Linux programs", &mut cargo)?;
    for program in build::executables(&messages) {
        build::install_stripped(&program, &paths::linux_programs(), &["--strip-debug"])?;
    }
    Ok(())
}
