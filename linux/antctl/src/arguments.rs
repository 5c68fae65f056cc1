//! The command line.

use std::ffi::OsString;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ant_abi::PAGE_SIZE;
use ant_abi::boot::TableSizes;
use ant_abi::ipc::PRIORITIES;
use ant_protocol::cpu_list::{ParseError, describe_memory, parse_cpu, parse_cpus, parse_memory};
use ant_protocol::{CpuFailure, IMAGE, Injection, MANIFEST, ProcessFailure, Tables};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(test)]
use crate::show;

const EXAMPLES: &str = "\
Examples:
  antctl doctor                                   can this machine do it?
  sudo antctl boot --cpus 1-3 --memory 256M       give CPUs 1 to 3 and 256 MiB to AnT
  antctl run -- wc /etc/services                  run a program there
  antctl run --cpu 2 -- cp a.txt b.txt            the same, on CPU 2
  antctl ps; antctl status; antctl log            look at it
  antctl server list                              AnT's OS servers
  sudo antctl stop                                give everything back to Linux";

const PS_COLUMNS: &str = "\
Columns:
  PID       AnT's number of the process, not Linux's
  CPU       where it runs, by Linux's number
  KIND      program: started by `antctl run`; server: one of AnT's own
  STATE     what it does at the moment:
              created    made, not started          running    has its CPU
              loading    its file is being read     ready      waits for its CPU
              in call    waits for Linux            sleeping   waits for a time to pass
              receiving  waits for a message        calling    waits for a reply to its message
              m-call     waits for the m-kernel     ending     has ended, its pages are still in use
  PRIO      0, the lowest, to 7; see `antctl priority`
  RESTARTS  how often the server was started again, not counting `antctl server restart`
  CALLS     system calls that Linux has executed for it
  MEMORY    of all kinds, with page tables and the pages that are lent to it
  USER      the user that Linux executes its calls as
  PROXY     Linux's number of the process that executes them
  COMMAND   program and arguments, or the server's name

A dash: it has none.";

/// AnT on some of this machine's CPUs, beside Linux.
///
/// AnT is a microkernel that gets CPUs and memory from the running Linux, without virtualisation.
/// Its programs use Linux's system calls, with the rights of the user that runs them.
#[derive(Debug, Parser)]
#[command(name = "antctl", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give CPUs and memory to AnT and start it (root)
    Boot(BootArguments),
    /// Run a program on AnT
    Run(RunArguments),
    /// List AnT's processes
    #[command(after_help = PS_COLUMNS)]
    Ps,
    /// Show the state of AnT: CPUs, memory, calls, proxies
    #[command(after_help = "Exit status: 0 if AnT runs, 3 if it does not, 1 if that is not known.")]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show AnT's kernel log
    ///
    /// The last 10,000 lines are kept, also when AnT has ended.
    Log {
        /// Continue with lines as they are written
        #[arg(short, long)]
        follow: bool,
    },
    /// End a process of AnT
    ///
    /// Of one's own; root can end others', too.
    Kill {
        /// Signal as which the end counts: a name or a number
        #[arg(short, long, default_value = "TERM")]
        signal: String,
        /// Number of the process, as `antctl ps` shows it
        #[arg(value_parser = pid)]
        pid: u32,
    },
    /// Give a process of AnT another priority
    ///
    /// Of one's own, and not above 2, which programs have; root can do it to others', too, and to
    /// servers, and give any.
    Priority {
        /// Number of the process, as `antctl ps` shows it
        #[arg(value_parser = pid)]
        pid: u32,
        /// The priority: 0, the lowest, to 7
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(..=PRIORITIES as i64 - 1))]
        priority: u32,
    },
    /// Move a process of AnT to another CPU
    ///
    /// Of one's own; root can do it to others', too, and to servers.
    Move {
        /// Number of the process, as `antctl ps` shows it
        #[arg(value_parser = pid)]
        pid: u32,
        /// The CPU, by Linux's number
        #[arg(value_parser = parse_cpu)]
        cpu: u32,
    },
    /// List, restart or replace AnT's OS servers
    Server {
        /// What to do
        #[command(subcommand)]
        command: ServerCommand,
    },
    /// Stop AnT and give its CPUs and memory back to Linux (root)
    ///
    /// Works whatever state AnT is in. Programs that run there end.
    Stop,
    /// Check whether this machine can run AnT, and say what to do if not
    #[command(after_help = "Exit status: 0 if AnT can run, 1 if not.")]
    Doctor,
    /// Measure what a system call from AnT costs, beside Linux's own ways
    #[command(disable_help_flag = true)]
    Bench(BenchArguments),
    /// Inject a fault into AnT (root)
    ///
    /// Only if AnT was booted with --allow-inject, with a kernel that has fault injection: tests have
    /// one, the installed kernel does not. Nothing on Linux's side is harmed: a CPU that panics or
    /// hangs is taken back by `antctl stop`.
    #[command(
        hide = true,
        after_help = "\
Examples:
  sudo antctl boot --cpus 1-3 --memory 256M --allow-inject --image target/ant/bare/tests/ant-kernel
  sudo antctl inject panic --cpu 2
  sudo antctl inject end --pid 3 --call 2
  sudo antctl inject fault --next-server"
    )]
    Inject {
        /// How
        #[command(subcommand)]
        how: InjectCommand,
    },
}

