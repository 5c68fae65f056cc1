//! Whole-system tests: stock Linux in QEMU, with everything installed that `./ant build` made.
//!
//! Tests come in groups; a group is one boot and one file in `groups/`. `./ant test --qemu` builds
//! what is needed and runs them all; `cargo run -p ant-tests -- FILTER` takes what was built last.

mod ant;
mod com2;
mod group;
mod groups;
mod guest;
mod installed;
mod report;

use clap::Parser;
use report::Tally;
use std::process::ExitCode;
use std::time::Instant;

/// Whole-system tests in QEMU.
#[derive(Parser)]
struct Args {
    /// Only tests whose name (`group::test`) contains this
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Name the tests, run none
    #[arg(long)]
    list: bool,
    /// Boot this kernel of the distribution (default: what linux-image-amd64 stands for)
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut groups = groups::all();
    groups.iter_mut().for_each(|group| group.keep(args.filter.as_deref().unwrap_or_default()));
    if args.list {
        groups.iter().flat_map(|group| group.names()).for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let kernel = match args.kernel.map_or_else(ant_vm::kernels::usual, Ok) {
        Ok(kernel) => kernel,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let mut tally = Tally::default();
    for group in &groups {
        tally += group.run(&kernel);
    }
    report::closing(tally, start.elapsed());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
