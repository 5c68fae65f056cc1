//! `./ant bench`: what delegated calls and AnT's own messages cost, measured in a guest.

use crate::prepare;
use ant_vm::guest::{Guest, OnTrouble, shell};
use ant_vm::machine::{Machine, Timing};
use ant_vm::terminal;
use anyhow::Result;
use std::process::ExitCode;

/// What is run in the guest.
const COMMAND: &str = "antctl boot --cpus 1-2 --memory 64M && antctl bench null --cpu 2 && echo &&
    antctl bench ipc --client 2 --server 2 && echo &&
    antctl bench ipc --client 2 --server 1 && echo &&
    antctl bench process --cpu 2 --server name && antctl stop &&
    echo && echo 'The same between two CPUs that poll when they have nothing to do (antctl boot --poll):' &&
    antctl boot --cpus 1-2 --memory 64M --poll && antctl bench ipc --client 2 --server 1 &&
    antctl stop";

/// Arguments of `./ant bench`.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// In instructions, the same in every run, instead of time
    #[arg(long)]
    icount: bool,
}

/// Boots a guest and measures.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    let version = prepare::guest(None)?;
    let mut machine = Machine::new(&version);
    machine.smp = 3;
    if args.icount {
        machine.timing = Timing::Icount;
    }
    let (guest, session) = Guest::boot_into(&machine, &shell("root", COMMAND), OnTrouble::Stop)?;
    match terminal::connect(&session) {
        Some(status) => Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))),
        None => Err(guest.why_gone().into()),
    }
}
