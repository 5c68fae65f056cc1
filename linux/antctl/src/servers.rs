//! `antctl server`: lists, restarts and replaces AnT's OS servers.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use ant_protocol::program::{self, ProgramError};
use ant_protocol::{Connection, Reply, Request};

use crate::arguments::ServerCommand;
use crate::{Failure, ask, done, need_root, output, refused, show, unexpected};

/// Executes `antctl server`.
///
/// # Errors
///
/// It did not work.
pub fn server(command: &ServerCommand) -> Result<ExitCode, Failure> {
    match command {
        ServerCommand::List => list(),
        ServerCommand::Restart { name } => {
            need_root("restart a server")?;
            done(ask(&Request::RestartServer { name: name.clone() })?)
        }
        ServerCommand::Replace { name, file } => {
            need_root("replace a server")?;
            replace(name, file)
        }
    }
}

fn list() -> Result<ExitCode, Failure> {
    match ask(&Request::Servers)? {
        Reply::Servers(servers) => Ok(output::text(&show::servers(&servers))?),
        reply => Err(unexpected(&reply)),
    }
}

fn replace(name: &str, file: &Path) -> Result<ExitCode, Failure> {
    let wrong = |error: ProgramError| Failure::Refused(format!("{}: {error}", file.display()));
    // As the user who types this may read it.
    let bytes = program::read(file).map_err(wrong)?;
    let program = program::seal(&bytes).map_err(wrong)?;
    let daemon = Connection::open()?;
    daemon.request(&Request::ReplaceServer { name: name.into() }, &[program.as_fd()])?;
    done(refused(daemon.reply()?)?)
}
