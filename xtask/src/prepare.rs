//! Everything that a guest needs, from whatever the machine has: installed and built side by side.
//!
//! apt keeps one CPU half busy for minutes; what needs none of its packages, or only the first
//! ones, is built meanwhile. That makes a first run short; otherwise there is little to do.

use crate::module::{self, Warnings};
use crate::{bare, build, linux_programs, setup};
use anyhow::Result;
use std::sync::mpsc::{self, Receiver};
use std::{panic, thread};

/// Installs and builds what a guest needs that runs `kernel` (a version or a series; default: the
/// distribution's), and returns that kernel's version.
pub fn guest(kernel: Option<&str>) -> Result<String> {
    let _alone = build::lock()?;
    let (has_tools, tools) = mpsc::channel();
    thread::scope(|scope| {
        let programs = scope.spawn(move || programs(&tools));
        let module = install_and_build_module(kernel, move || {
            has_tools.send(()).ok();
        });
        let programs = programs.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        let version = module?;
        programs.map(|()| version)
    })
}

fn install_and_build_module(kernel: Option<&str>, has_tools: impl FnOnce()) -> Result<String> {
    let version = setup::ensure_tools_first(kernel, has_tools)?;
    module::build(&version, Warnings::Default)?;
    Ok(version)
}

/// Builds the programs for Linux with what xtask itself was built with, those for AnT when there
/// are `tools`.
fn programs(tools: &Receiver<()>) -> Result<()> {
    linux_programs::build()?;
    if tools.recv().is_err() {
        // Setting up has failed, and says why.
        return Ok(());
    }
    bare::build_programs()?;
    bare::build_kernel()
}
