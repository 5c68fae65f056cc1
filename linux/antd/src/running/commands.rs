//! Commands of clients that `init` executes.

use ant_abi::syscall;
use ant_protocol::{CpuFailure, Injection, ProcessFailure, Reply};

use super::{Ctx, RunningPartition};
use crate::clients::Peer;
use crate::commands::ControlCommand;
use crate::ids::{ClientId, SessionId};
use crate::sessions::Stage;

impl RunningPartition {
    /// Whether `peer` may control process `pid`, and the session of it; `None` for a process of AnT's
    /// own.
    ///
    /// # Errors
    ///
    /// It may not; a sentence.
    pub fn allowed(&self, peer: &Peer, pid: u32) -> Result<Option<SessionId>, String> {
        let session = self.sessions.of_pid(pid);
        let owner = session.and_then(|id| self.sessions.get(id)).map(|s| s.identity.uid);
        match owner {
            Some(owner) if peer.is_root() || owner == peer.uid => Ok(session),
            Some(_) => Err("it is another user's: use sudo".into()),
            // Not a session's: root may ask init, which refuses what it has to. Other users do not
            // learn whether there is such a process.
            None if peer.is_root() => Ok(None),
            None => Err(format!("you have no process {pid} on AnT: `antctl ps` lists them")),
        }
    }

    /// Passes a command of a user on to `init`; `client` is told when it is done.
    ///
    /// # Errors
    ///
    /// `init` does not take requests; a sentence.
    pub fn command(
        &mut self,
        user: u32,
        client: ClientId,
        command: ControlCommand,
    ) -> Result<(), String> {
        self.init.command(user, client, command).map_err(|error| error.to_string())
    }

    /// `init` has replied to a command.
    pub(super) fn command_done(
        &mut self,
        client: ClientId,
        command: &ControlCommand,
        result: i32,
        ctx: &mut Ctx<'_>,
    ) {
        if result != 0 {
            return ctx.send(Some(client), &Reply::Failed(command.refusal(result)));
        }
        if let ControlCommand::Move { pid, cpu_index, .. } = *command {
            self.moved(pid, cpu_index);
        }
        ctx.send(Some(client), &Reply::Done(command.done()));
    }

    /// The command that injects a fault.
    ///
    /// # Errors
    ///
    /// The CPU is not AnT's; a sentence.
    pub fn injection(&self, injection: Injection) -> Result<ControlCommand, String> {
        match injection {
            Injection::Cpu { failure, cpu } => {
                let how = match failure {
                    CpuFailure::Panic => syscall::Injection::Panic,
                    CpuFailure::Hang => syscall::Injection::Hang,
                    CpuFailure::BadRaddr => syscall::Injection::BadRaddr,
                };
                Ok(ControlCommand::Inject { how: how.into(), target: self.cpu_of(cpu)?, call: 0 })
            }
            Injection::Process { failure, pid, call } => {
                let how = match failure {
                    ProcessFailure::End => syscall::Injection::End,
                    ProcessFailure::EndAfter => syscall::Injection::EndAfter,
                    ProcessFailure::Fault => syscall::Injection::Fault,
                    ProcessFailure::Loop => syscall::Injection::Loop,
                };
                Ok(ControlCommand::Inject { how: how.into(), target: pid.unwrap_or(0), call })
            }
        }
    }

    /// A process migrates.
    fn moved(&mut self, pid: u32, to: u32) {
        let session = self.sessions.of_pid(pid).and_then(|id| self.sessions.get_mut(id));
        if let Some(session) = session
            && let Stage::Exists { cpu_index, .. } = &mut session.stage
        {
            *cpu_index = to;
        }
    }
}