/// `antctl server`.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// List the servers: which process serves, how often it was started again, how fast, and why
    ///
    /// DOWN ms is the time that the last restart took: from the end being noticed, or the order to
    /// restart it, until it served.
    List,
    /// End a server and start it again (root)
    ///
    /// Returns when it serves. Its clients are told that it was restarted.
    #[command(after_help = "Exit status: 0 if it serves again, 1 if not.")]
    Restart {
        /// Its name, as `antctl server list` shows it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Put another program in the place of a server, while AnT runs (root)
    ///
    /// If the new one does not begin to serve, the old one goes on. The file is read once, with your
    /// rights; the next boot begins with the server of the manifest again.
    #[command(after_help = "\
Exit status: 0 if the new one serves, 1 if not.

Example:
  sudo antctl server replace serial target/serial")]
    Replace {
        /// The server's name, as `antctl server list` shows it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// The new program: an ELF file, linked for AnT, of at most 1 MiB
        file: PathBuf,
    },
}

/// `antctl boot`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo antctl boot --cpus 1-3 --memory 256M
  sudo antctl boot --cpus 3,1,2 --memory 1G --prefork 4
  sudo antctl boot --cpus 1-7 --memory 1G --processes 1000 --ica 64M

The tables for processes, endpoints and ICA pages take memory of the partition, less than half of it:
3 KiB for each process, and half a KiB more for each CPU. Each process has page tables for the whole
ICA, 2 KiB for each MiB.

antd is started if it does not run. CPU 0 stays Linux's. `antctl stop` gives everything back.")]
pub struct BootArguments {
    /// CPUs for AnT, by Linux's numbers; the first becomes the m-kernel's
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    pub cpus: Cpus,
    /// Memory for AnT, for example 256M or 1G
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: u64,
    /// Room for so many processes at a time, servers included: 32 to 2048
    #[arg(
        long,
        value_name = "N",
        default_value_t = TableSizes::USUAL.processes,
        value_parser = clap::value_parser!(u32).range(PROCESSES)
    )]
    pub processes: u32,
    /// Room for so many endpoints, where processes receive messages; 16 are the servers': 17 to 1024
    #[arg(
        long,
        value_name = "N",
        default_value_t = TableSizes::USUAL.endpoints,
        value_parser = clap::value_parser!(u32).range(ENDPOINTS)
    )]
    pub endpoints: u32,
    /// Size of the ICA, the pages that go with messages: 2M to 512M, in steps of 2M. Each process can
    /// take one of them as its LCA, and all together half of them
    #[arg(long = "ica", value_name = "SIZE", default_value = "16M", value_parser = ica_pages)]
    pub ica_pages: u32,
    /// Kernel image
    #[arg(long, value_name = "FILE", default_value = IMAGE)]
    pub image: PathBuf,
    /// Manifest: which OS servers there are
    #[arg(long, value_name = "FILE", default_value = MANIFEST)]
    pub manifest: PathBuf,
    /// Proxies to keep ready, so that no program waits for a fork
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=128))]
    pub prefork: u32,
    /// Device for AnT, if it is unused on Linux; without it AnT runs, too
    #[arg(long, value_name = "DEVICE", default_value = "com2")]
    pub device: DeviceName,
    /// Idle CPUs poll: messages between them are faster, and they take all the power they can
    #[arg(long)]
    pub poll: bool,
    /// Allow `antctl inject`, if the kernel has fault injection
    #[arg(long, hide = true)]
    pub allow_inject: bool,
}

