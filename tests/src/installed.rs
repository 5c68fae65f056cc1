//! What only the guest of tests has: programs that misbehave, a kernel that can be made to fail, and a
//! manifest with more servers.
//! Everything else in it is what a machine has on which AnT was installed.

use ant_vm::image::ExtraFile;
use ant_vm::paths;
use std::fs;
use std::io;
use std::path::Path;

/// Where it lies in the guest; `antctl run` finds the programs, for the guest's PATH has this.
pub const DIR: &str = "/usr/lib/ant/tests";
/// The kernel with fault injection.
pub const KERNEL: &str = "/usr/lib/ant/tests/ant-kernel";

/// Where the guest has `tests/manifest.toml`.
pub const MANIFEST: &str = "/usr/lib/ant/tests/manifest.toml";

/// All of it, as `./ant test` built it; a test that needs what was not built says so.
pub fn files() -> io::Result<Vec<ExtraFile>> {
    let built = paths::bare_tests();
    let content = include_bytes!("../manifest.toml").to_vec();
    let mut files = vec![ExtraFile { path: MANIFEST.into(), mode: 0o644, content }];
    if let Ok(content) = fs::read(built.join("ant-kernel")) {
        files.push(ExtraFile { path: KERNEL.into(), mode: 0o644, content });
    }
    if let Ok(programs) = fs::read_dir(built.join("programs")) {
        for program in programs {
            files.push(program_file(&program?.path())?);
        }
    }
    // The image's name says what it holds: in one order.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn program_file(path: &Path) -> io::Result<ExtraFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(ExtraFile { path: format!("{DIR}/{name}"), mode: 0o755, content: fs::read(path)? })
}
