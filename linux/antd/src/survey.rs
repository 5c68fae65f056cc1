//! What AnT consists of: its processes and servers, asked of `init` piece by piece; and what
//! depends on that, the order to restart or replace a server.

use ant_abi::control::{LIST_MAX, SERVERS_MAX, SPAWN_BYTES, ServerInfo};
use ant_abi::syscall::ProcessInfo;
use zerocopy::FromBytes;

use crate::channel::printable;
use crate::clients::ClientId;
use crate::init::{self, Want};
use crate::orders::{Order, not_replaced, why_no_server};
use crate::protocol::Reply;
use crate::running::{Ports, Running};
use crate::status::{process_list, server_list};

/// Why somebody wants to know.
#[derive(Debug)]
pub enum Purpose {
    /// To list the processes.
    Processes,
    /// To list the servers.
    Servers,
    /// To restart the server of this name.
    Restart(String),
    /// To replace a server.
    Replace(Upload),
}

/// A survey under way.
#[derive(Debug)]
pub struct Survey {
    /// For whom.
    pub client: ClientId,
    /// What for.
    pub purpose: Purpose,
    /// The processes that are known already.
    pub processes: Vec<ProcessInfo>,
}

/// A program on its way to `init`, which gets it in pieces, one after the other.
#[derive(Debug)]
pub struct Upload {
    /// The server that it shall replace.
    pub server: String,
    program: Vec<u8>,
    sent: usize,
}

impl Upload {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(server: String, program: Vec<u8>) -> Self {
        Self { server, program, sent: 0 }
    }

    /// Bytes of the program.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.program.len() as u32
    }

    /// The next piece and where it belongs; `None` when all is sent.
    pub fn next_piece(&mut self) -> Option<(u32, Vec<u8>)> {
        let from = self.sent;
        let to = self.program.len().min(from + SPAWN_BYTES);
        self.sent = to;
        (from < to).then(|| (from as u32, self.program[from..to].to_vec()))
    }
}

/// The whole records in `bytes`, at most `most`.
fn records<T: FromBytes>(bytes: &[u8], most: usize) -> Vec<T> {
    let whole = bytes.chunks_exact(size_of::<T>()).take(most);
    whole.filter_map(|bytes| T::read_from_bytes(bytes).ok()).collect()
}

/// Name of a server.
#[must_use]
pub fn name_of(server: &ServerInfo) -> String {
    printable(&server.name)
}

impl Running {
    /// Begins a survey.
    ///
    /// # Errors
    ///
    /// `init` does not take requests; in words.
    pub fn survey(&mut self, client: ClientId, purpose: Purpose) -> Result<(), String> {
        if self.init_gone.is_some() {
            return Err(self.no_answer());
        }
        if matches!(purpose, Purpose::Replace(_)) && self.init.replaces() {
            return Err("another server is being replaced: try again when that is done".into());
        }
        let whole = matches!(purpose, Purpose::Processes | Purpose::Servers);
        let survey = Survey { client, purpose, processes: Vec::new() };
        let asked = if whole { self.init.list(survey) } else { self.init.servers(survey) };
        asked.map_err(|errno| self.not_asked(errno))
    }

    /// Some of the processes have come.
    pub(crate) fn processes_came(
        &mut self,
        mut survey: Survey,
        result: i32,
        rest: &[u8],
        ports: &mut Ports<'_>,
    ) {
        let client = Some(survey.client);
        if result != 0 {
            return ports.send(client, &Reply::Failed(init::refusal(result)));
        }
        let fresh: Vec<ProcessInfo> = records(rest, LIST_MAX);
        let known = &mut survey.processes;
        let more = fresh.len() == LIST_MAX;
        // Ids rise, or the list would have no end.
        let rises =
            fresh.first().zip(known.last()).is_none_or(|(first, last)| first.pid > last.pid);
        known.extend(fresh);
        let whole = !(more && rises && known.len() <= ant_abi::MAX_PROCESSES * 2);
        let asked = if whole { self.init.servers(survey) } else { self.init.list(survey) };
        if asked.is_err() {
            ports.send(client, &Reply::Failed(self.no_answer()));
        }
    }