impl BootArguments {
    /// What AnT is to have room for.
    pub fn tables(&self) -> Tables {
        let Self { processes, endpoints, ica_pages, .. } = *self;
        Tables { processes, endpoints, ica_pages }
    }
}

/// What `--processes` can be.
const PROCESSES: RangeInclusive<i64> =
    TableSizes::LEAST.processes as i64..=TableSizes::MOST.processes as i64;
/// What `--endpoints` can be.
const ENDPOINTS: RangeInclusive<i64> =
    TableSizes::LEAST.endpoints as i64..=TableSizes::MOST.endpoints as i64;

/// A device that AnT can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The second serial port
    Com2,
    /// None
    None,
}

/// `antctl run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The program runs as you, in this directory, with this terminal. A PROGRAM without a slash is looked
for in /usr/lib/ant/apps, then in PATH. Ctrl-C ends it; a second Ctrl-C does not wait for that.

Exit status: the program's; 128 + signal if a fault or a signal ended it; 127 if it was not found;
126 if it cannot be run on AnT; 125 if antctl, antd or AnT failed; 2 if this command line is wrong.

Examples:
  antctl run -- wc /etc/services
  antctl run --cpu 3 -- spin 2
  echo hello | antctl run -- wc")]
pub struct RunArguments {
    /// CPU to run on, by Linux's number; AnT chooses if it is not given
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    pub cpu: Option<u32>,
    /// The program
    #[arg(value_name = "PROGRAM", required = true)]
    pub program: OsString,
    /// Its arguments
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// `antctl bench`: everything after it is for `ant-bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to measure, and how
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// A fault to inject.
#[derive(Debug, Subcommand)]
pub enum InjectCommand {
    /// The kernel on a CPU panics
    Panic(OnCpu),
    /// A CPU spins with interrupts off
    Hang(OnCpu),
    /// A CPU sends Linux the raddr of a page that is not AnT's
    BadRaddr(OnCpu),
    /// A process is ended in place of a system call
    End(AtCall),
    /// A process is ended as soon as a system call has been served: where it blocks, if it blocks
    EndAfter(AtCall),
    /// A process runs into a page fault in place of a system call
    Fault(AtCall),
    /// A process makes a system call again and again, and none is served
    Loop(AtCall),
}

/// The CPU of the fault.
#[derive(Clone, Copy, Debug, Args)]
pub struct OnCpu {
    /// Which CPU: Linux's number
    #[arg(long, value_parser = parse_cpu)]
    cpu: u32,
}

/// The process of the fault, and when.
#[derive(Clone, Copy, Debug, Args)]
pub struct AtCall {
    /// Number of the process, as `antctl ps` shows it
    #[arg(long, value_parser = self::pid, required_unless_present = "next_server")]
    pid: Option<u32>,
    /// The OS server that is started next, from its first system call on
    #[arg(long, conflicts_with = "pid")]
    next_server: bool,
    /// At which of its next system calls
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    call: u32,
}

impl InjectCommand {
    /// As the message to antd.
    pub fn injection(&self) -> Injection {
        let cpu = |failure, OnCpu { cpu }| Injection::Cpu { failure, cpu };
        let process = |failure, AtCall { pid, call, .. }| Injection::Process { failure, pid, call };
        match *self {
            Self::Panic(on) => cpu(CpuFailure::Panic, on),
            Self::Hang(on) => cpu(CpuFailure::Hang, on),
            Self::BadRaddr(on) => cpu(CpuFailure::BadRaddr, on),
            Self::End(at) => process(ProcessFailure::End, at),
            Self::EndAfter(at) => process(ProcessFailure::EndAfter, at),
            Self::Fault(at) => process(ProcessFailure::Fault, at),
            Self::Loop(at) => process(ProcessFailure::Loop, at),
        }
    }
}

/// A list of CPUs. A type of its own, for clap takes a `Vec` to be several values.
#[derive(Clone, Debug)]
pub struct Cpus(pub Vec<u32>);

fn cpus(text: &str) -> Result<Cpus, ParseError> {
    parse_cpus(text).map(Cpus)
}

/// Pages of an ICA of this size.
fn ica_pages(text: &str) -> Result<u32, String> {
    let bytes = parse_memory(text).map_err(|error| error.to_string())?;
    // As many as one page table maps, and their multiples.
    let [step, most] = [TableSizes::LEAST, TableSizes::MOST].map(|sizes| sizes.ica_pages);
    let of_pages = |pages: u32| u64::from(pages) * PAGE_SIZE as u64;
    let mut sizes = (1..=most / step).map(|steps| steps * step);
    sizes.find(|&pages| of_pages(pages) == bytes).ok_or_else(|| {
        let [step, most] = [step, most].map(|pages| describe_memory(of_pages(pages)));
        format!("an ICA has {step} to {most}, in steps of {step}")
    })
}

fn pid(text: &str) -> Result<u32, &'static str> {
    let pid = text.parse().map(NonZero::<u32>::get);
    pid.map_err(|_| "not the number of a process: `antctl ps` shows them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_follows_bench_is_for_ant_bench() {
        let words = ["antctl", "bench", "null", "--cpu", "2", "--help"];
        let Command::Bench(bench) = Arguments::parse_from(words).command else { panic!() };
        assert_eq!(bench.args, ["null", "--cpu", "2", "--help"]);
        let Command::Bench(bench) = Arguments::parse_from(["antctl", "bench", "--help"]).command
        else {
            panic!()
        };
        assert_eq!(bench.args, ["--help"]);
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let parse = |words: &[&str]| match Arguments::parse_from(words).command {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        };
        let run = parse(&["antctl", "run", "--cpu", "2", "--", "wc", "-l", "--cpu", "x"]);
        assert_eq!((run.cpu, run.program.to_str()), (Some(2), Some("wc")));
        assert_eq!(run.args, ["-l", "--cpu", "x"]);
        let run = parse(&["antctl", "run", "wc", "-l"]);
        assert_eq!((run.cpu, run.args), (None, vec!["-l".into()]));
    }

