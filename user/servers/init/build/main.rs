//! Turns `user/servers/manifest.toml` into a table, and finds the programs that it names.

mod manifest;
#[path = "../../../rt/program.rs"]
mod program;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::Manifest;

/// Where the servers' programs lie, by the names of their packages; `/dev/null` for a build that is
/// not to run.
const PROGRAMS: &str = "ANT_SERVERS_DIR";

fn main() {
    program::main();
    let path = Path::new(&variable("CARGO_MANIFEST_DIR")).join(manifest_path());
    println!("cargo:rerun-if-changed={}", path.display());
    println!("cargo:rerun-if-env-changed={PROGRAMS}");
    let table = table(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::write(Path::new(&variable("OUT_DIR")).join("manifest.rs"), table)
        .expect("OUT_DIR is there");
}

/// From this package.
fn manifest_path() -> &'static str {
    if cfg!(feature = "tests") { "../../../tests/manifest.toml" } else { "../manifest.toml" }
}

fn table(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let manifest = Manifest::parse(&text)?;
    manifest.table(program_path)
}

/// The file of a server's program.
fn program_path(package: &str) -> Result<PathBuf, String> {
    let dir = env::var(PROGRAMS).map_err(|_| format!("{PROGRAMS}: build with `./ant build`"))?;
    if dir == "/dev/null" {
        return Ok(dir.into());
    }
    let path = Path::new(&dir).join(package);
    println!("cargo:rerun-if-changed={}", path.display());
    let missing = || format!("{} is not built: build with `./ant build`", path.display());
    if path.exists() { Ok(path) } else { Err(missing()) }
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it")
}
