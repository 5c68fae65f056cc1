//! `ant-bench`: what calls, messages and processes of AnT cost, beside what Linux's own ways cost in
//! the same run. `antctl bench` runs it.
//!
//! The unit is the time-stamp counter's cycle; in a guest with a clock that counts instructions, it
//! is the instruction, of all CPUs together. Figures of one run may be compared with each other;
//! figures of a guest under emulation say nothing about hardware.
//!
//! * `null`, `ipc`, `process`: the benchmarks. `futex`, `pipe`, `native`: Linux's side of them.
//! * `samples`: order statistics. `report`: printing. `run`: programs started by `antctl run`.
#![forbid(unsafe_code)]

mod futex;
mod ipc;
mod native;
mod null;
mod pipe;
mod process;
mod report;
mod run;
mod samples;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit status: it did not work.
const FAILED: u8 = 1;

/// Measure what a system call from AnT costs, beside Linux's own ways
#[derive(Debug, Parser)]
#[command(name = "ant-bench", version, max_term_width = 100)]
struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    what: Bench,
}

/// What to measure.
#[derive(Debug, Subcommand)]
enum Bench {
    /// One continued `getpid`, beside a native one and a futex round trip of the same run
    Null(null::NullOptions),
    /// Messages and pages between two processes of AnT, beside Linux's pipe and futex
    Ipc(ipc::IpcOptions),
    /// Making a process of AnT, beside Linux's posix_spawn
    Process(process::ProcessOptions),
}

fn main() -> ExitCode {
    let result = match &Arguments::parse().what {
        Bench::Null(options) => null::run(options),
        Bench::Ipc(options) => ipc::run(options),
        Bench::Process(options) => process::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has closed it: it has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // In one piece: other processes write there, too. If it fails, nothing else can be done.
            let _ = io::stderr().write_all(format!("{}: {error:#}\n", name()).as_bytes());
            ExitCode::from(FAILED)
        }
    }
}

/// The command that was typed: `antctl` if `antctl bench` runs this program.
fn name() -> String {
    let argument = std::env::args().next().unwrap_or_default();
    let file = Path::new(&argument).file_name().unwrap_or_default().to_string_lossy();
    file.split(' ').next().unwrap_or_default().to_owned()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
