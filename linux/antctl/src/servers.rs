//! `antctl server`: lists, restarts and replaces AnT's OS servers.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use ant_abi::control::PROGRAM_MAX;
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
    let bytes = read(file).map_err(wrong)?;
    let program = program::seal(&bytes).map_err(wrong)?;
    let daemon = Connection::open()?;
    daemon.request(&Request::ReplaceServer { name: name.into() }, &[program.as_fd()])?;
    done(refused(daemon.reply()?)?)
}

/// The bytes of a program, read with the user's rights.
fn read(path: &Path) -> Result<Vec<u8>, ProgramError> {
    // Before it is opened: opening a pipe blocks until it has a writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ProgramError::NoProgram);
    }
    program::check_len(metadata.len())?;
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    File::open(path)?.take(PROGRAM_MAX as u64 + 1).read_to_end(&mut bytes)?;
    program::check(&bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_seen_before_anything_is_sent() {
        assert_eq!(read(Path::new("/etc/passwd")), Err(ProgramError::NoProgram));
        assert_eq!(read(Path::new("/")), Err(ProgramError::NoProgram));
        let text = read(Path::new("/no/such")).unwrap_err().to_string();
        assert_eq!(text, "No such file or directory (os error 2)");
        let path = std::env::temp_dir().join(format!("antctl-server-{}", std::process::id()));
        fs::write(&path, [&b"\x7fELF"[..], &vec![0; PROGRAM_MAX]].concat()).unwrap();
        assert!(matches!(read(&path), Err(ProgramError::TooLarge(_))));
        fs::write(&path, b"\x7fELF and more").unwrap();
        assert_eq!(read(&path).unwrap(), b"\x7fELF and more");
        fs::remove_file(path).unwrap();
    }
}
