//! Where things lie in the source tree and under `target/ant`.

use std::path::{Path, PathBuf};

/// The root of the source tree.
pub fn root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_path_buf()
}

/// Everything that `./ant` makes: `target/ant`.
pub fn out() -> PathBuf {
    root().join("target/ant")
}

/// Logs of build steps and of guests.
pub fn logs() -> PathBuf {
    out().join("log")
}

/// Static programs for Linux: `antd`, `antctl`, `ant-bench`, the guest agent.
pub fn linux_programs() -> PathBuf {
    out().join("linux")
}

/// What runs on AnT: `ant-kernel`, `ant-init`, `apps/` and `servers/`.
pub fn bare_programs() -> PathBuf {
    out().join("bare")
}

/// What servers AnT has.
pub fn manifest() -> PathBuf {
    root().join("user/servers/manifest.toml")
}

/// What only tests run: `ant-kernel` with fault injection, and `programs/`.
pub fn bare_tests() -> PathBuf {
    bare_programs().join("tests")
}

/// `ant.ko` for the kernel `version`.
pub fn module(version: &str) -> PathBuf {
    out().join("module").join(version).join("ant.ko")
}
