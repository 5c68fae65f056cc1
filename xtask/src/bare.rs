//! Builds what runs on AnT: `ant-init` and the apps, then the kernel, which embeds `ant-init`.

use crate::toolchain::{self, Bare};
use crate::{build, step};
use ant_vm::paths;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags of every bare-metal program.
///
/// One code model for both sides of the address space, so that `core` is built once: `kernel`
/// asks for addresses that sign-extend from 32 bits, which holds for the kernel's (top 2 GiB)
/// and for a program's (linked below 2 GiB).
const RUSTFLAGS: &str = "-Clinker=ld -Clinker-flavor=ld -Crelocation-model=static \
     -Ccode-model=kernel -Cforce-frame-pointers=yes -Clink-arg=-zmax-page-size=4096";

/// Builds `ant-init` and the apps into `target/ant/bare`.
pub fn build_programs() -> Result<()> {
    let out = paths::bare_programs();
    let mut cargo = cargo(&toolchain::find_bare()?);
    cargo.args(["-p", "ant-init", "-p", "ant-apps"]);
    let messages = step::run("AnT programs", &mut cargo)?;
    let programs = build::executables(&messages);
    remove_others(&out.join("apps"), &programs);
    for program in programs {
        let is_init = program.file_name().is_some_and(|name| name == "ant-init");
        let dir = if is_init { out.clone() } else { out.join("apps") };
        build::install_stripped(&program, &dir, &["--strip-all"])?;
    }
    Ok(())
}

/// Removes what was built once from sources that are gone.
fn remove_others(dir: &Path, programs: &[PathBuf]) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !programs.iter().any(|program| program.file_name() == Some(&entry.file_name())) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

/// Builds the kernel into `target/ant/bare`; it embeds the `ant-init` that lies there.
pub fn build_kernel() -> Result<()> {
    let out = paths::bare_programs();
    let mut cargo = cargo(&toolchain::find_bare()?);
    cargo.args(["-p", "ant-kernel"]);
    let init = out.join("ant-init");
    // Without an init yet, the kernel can still be compiled; it has nothing to start.
    cargo.env("ANT_INIT_ELF", if init.exists() { &init } else { Path::new("/dev/null") });
    let messages = step::run("AnT kernel", &mut cargo)?;
    for program in build::executables(&messages) {
        build::install_stripped(&program, &out, &["--strip-debug"])?;
    }
    Ok(())
}

/// A cargo with the flags and the target directory of the bare-metal build.
fn cargo(bare: &Bare) -> Command {
    let mut cargo = toolchain::bare_cargo(bare, "build");
    configure(&mut cargo);
    cargo.args(["--release", "--message-format=json-render-diagnostics"]);
    cargo
}

/// Gives `cargo` the flags and the target directory that every bare-metal invocation shares.
pub fn configure(cargo: &mut Command) {
    cargo
        .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS", RUSTFLAGS)
        .arg("--target-dir")
        .arg(paths::root().join("target/bare"));
}
