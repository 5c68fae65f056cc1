//! `antctl`: the command people type. It talks to `antd` and never opens the device.
//!
//! * [`arguments`]: the command line. * `connect`: starting `antd`.
//! * `run`: running a program. * `find`: finding its file. * `servers`: OS servers.
//! * `signals`: signals as something to poll. * `show`: replies as text. * `output`: colours, pipes.
//! * `doctor`: whether this machine can run AnT. * `bench`: handing over to `ant-bench`.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod connect;
mod doctor;
mod find;
mod output;
mod run;
mod servers;
mod show;
mod signals;

use std::io;
use std::process::ExitCode;

use ant_protocol::signals::parse_signal;
use ant_protocol::{Boot, ConnectError, Connection, DeviceChoice, INIT, Reply, Request};
use clap::Parser;
use rustix::process::geteuid;

use arguments::{Arguments, BootArguments, Command, DeviceName, InjectCommand};
use connect::{StartError, start_and_ask};

/// Exit status: it did not work.
const FAILED: u8 = 1;
/// Exit status of `status`: AnT does not run.
const NOT_RUNNING: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run(run) => return run::run(&run),
        Command::Boot(arguments) => boot(&arguments),
        Command::Ps => ps(),
        Command::Status { json } => status(json),
        Command::Log { follow } => log(follow),
        Command::Kill { signal, pid } => kill(pid, &signal),
        Command::Priority { pid, priority } => {
            ask(&Request::Priority { pid, priority }).and_then(done)
        }
        Command::Move { pid, cpu } => ask(&Request::Move { pid, cpu }).and_then(done),
        Command::Server { command } => servers::server(&command),
        Command::Stop => stop(),
        Command::Doctor => doctor::doctor(),
        Command::Bench(arguments) => bench::exec(&arguments.args),
        Command::Inject { how } => inject(&how),
    };
    match result {
        Ok(code) => code,
        // The reader of a pipe has closed it: it has read enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(FAILED)
        }
    }
}

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `antd` was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// `antd` was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `antd` or AnT refused; why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The output could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// One request, one reply.
fn ask(request: &Request) -> Result<Reply, Failure> {
    refused(Connection::open()?.ask(request)?)
}

/// A reply, unless it is a refusal.
fn refused(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Failed(text) => Err(Failure::Refused(text)),
        reply => Ok(reply),
    }
}

/// Refuses other users than root before anything is started.
fn need_root(what: &str) -> Result<(), Failure> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::Refused(format!("only root can {what}: use sudo")))
}

fn boot(arguments: &BootArguments) -> Result<ExitCode, Failure> {
    need_root("boot AnT")?;
    let image = std::path::absolute(&arguments.image)?;
    let manifest = std::path::absolute(&arguments.manifest)?;
    let request = Request::Boot(Boot {
        cpus: arguments.cpus.0.clone(),
        memory: arguments.memory,
        tables: arguments.tables(),
        image,
        init: INIT.into(),
        manifest,
        prefork: arguments.prefork,
        allow_inject: arguments.allow_inject,
        poll: arguments.poll,
        device: match arguments.device {
            DeviceName::Com2 => DeviceChoice::Com2,
            DeviceName::None => DeviceChoice::None,
        },
    });
    match refused(start_and_ask(&request)?)? {
        Reply::Booted { layout, notes } => {
            let mut text = format!("AnT runs: {}\n", layout);
            notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
            Ok(output::text(&text)?)
        }
        reply => Err(unexpected(&reply)),
    }
}

fn stop() -> Result<ExitCode, Failure> {
    need_root("stop AnT")?;
    done(ask(&Request::Stop)?)
}

fn ps() -> Result<ExitCode, Failure> {
    let connection = Connection::open()?;
    connection.request(&Request::Ps, &[])?;
    let mut processes = Vec::new();
    loop {
        match refused(connection.reply()?)? {
            Reply::Processes(more) => processes.extend(more),
            Reply::ProcessesEnd => return Ok(output::text(&show::processes(&processes))?),
            reply => return Err(unexpected(&reply)),
        }
    }
}

fn status(json: bool) -> Result<ExitCode, Failure> {
    let status = match Connection::open() {
        Ok(connection) => match refused(connection.ask(&Request::Status)?)? {
            Reply::Status(status) => Some(*status),
            reply => return Err(unexpected(&reply)),
        },
        Err(ConnectError::NoDaemon) => None,
        Err(error) => return Err(error.into()),
    };
    if json {
        let text = serde_json::to_string_pretty(&status).map_err(io::Error::from)?;
        output::line(&text)
    } else {
        output::text(&show::status(status.as_ref()))
    }?;
    let runs = status.is_some_and(|status| status.partition.is_some());
    Ok(if runs { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) })
}

fn log(follow: bool) -> Result<ExitCode, Failure> {
    let connection = Connection::open()?;
    connection.request(&Request::Log { follow }, &[])?;
    while output::is_read_while(&connection)? {
        match refused(connection.reply()?)? {
            Reply::Log(lines) => {
                output::text(&show::log(&lines))?;
            }
            Reply::LogEnd => return Ok(ExitCode::SUCCESS),
            reply => return Err(unexpected(&reply)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn kill(pid: u32, signal: &str) -> Result<ExitCode, Failure> {
    let unknown = || Failure::Refused(format!("there is no signal {signal}"));
    let signal = parse_signal(signal).ok_or_else(unknown)?;
    done(ask(&Request::Kill { pid, signal })?)
}

fn inject(how: &InjectCommand) -> Result<ExitCode, Failure> {
    need_root("inject a fault")?;
    done(ask(&Request::Inject(how.injection()))?)
}

fn done(reply: Reply) -> Result<ExitCode, Failure> {
    match reply {
        Reply::Done(text) => Ok(output::line(&text)?),
        reply => Err(unexpected(&reply)),
    }
}

fn unexpected(reply: &Reply) -> Failure {
    Failure::Refused(format!("antd sent another reply: {reply:?}; restart it"))
}
