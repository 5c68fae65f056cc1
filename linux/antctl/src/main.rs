//! `antctl`: the command people type. It talks to `antd` and never opens the device.
//!
//! * [`arguments`]: what can be typed. * `connect`: reaching `antd`, starting it if need be.
//! * `run`: running a program. * `find`: where a program is. * `servers`: OS servers.
//! * `show`: tables for people.
//! * `doctor`: whether this machine can do it. * `bench`: measuring. * `output`: colours, pipes.
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

use std::io;
use std::process::ExitCode;

use antd::protocol::{Boot, DeviceChoice, INIT, Reply, Request};
use clap::Parser;
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use arguments::{Arguments, Bench, BootArguments, Command, DeviceName, InjectCommand};
use connect::{ConnectError, connect, start_and_ask};

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
        Command::Bench(arguments) => measure(&arguments.what),
        Command::Inject { how } => inject(&how),
    };
    match result {
        Ok(code) => code,
        // Whoever reads has seen enough.
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
    /// `antd` or AnT refused; why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The answer could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// What every command but `run` does: one request, one answer.
fn ask(request: &Request) -> Result<Reply, Failure> {
    refused(connect()?.ask(request)?)
}

/// A reply, unless it is a refusal.
fn refused(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Failed(text) => Err(Failure::Refused(text)),
        reply => Ok(reply),
    }
}

/// Only root may; said here, before anything is started.
fn need_root(what: &str) -> Result<(), Failure> {
    if Uid::effective().is_root() {
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
            let mut text = format!("AnT runs: {}\n", layout.in_words());
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
    match ask(&Request::Ps)? {
        Reply::Processes(processes) => Ok(output::text(&show::processes(&processes))?),
        reply => Err(unexpected(&reply)),
    }
}

fn status(json: bool) -> Result<ExitCode, Failure> {
    let status = match connect() {
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
    let connection = connect()?;
    connection.send(&Request::Log { follow })?;
    while output::is_read_while(&connection)? {
        match refused(connection.receive()?)? {
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
    let signal = parse_signal(signal)?;
    done(ask(&Request::Kill { pid, signal })?)
}

/// A signal by number or name, with or without SIG.
fn parse_signal(text: &str) -> Result<i32, Failure> {
    if let Ok(number) = text.parse::<i32>() {
        return Ok(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    name.parse::<Signal>()
        .map(|signal| signal as i32)
        .map_err(|_| Failure::Refused(format!("there is no signal {text}")))
}

fn inject(how: &InjectCommand) -> Result<ExitCode, Failure> {
    need_root("make AnT fail")?;
    done(ask(&Request::Inject(how.injection()))?)
}

fn measure(what: &Bench) -> Result<ExitCode, Failure> {
    let result = match what {
        Bench::Null(options) => bench::null::run(options),
        Bench::Ipc(options) => bench::ipc::run(options),
        Bench::Process(options) => bench::process::run(options),
    };
    result.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::Refused(format!("{error:#}")))
}

fn done(reply: Reply) -> Result<ExitCode, Failure> {
    match reply {
        Reply::Done(text) => Ok(output::line(&text)?),
        reply => Err(unexpected(&reply)),
    }
}

fn unexpected(reply: &Reply) -> Failure {
    Failure::Refused(format!("antd answered something else: {reply:?}; restart it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_as_people_write_them() {
        for text in ["15", "TERM", "term", "SIGTERM"] {
            assert_eq!(parse_signal(text).unwrap(), 15, "{text}");
        }
        assert!(parse_signal("NONSENSE").is_err());
    }
}
