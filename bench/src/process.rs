//! `ant-bench process`: what creating a process on AnT costs, beside Linux's own posix_spawn in the
//! same run.

use std::fs::{self, File};
use std::io::pipe;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ant_protocol::cpu_list::parse_cpu;
use ant_protocol::{APPS_DIR, Connection, ExitReason, Reply, Request, Run, Server, time_stamp};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::geteuid;

use crate::native::{Programs, read_stamp};
use crate::report::print;
use crate::samples::Samples;

/// The measured things take turns in so many rounds, so that what disturbs one disturbs all.
const ROUNDS: u32 = 5;
/// AnT's program.
const PROGRAM: &str = "bench-process";
/// What a process leaves to do on Linux is done after this.
const PAUSE: Duration = Duration::from_millis(10);

/// What to measure.
#[derive(Args, Debug)]
pub struct ProcessOptions {
    /// The program runs on this CPU of AnT's (Linux's number)
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    cpu: Option<u32>,
    /// Processes of each kind
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(5..=5_000))]
    count: u32,
    /// Restart this OS server each time, too (root): what it takes when nothing is asked of Linux
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

/// Ticks from the request for a process to its first instruction, and to its end as the requester
/// sees it.
#[derive(Default)]
struct Times {
    first: Vec<u64>,
    end: Vec<u64>,
}

/// Measures and prints.
///
/// # Errors
/// When AnT does not run or a measurement fails.
pub fn run(options: &ProcessOptions) -> Result<()> {
    let allowed = options.server.is_none() || geteuid().is_root();
    ensure!(allowed, "only root can restart a server: use sudo");
    let programs = Programs::new()?;
    let ant = Ant::new(options.cpu)?;
    let (mut native, mut program, mut server) = (Times::default(), Times::default(), Vec::new());
    // The first of each has to find what the others find at hand.
    programs.until_end()?;
    ant.until_end()?;
    for _ in 0..ROUNDS {
        for _ in 0..options.count / ROUNDS {
            native.first.push(settled(|| programs.until_first())?);
            native.end.push(settled(|| programs.until_end())?);
            program.first.push(settled(|| ant.until_first())?);
            program.end.push(settled(|| ant.until_end())?);
            server.extend(options.server.as_deref().map(restart).transpose()?);
        }
    }
    let size = fs::metadata(&ant.path)?.len().div_ceil(1024);
    let on_ant = format!("AnT: antctl run, a program of {size} KiB");
    let mut kinds: Vec<(String, Vec<u64>)> = vec![
        ("Linux: posix_spawn, to its first instruction".into(), native.first),
        ("Linux: posix_spawn, to its end".into(), native.end),
        (format!("{on_ant}, to its first instruction"), program.first),
        (format!("{on_ant}, to its end"), program.end),
    ];
    if let Some(name) = &options.server {
        kinds.push((format!("AnT: init starts server {name}, until it is ready"), server));
    }
    let figures = |(what, samples)| (what, Samples::new(samples).figures());
    let rows: Vec<_> = kinds.into_iter().map(figures).collect();
    print(&format!("{} processes each", options.count / ROUNDS * ROUNDS), &rows)
}

/// Measures when Linux is done with what the last process has left.
fn settled(measure: impl FnOnce() -> Result<u64>) -> Result<u64> {
    std::thread::sleep(PAUSE);
    measure()
}

/// Runs AnT's program as `antctl run` does.
struct Ant {
    cpu: Option<u32>,
    path: PathBuf,
    null: File,
    directory: File,
}

impl Ant {
    fn new(cpu: Option<u32>) -> Result<Self> {
        let path = Path::new(APPS_DIR).join(PROGRAM);
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Self { cpu, path, null, directory: File::open("/")? })
    }

    fn until_end(&self) -> Result<u64> {
        let start = time_stamp();
        self.run(&[], &self.null)?;
        Ok(time_stamp() - start)
    }

    fn until_first(&self) -> Result<u64> {
        let (mut reader, writer) = pipe()?;
        let start = time_stamp();
        self.run(&["stamp"], &writer)?;
        drop(writer);
        read_stamp(&mut reader).map(|began| began - start)
    }

    fn run(&self, args: &[&str], stdout: &impl AsFd) -> Result<()> {
        let daemon = Connection::open()?;
        let request = Request::Run(Run {
            cpu: self.cpu,
            program: self.path.clone().into_os_string(),
            args: args.iter().map(Into::into).collect(),
            umask: 0o022,
        });
        let (null, directory) = (self.null.as_fd(), self.directory.as_fd());
        daemon.request(&request, &[null, stdout.as_fd(), null, directory])?;
        loop {
            match daemon.reply()? {
                Reply::Started { .. } => {}
                Reply::Over(ExitReason::Exited { status: 0 }) => return Ok(()),
                Reply::Failed(text) => bail!("{text}"),
                other => bail!("{PROGRAM} has ended so: {other:?}"),
            }
        }
    }
}

/// Restarts a server; how long `init` needed, from its m-call for the process to the process's message
/// that it is ready.
fn restart(name: &str) -> Result<u64> {
    ask(&Request::RestartServer { name: name.into() })?;
    // It serves again.
    Ok(server(name)?.start_ticks)
}

fn server(name: &str) -> Result<Server> {
    let Reply::Servers(servers) = ask(&Request::Servers)? else {
        bail!("antd sent another reply; restart it");
    };
    let found = servers.into_iter().find(|server| server.name == name);
    found.with_context(|| format!("AnT has no server {name}"))
}

/// One request to the daemon, one reply that is no refusal.
fn ask(request: &Request) -> Result<Reply> {
    match Connection::open()?.ask(request)? {
        Reply::Failed(text) => bail!("{text}"),
        reply => Ok(reply),
    }
}
