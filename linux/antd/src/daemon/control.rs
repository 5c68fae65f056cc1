//! Requests that end, move or change processes and servers: which peers may, and what they are told.

use std::os::fd::OwnedFd;

use ant_abi::Priority;
use ant_protocol::{Injection, program};

use super::Daemon;
use crate::clients::Peer;
use crate::commands::ControlCommand;
use crate::explain::no_priority;
use crate::ids::ClientId;
use crate::list_query::{Purpose, Upload};
use crate::running::PartitionFailed;

impl Daemon {
    /// Ends a process: that of a session by its proxy, AnT's own by `init`.
    pub(crate) fn kill(
        &mut self,
        client: ClientId,
        peer: &Peer,
        pid: u32,
        signal: i32,
    ) -> Result<(), PartitionFailed> {
        if !(1..=64).contains(&signal) {
            self.fail(client, format!("there is no signal {signal}"));
            return Ok(());
        }
        let Some((running, mut ctx)) = self.running_or_fail(client) else { return Ok(()) };
        let refused = match running.allowed(peer, pid) {
            Ok(Some(id)) => {
                let text = format!("killed by `antctl kill` of user {}", peer.uid);
                return running.end_session(id, signal, &text, Some(client), &mut ctx);
            }
            Ok(None) => {
                running.command(peer.uid, client, ControlCommand::Kill { pid, signal }).err()
            }
            Err(text) => Some(text),
        };
        self.fail_if(client, refused);
        Ok(())
    }

    /// Gives a process another priority.
    pub(crate) fn priority(&mut self, client: ClientId, peer: &Peer, pid: u32, priority: u32) {
        let Ok(wanted) = Priority::try_from(priority) else {
            return self.fail(client, no_priority(priority));
        };
        let Some((running, _)) = self.running_or_fail(client) else { return };
        // Above the priority of other users' programs, or even of servers: root only.
        let usual = Priority::USUAL;
        let allowed = running.allowed(peer, pid).and_then(|_| {
            if wanted <= usual || peer.is_root() {
                Ok(())
            } else {
                Err(format!("only root can give a priority above {usual}: use sudo"))
            }
        });
        let asked = allowed.and_then(|()| {
            running.command(peer.uid, client, ControlCommand::Priority { pid, priority })
        });
        self.fail_if(client, asked.err());
    }

    /// Moves a process to another CPU.
    pub(crate) fn move_process(&mut self, client: ClientId, peer: &Peer, pid: u32, cpu: u32) {
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let allowed = running.allowed(peer, pid).and_then(|_| running.cpu_of(cpu));
        let asked = allowed.and_then(|cpu_index| {
            running.command(peer.uid, client, ControlCommand::Move { pid, cpu_index, cpu })
        });
        self.fail_if(client, asked.err());
    }

    /// Restarts a server.
    pub(crate) fn restart_server(&mut self, client: ClientId, peer: &Peer, server: String) {
        if !self.is_root(client, peer, "restart a server") {
            return;
        }
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked = running.query(peer.uid, client, Purpose::Restart(server));
        self.fail_if(client, asked.err());
    }

    /// Replaces a server by the program that comes with the request, in a sealed memory file.
    pub(crate) fn replace_server(
        &mut self,
        client: ClientId,
        peer: &Peer,
        server: String,
        descriptors: Vec<OwnedFd>,
    ) {
        if !self.is_root(client, peer, "replace a server") {
            return;
        }
        let Ok([file]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return self.fail(client, "a replace request needs the program");
        };
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked = program::unseal(file)
            .map_err(|error| format!("the program: {error}"))
            .and_then(|program| {
                running.query(peer.uid, client, Purpose::Replace(Upload::new(server, program)))
            });
        self.fail_if(client, asked.err());
    }

    /// Injects a fault.
    pub(crate) fn inject(&mut self, client: ClientId, peer: &Peer, injection: Injection) {
        if !self.is_root(client, peer, "inject a fault") {
            return;
        }
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let asked = if running.partition.allow_inject {
            let command = running.injection(injection);
            command.and_then(|command| running.command(peer.uid, client, command))
        } else {
            Err("AnT was booted without fault injection: `antctl boot --allow-inject …`".into())
        };
        self.fail_if(client, asked.err());
    }
}
