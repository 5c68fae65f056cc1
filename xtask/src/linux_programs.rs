//! Builds the Linux programs, static, so that they run in any guest.

use crate::build;
use crate::toolchain::host_cargo;
use ant_vm::paths;
use anyhow::Result;
use std::process::Command;

/// What has a program for Linux; built at once, so that what several need is built once.
const PACKAGES: &[&str] = &["ant-agent", "antd", "antctl", "ant-bench"];

/// Builds the Linux programs and puts them under `target/ant/linux`.
pub fn build() -> Result<()> {
    let mut cargo = cargo();
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    build::install("Linux programs", &mut cargo, &paths::linux_programs(), &["--strip-debug"])
}

/// A cargo that builds for Linux, as `./ant` built xtask, and says which programs it made.
pub fn cargo() -> Command {
    let mut cargo = host_cargo();
    cargo
        .args(["--config", "linux/programs.toml", "build", "--profile", "linux"])
        .arg("--message-format=json-render-diagnostics");
    cargo
}