    /// The servers have come.
    pub(crate) fn servers_came(
        &mut self,
        survey: Survey,
        result: i32,
        rest: &[u8],
        ports: &mut Ports<'_>,
    ) {
        let client = survey.client;
        // Processes can be listed without.
        if result != 0 && !matches!(survey.purpose, Purpose::Processes) {
            return ports.send(Some(client), &Reply::Failed(init::refusal(result)));
        }
        let servers: Vec<ServerInfo> = records(rest, SERVERS_MAX);
        let known = |name: &str| servers.iter().any(|server| name_of(server) == name);
        let reply = match survey.purpose {
            Purpose::Processes => Reply::Processes(process_list(self, &survey.processes, &servers)),
            Purpose::Servers => Reply::Servers(server_list(self, &survey.processes, &servers)),
            Purpose::Restart(server) if known(&server) => {
                return self.order_or_fail(client, Order::Restart { server }, ports);
            }
            Purpose::Replace(upload) if known(&upload.server) => {
                return self.upload(client, upload, ports);
            }
            Purpose::Restart(name) | Purpose::Replace(Upload { server: name, .. }) => {
                Reply::Failed(no_server(&name, &servers))
            }
        };
        ports.send(Some(client), &reply);
    }

    /// Sends the next piece of a program, or the order to use it.
    fn upload(&mut self, client: ClientId, mut upload: Upload, ports: &mut Ports<'_>) {
        if ports.clients.peer(client).is_none() {
            // Who wanted it has gone.
            return;
        }
        let Some((from, piece)) = upload.next_piece() else {
            return self.order_or_fail(client, Order::Replace { server: upload.server }, ports);
        };
        if self.init.program(client, upload, from, &piece).is_err() {
            ports.send(Some(client), &Reply::Failed(self.no_answer()));
        }
    }

    /// A piece of a program has arrived.
    pub(crate) fn piece_came(
        &mut self,
        client: ClientId,
        upload: Upload,
        result: i32,
        ports: &mut Ports<'_>,
    ) {
        if result == 0 {
            return self.upload(client, upload, ports);
        }
        let text = not_replaced(&upload.server, &why_no_server(result));
        ports.send(Some(client), &Reply::Failed(text));
    }

    fn order_or_fail(&mut self, client: ClientId, order: Order, ports: &mut Ports<'_>) {
        if let Err(text) = self.order(client, order) {
            ports.send(Some(client), &Reply::Failed(text));
        }
    }
}

/// That AnT has no server of that name, and which it has.
fn no_server(name: &str, servers: &[ServerInfo]) -> String {
    let names: Vec<String> = servers.iter().map(name_of).collect();
    match names.as_slice() {
        [] => format!("AnT has no server {name}: it has none"),
        names => format!("AnT has no server {name}: it has {}", names.join(", ")),
    }
}

impl Want {
    /// Who is told, if it is a client that asked for it.
    #[must_use]
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Want::Spawn(_) | Want::KillSession(_) => None,
            Want::Order(client, _) | Want::Program(client, _) => Some(*client),
            Want::Processes(survey) | Want::Servers(survey) => Some(survey.client),
        }
    }

    /// Whether it is part of replacing a server.
    #[must_use]
    pub fn replaces(&self) -> bool {
        match self {
            Want::Program(..) | Want::Order(_, Order::Replace { .. }) => true,
            Want::Servers(survey) => matches!(survey.purpose, Purpose::Replace(_)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_in_pieces_without_gaps() {
        let program: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        let mut upload = Upload::new("serial".into(), program.clone());
        assert_eq!(upload.len(), 10_000);
        let mut got = Vec::new();
        while let Some((from, piece)) = upload.next_piece() {
            assert_eq!(from as usize, got.len());
            assert!(!piece.is_empty() && piece.len() <= SPAWN_BYTES);
            got.extend(piece);
        }
        assert_eq!(got, program);
    }
}
