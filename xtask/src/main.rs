//! The one door: set up, build, run, test.
//!
//! `./ant` starts it. Each command has a module of its own; what boots a guest is in `ant-vm`.
//! xtask links no crate of the product: it runs what was built.

mod apt;
mod bare;
mod bench;
mod build;
mod check;
mod ci;
mod demo;
mod r#gen;
mod linux_programs;
mod module;
mod prepare;
mod setup;
mod step;
mod tally;
mod test;
mod toolchain;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tally::Tally;

/// AnT/Linux: set up, build, run and test.
#[derive(Parser)]
#[command(name = "ant", bin_name = "./ant", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show AnT at work: install, build, boot a stock Linux in QEMU, run programs on AnT
    Demo,
    /// Install what is missing (as root or by sudo); quick when nothing is
    Setup(setup::SetupArgs),
    /// Build the module, AnT, its programs and the Linux programs, into target/ant
    Build(build::BuildArgs),
    /// Boot the distribution's kernel in QEMU with everything installed, and run CMD or a shell
    Vm(vm::VmArgs),
    /// Run the tests, on the host and in QEMU; closes with `N passed, N failed`
    Test(test::TestArgs),
    /// Measure one delegated call in a guest
    Bench(bench::BenchArgs),
    /// Check all that needs no run: formatting, lints, lines, names, words, directions, licences
    Check,
    /// Write the generated files anew
    Gen,
    /// Checks and all tests: what CI runs
    Ci,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Build(args) => build::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Vm(args) => vm::run(&args),
        Command::Test(args) => test::run(&args).map(Tally::close),
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args),
        Command::Check => check::run().map(Tally::close),
        Command::Gen => r#gen::run().map(|()| ExitCode::SUCCESS),
        Command::Ci => ci::run().map(Tally::close),
    };
    result.unwrap_or_else(|error| {
        eprintln!("ant: {error:#}");
        ExitCode::FAILURE
    })
}