    #[test]
    fn what_fails_is_a_cpu_or_a_process() {
        let parse = |words: &str| {
            let words = ["antctl", "inject"].into_iter().chain(words.split(' '));
            match Arguments::try_parse_from(words).ok()?.command {
                Command::Inject { how } => Some(how.injection()),
                other => panic!("{other:?}"),
            }
        };
        let hangs = Injection::Cpu { failure: CpuFailure::Hang, cpu: 2 };
        assert_eq!(parse("hang --cpu 2"), Some(hangs));
        let process = |pid, call| Injection::Process { failure: ProcessFailure::End, pid, call };
        assert_eq!(parse("end --pid 3"), Some(process(Some(3), 1)));
        assert_eq!(parse("end --next-server --call 4"), Some(process(None, 4)));
        for words in [
            "end",
            "end --cpu 2",
            "hang --pid 3",
            "end --pid 3 --next-server",
            "end --pid 3 --call 0",
            "end --pid 0",
        ] {
            assert_eq!(parse(words), None, "{words}");
        }
    }

    #[test]
    fn ps_explains_its_columns() {
        let mut command = Arguments::command();
        let ps = command.find_subcommand_mut("ps").unwrap();
        let help = ps.render_long_help().to_string();
        for heading in show::PROCESS_HEADINGS {
            let column = format!("\n  {} ", heading.trim_start_matches('>'));
            assert!(help.contains(&column), "{heading}: {help}");
        }
    }

