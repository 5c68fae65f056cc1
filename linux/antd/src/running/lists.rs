//! Queries for processes and servers, and what begins with one: restarting or replacing a server.

use ant_abi::control::{LIST_MAX, SERVERS_MAX, ServerInfo};
use ant_abi::syscall::ProcessInfo;
use ant_protocol::Reply;

use super::status::{process_list, server_list};
use super::{Ctx, RunningPartition};
use crate::commands::ControlCommand;
use crate::explain::{no_server, not_replaced, process_error, server_error};
use crate::ids::ClientId;
use crate::list_query::{ListQuery, Purpose, Upload, records, server_name};
use crate::pending::ROOT;

/// Processes in one packet: their commands may be long.
const PROCESSES_PACKET: usize = 64;

impl RunningPartition {
    /// Begins a query.
    ///
    /// # Errors
    ///
    /// `init` does not take requests, or a server is being replaced already; a sentence.
    pub fn query(&mut self, user: u32, client: ClientId, purpose: Purpose) -> Result<(), String> {
        if matches!(purpose, Purpose::Replace(_)) && self.init.replaces() {
            return Err("another server is being replaced: try again when that is done".into());
        }
        let whole = matches!(purpose, Purpose::Processes | Purpose::Servers);
        let query = ListQuery { client, user, purpose, processes: Vec::new() };
        let asked = if whole { self.init.list(query) } else { self.init.servers(query) };
        asked.map_err(|error| error.to_string())
    }

    /// Some of the processes have arrived.
    pub(super) fn processes_arrived(
        &mut self,
        mut query: ListQuery,
        result: i32,
        rest: &[u8],
        ctx: &mut Ctx<'_>,
    ) {
        let client = Some(query.client);
        if result != 0 {
            return ctx.send(client, &Reply::Failed(process_error(result)));
        }
        let fresh: Vec<ProcessInfo> = records(rest, LIST_MAX);
        let known = &mut query.processes;
        let more = fresh.len() == LIST_MAX;
        // Pids must rise, or the list would have no end.
        let rises =
            fresh.first().zip(known.last()).is_none_or(|(first, last)| first.pid > last.pid);
        known.extend(fresh);
        // Those that end meanwhile make room for others.
        let most = 2 * self.partition.tables.processes as usize;
        let whole = !(more && rises && known.len() <= most);
        let asked = if whole { self.init.servers(query) } else { self.init.list(query) };
        if let Err(error) = asked {
            ctx.send(client, &Reply::Failed(error.to_string()));
        }
    }

    /// The servers have arrived.
    pub(super) fn servers_arrived(
        &mut self,
        query: ListQuery,
        result: i32,
        rest: &[u8],
        ctx: &mut Ctx<'_>,
    ) {
        let client = query.client;
        // Processes can be listed without the servers.
        if result != 0 && !matches!(query.purpose, Purpose::Processes) {
            return ctx.send(Some(client), &Reply::Failed(process_error(result)));
        }
        let servers: Vec<ServerInfo> = records(rest, SERVERS_MAX);
        let known = |name: &str| servers.iter().any(|server| server_name(server) == name);
        let reply = match query.purpose {
            Purpose::Processes => {
                let processes = process_list(self, &query.processes, &servers);
                for some in processes.chunks(PROCESSES_PACKET) {
                    ctx.send(Some(client), &Reply::Processes(some.to_vec()));
                }
                Reply::ProcessesEnd
            }
            Purpose::Servers => Reply::Servers(server_list(self, &query.processes, &servers)),
            Purpose::Restart(server) if known(&server) => {
                return self.command_or_fail(client, ControlCommand::Restart { server }, ctx);
            }
            Purpose::Replace(upload) if known(&upload.server) => {
                return self.upload(client, upload, ctx);
            }
            Purpose::Restart(name) | Purpose::Replace(Upload { server: name, .. }) => {
                let names: Vec<String> = servers.iter().map(server_name).collect();
                Reply::Failed(no_server(&name, &names))
            }
        };
        ctx.send(Some(client), &reply);
    }

    /// Sends the next piece of a program, or the command to use it.
    fn upload(&mut self, client: ClientId, mut upload: Upload, ctx: &mut Ctx<'_>) {
        if ctx.clients.peer(client).is_none() {
            // The client has closed its connection.
            return;
        }
        let Some((from, piece)) = upload.next_piece() else {
            let command = ControlCommand::Replace { server: upload.server };
            return self.command_or_fail(client, command, ctx);
        };
        if let Err(error) = self.init.program(client, upload, from, &piece) {
            ctx.send(Some(client), &Reply::Failed(error.to_string()));
        }
    }

    /// A piece of a program has arrived.
    pub(super) fn piece_arrived(
        &mut self,
        client: ClientId,
        upload: Upload,
        result: i32,
        ctx: &mut Ctx<'_>,
    ) {
        if result == 0 {
            return self.upload(client, upload, ctx);
        }
        let text = not_replaced(&upload.server, &server_error(result));
        ctx.send(Some(client), &Reply::Failed(text));
    }

    /// A command of root.
    fn command_or_fail(&mut self, client: ClientId, command: ControlCommand, ctx: &mut Ctx<'_>) {
        if let Err(text) = self.command(ROOT, client, command) {
            ctx.send(Some(client), &Reply::Failed(text));
        }
    }
}
