//! Which compiler builds what, and a cargo free of the environment that xtask itself runs in.
//!
//! The bare-metal programs need a `core` for `x86_64-unknown-none`: the prebuilt one where it is
//! installed (`rustup target add x86_64-unknown-none`), else one built from the compiler's own
//! sources (Debian's `rust-web-src`, or rustup's `rust-src`). The host's `core` will not do: it
//! uses SSE registers and the red zone.

use anyhow::{Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of everything that runs on AnT.
pub const BARE_TARGET: &str = "x86_64-unknown-none";

/// How to build for [`BARE_TARGET`] on this machine.
#[derive(Clone, Debug)]
pub enum Bare {
    /// The default toolchain holds the target's `core`.
    Prebuilt,
    /// Build `core` from the sources that belong to this compiler.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// The cargo of the same release.
        cargo: PathBuf,
    },
}

/// The cargo that runs xtask, for host programs.
pub fn host_cargo() -> Command {
    clean(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A cargo that builds for [`BARE_TARGET`]: `subcommand` with the target's arguments.
pub fn bare_cargo(bare: &Bare, subcommand: &str) -> Command {
    let mut command = match bare {
        Bare::Prebuilt => host_cargo(),
        Bare::FromSource { rustc, cargo } => {
            // Cargo looks for clippy among rustup's programs first: that of another compiler.
            let beside = cargo.with_file_name(format!("cargo-{subcommand}"));
            let mut command = clean(if beside.exists() { &beside } else { cargo });
            command.env_remove("RUSTUP_TOOLCHAIN");
            command.env("CARGO", cargo).env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            command
        }
    };
    command.arg(subcommand).args(["--target", BARE_TARGET]);
    if let Bare::FromSource { .. } = bare {
        command.args(["-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"]);
    }
    command
}

/// Finds a way to build for [`BARE_TARGET`].
///
/// # Errors
/// When no compiler on this machine can; the message says what to install.
pub fn find_bare() -> Result<Bare> {
    if holds_core(Path::new("rustc")) {
        return Ok(Bare::Prebuilt);
    }
    for (rustc, cargo) in [("rustc", "cargo"), ("/usr/bin/rustc", "/usr/bin/cargo")] {
        if has_sources(Path::new(rustc)) && Path::new("/usr/bin").join(cargo).exists() {
            return Ok(Bare::FromSource { rustc: rustc.into(), cargo: cargo.into() });
        }
    }
    bail!(
        "no Rust compiler for {BARE_TARGET}: run `./ant setup`, or `rustup target add {BARE_TARGET}`"
    )
}

fn holds_core(rustc: &Path) -> bool {
    let Some(dir) = print(rustc, &["--print", "target-libdir", "--target", BARE_TARGET]) else {
        return false;
    };
    std::fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn has_sources(rustc: &Path) -> bool {
    print(rustc, &["--print", "sysroot"]).is_some_and(|sysroot| {
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
    })
}

fn print(rustc: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(rustc).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// `program` without what an outer cargo put into the environment for xtask's own build.
fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if belongs_to_outer_build(&name) {
            command.env_remove(name);
        }
    }
    command.current_dir(ant_vm::paths::root());
    command
}

fn belongs_to_outer_build(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let exact = ["CARGO", "RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "LD_LIBRARY_PATH"];
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    exact.contains(&name.as_ref()) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}