    #[test]
    fn boot_takes_lists_and_sizes() {
        let words = ["antctl", "boot", "--cpus", "1-3", "--memory", "256M"];
        let Command::Boot(boot) = Arguments::parse_from(words).command else { panic!() };
        assert_eq!(boot.cpus.0, [1, 2, 3]);
        assert_eq!((boot.memory, boot.prefork, boot.allow_inject), (256 << 20, 0, false));
        assert_eq!(boot.image.to_str(), Some(IMAGE));
        assert_eq!(boot.manifest.to_str(), Some(MANIFEST));
        assert_eq!(boot.device, DeviceName::Com2);
        assert_eq!(boot.tables(), Tables::USUAL);
        assert!(Arguments::try_parse_from(["antctl", "boot", "--cpus", "3-1"]).is_err());
    }

    #[test]
    fn tables_have_sizes() {
        let parse = |words: &str| {
            let words = format!("antctl boot --cpus 1 --memory 1G {words}");
            match Arguments::try_parse_from(words.split(' ')).map_err(|error| error.to_string()) {
                Ok(Arguments { command: Command::Boot(boot) }) => Ok(boot.tables()),
                Ok(other) => panic!("{other:?}"),
                Err(text) => Err(text),
            }
        };
        let tables = Tables { processes: 2048, endpoints: 1024, ica_pages: 1 << 17 };
        assert_eq!(parse("--processes 2048 --endpoints 1024 --ica 512M"), Ok(tables));
        let tables = Tables { processes: 32, endpoints: 17, ica_pages: 512 };
        assert_eq!(parse("--processes 32 --endpoints 17 --ica 2M"), Ok(tables));
        let ica = "an ICA has 2 MiB to 512 MiB, in steps of 2 MiB";
        for (words, said) in [
            ("--processes 31", "31 is not in 32..=2048"),
            ("--processes 2049", "2049 is not in 32..=2048"),
            ("--processes many", "invalid digit"),
            ("--endpoints 16", "16 is not in 17..=1024"),
            ("--endpoints 1025", "1025 is not in 17..=1024"),
            ("--ica 0", ica),
            ("--ica 3M", ica),
            ("--ica 514M", ica),
            ("--ica much", "'much' is not an amount of memory"),
        ] {
            let text = parse(words).unwrap_err();
            assert!(text.contains(said), "{words}: {text}");
        }
    }

    #[test]
    fn what_is_no_number_is_explained() {
        let error = |words: &[&str]| Arguments::try_parse_from(words).unwrap_err().to_string();
        let text = error(&["antctl", "run", "--cpu", "abc", "wc"]);
        assert!(text.contains("'--cpu <N>': not the number of a CPU"), "{text}");
        let text = error(&["antctl", "kill", "abc"]);
        assert!(text.contains("not the number of a process"), "{text}");
        assert!(Arguments::try_parse_from(["antctl", "server", "restart", ""]).is_err());
    }

    #[test]
    fn priorities_have_a_range() {
        let parse = |n: &str| Arguments::try_parse_from(["antctl", "priority", "12", n]);
        assert!(matches!(parse("7").unwrap().command, Command::Priority { pid: 12, priority: 7 }));
        assert!(parse("8").is_err() && parse("-1").is_err() && parse("high").is_err());
    }
}
