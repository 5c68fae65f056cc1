//! `./ant vm`: a guest with everything installed, for one command or for a person.

use crate::{prepare, setup};
use ant_vm::guest::{Guest, OnTrouble};
use ant_vm::machine::{Apic, Machine, Timing};
use ant_vm::{Start, TermSize, terminal};
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `./ant vm`.
#[derive(clap::Args)]
pub struct VmArgs {
    /// CPUs (default: 4; with --icount: 2)
    #[arg(long, value_name = "N")]
    smp: Option<u32>,
    /// Memory
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    mem: String,
    /// A directory that appears under /mnt
    #[arg(long, value_name = "DIR")]
    share: Option<PathBuf>,
    /// What the guest's second serial port (AnT's COM2) sends goes to this file
    #[arg(long, value_name = "FILE")]
    com2: Option<PathBuf>,
    /// What is written to this socket, which is made, the second serial port receives
    #[arg(long, value_name = "SOCKET", requires = "com2")]
    com2_input: Option<PathBuf>,
    /// Boot this kernel of the distribution: its version, or `6.12-rt` for the newest of those (default:
    /// what linux-image-amd64 stands for)
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Deterministic: the clock counts instructions, every run gives the same figures
    #[arg(long)]
    icount: bool,
    /// A machine with local APICs in x2APIC mode
    #[arg(long)]
    x2apic: bool,
    /// Install what was built last, build nothing
    #[arg(long)]
    no_build: bool,
    /// Run this as root, with its own output and status; a single word with blanks in it goes to
    /// `sh -c`. Without: an interactive shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Boots the guest and runs the command or the shell; its status is ours.
pub fn run(args: &VmArgs) -> Result<ExitCode> {
    let version = if args.no_build {
        setup::ensure(args.kernel.as_deref())?
    } else {
        prepare::guest(args.kernel.as_deref()).context(
            "not all is installed and built (--no-build boots with what was built before)",
        )?
    };
    let machine = machine(args, &version)?;
    let shell = args.command.is_empty();
    let start = if shell { interactive()? } else { command(&args.command) };

    let (guest, session) = if args.icount && !shell {
        Guest::boot_into(&machine, &start, OnTrouble::GoOn)?
    } else {
        if shell {
            eprintln!("booting; `exit` or Ctrl-D ends the shell and the guest");
        }
        let guest = Guest::boot(&machine, OnTrouble::GoOn)?;
        let session = guest.spawn(&start);
        (guest, session)
    };
    let status = {
        let _raw = if shell { Some(terminal::Raw::enter()?) } else { None };
        terminal::connect(&session)
    };
    match status {
        Some(status) => Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))),
        None => Err(guest.why_gone().into()),
    }
}

fn machine(args: &VmArgs, version: &str) -> Result<Machine> {
    let mut machine = Machine::new(version);
    machine.smp = args.smp.unwrap_or(if args.icount { 2 } else { 4 });
    machine.mem.clone_from(&args.mem);
    if let Some(dir) = &args.share {
        let dir = dir.canonicalize().with_context(|| format!("--share {}", dir.display()))?;
        if !dir.is_dir() {
            bail!("--share {}: not a directory", dir.display());
        }
        machine.share = Some(dir);
    }
    if let Some(file) = &args.com2 {
        machine.com2 = Some(std::path::absolute(file)?);
    }
    if let Some(socket) = &args.com2_input {
        machine.com2_input = Some(std::path::absolute(socket)?);
    }
    if args.icount {
        machine.timing = Timing::Icount;
    }
    if args.x2apic {
        machine.apic = Apic::X2apic;
    }
    Ok(machine)
}

fn interactive() -> Result<Start> {
    if !std::io::stdin().is_terminal() {
        bail!("a shell needs a terminal; `./ant vm -- CMD` does not");
    }
    Ok(terminal::shell(terminal::size().unwrap_or(TermSize { rows: 24, columns: 80 })))
}

fn command(words: &[String]) -> Start {
    match words {
        [line] if line.contains(char::is_whitespace) => ant_vm::guest::shell("root", line),
        _ => Start { argv: words.to_vec(), user: "root".to_owned(), ..Start::default() },
    }
}
