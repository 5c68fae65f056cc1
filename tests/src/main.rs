//! Whole-system tests: stock Linux in QEMU, with everything installed that `./ant build` made.
//!
//! Tests come in groups, one file each in `groups/`; a group has a guest of its own or shares that of the
//! group before. `./ant test --qemu` builds what is needed and runs them; with `--long`, every case of every
//! sweep. `cargo run -p ant-tests -- FILTER` takes what was built last.

mod ant;
mod com2;
mod extent;
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
    /// Only tests with one of these in their name (`group::test`)
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Only the basic tests, that every kernel must pass
    #[arg(long)]
    basic: bool,
    /// Every test, and every case of those that otherwise take a sample
    #[arg(long)]
    long: bool,
    /// Name the tests, run none
    #[arg(long)]
    list: bool,
    /// Boot this kernel of the distribution (default: what linux-image-amd64 stands for)
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
}

impl Args {
    /// Whether the test with this full name is to be run.
    fn chooses(&self, name: &str) -> bool {
        let is_asked_for = || self.filters.iter().any(|filter| name.contains(filter));
        (self.filters.is_empty() || is_asked_for())
            && (!self.basic || groups::BASIC.contains(&name))
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut groups = groups::all();
    groups.iter_mut().for_each(|group| group.keep(|name| args.chooses(name), args.long));
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
    let mut guest = None;
    let mut times = Vec::new();
    for (group, name) in groups.iter().filter_map(|group| Some((group, group.name()?))) {
        let start = Instant::now();
        tally += group.run(&kernel, args.long, &mut guest);
        times.push((name, start.elapsed()));
    }
    report::times(&times);
    report::closing(tally, start.elapsed());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
