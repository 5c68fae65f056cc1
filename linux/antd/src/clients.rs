//! Connections to the daemon, and the replies that are still to be sent.
//!
//! Nothing blocks on a client, and none fills the daemon: a connection has one request under way, and as long as
//! replies to it wait, it is not read. What it does not take is queued up to a limit, then it is closed.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use ant_protocol::{MessageError, Reply, Request, decode, encode, packet};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use crate::identity::Capabilities;
use crate::ids::ClientId;
use crate::poller::{Poller, Source};
use crate::sys;

/// Connections that one user (but root) may have at a time, beside one for each process of AnT.
const PER_USER_MORE: usize = 32;
/// Bytes that are kept for one client: the longest reply, a list of as many processes as there can be.
const OUTBOX_MAX: usize = 2 << 20;

/// The process at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its pid; 0 if it has none here.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capabilities; none unless the user is root.
    pub capabilities: Capabilities,
}

impl Peer {
    fn of(socket: &OwnedFd) -> Result<Self, Errno> {
        let [pid, uid, gid] = sys::peer_credentials(socket)?;
        let pid = pid.cast_signed();
        let capabilities = if uid == 0 { Capabilities::of(pid) } else { Capabilities::default() };
        let groups = sys::peer_groups(socket)?;
        Ok(Self { pid, uid, gid, groups, capabilities })
    }

    /// Whether it may do what only root may.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    peer: Peer,
    outbox: VecDeque<Vec<u8>>,
    outbox_bytes: usize,
    /// It has a request under way.
    is_busy: bool,
}

/// A connection could not be accepted: try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDescriptors(pub Errno);

/// All connections.
#[derive(Debug, Default)]
pub struct Clients {
    all: HashMap<ClientId, Client>,
    next: u64,
}

impl Clients {
    /// Accepts a connection; AnT can have so many processes.
    ///
    /// # Errors
    ///
    /// The daemon has too many open files, or Linux lacks memory: the connection still waits.
    pub fn accept(
        &mut self,
        listener: &OwnedFd,
        processes: u32,
        poller: &Poller,
    ) -> Result<(), NoDescriptors> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match accept_with(listener, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(()),
            Err(errno) => return Err(NoDescriptors(errno)),
        };
        let Ok(peer) = Peer::of(&socket) else { return Ok(()) };
        let others = self.all.values().filter(|client| client.peer.uid == peer.uid).count();
        if !peer.is_root() && others >= processes as usize + PER_USER_MORE {
            let text = format!("you have {others} connections to antd already: end some first");
            refuse(&socket, text);
            return Ok(());
        }
        self.next += 1;
        let id = ClientId(self.next);
        if poller.add(&socket, Source::Client(id), EventFlags::IN).is_ok() {
            let (outbox, outbox_bytes, is_busy) = (VecDeque::new(), 0, false);
            self.all.insert(id, Client { socket, peer, outbox, outbox_bytes, is_busy });
        }
        Ok(())
    }

    /// The next request of a client, if there is one.
    ///
    /// # Errors
    ///
    /// It closed the connection, or sent what is no request.
    pub fn receive(
        &mut self,
        id: ClientId,
    ) -> Result<Option<(Request, Vec<OwnedFd>)>, MessageError> {
        let client = self.all.get(&id).ok_or(MessageError::Closed)?;
        if !client.outbox.is_empty() {
            return Ok(None);
        }
        match packet::receive(&client.socket) {
            Ok(Some(packet)) => Ok(Some((decode(&packet.bytes)?, packet.descriptors))),
            Ok(None) => Err(MessageError::Closed),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Begins a request of a client. Whether it has no other under way.
    pub fn begin(&mut self, id: ClientId) -> bool {
        self.all.get_mut(&id).is_some_and(|client| !std::mem::replace(&mut client.is_busy, true))
    }

    /// Whether a client has read all its replies.
    #[must_use]
    pub fn has_read_all(&self, id: ClientId) -> bool {
        self.all.get(&id).is_some_and(|client| client.outbox.is_empty())
    }

    /// The process at the other end of a connection.
    #[must_use]
    pub fn peer(&self, id: ClientId) -> Option<&Peer> {
        self.all.get(&id).map(|client| &client.peer)
    }

    /// Sends a reply, unless the connection is closed.
    pub fn send(&mut self, id: ClientId, reply: &Reply, poller: &Poller) {
        let Some(client) = self.all.get_mut(&id) else { return };
        client.is_busy &= !reply.is_final();
        let bytes = encode(reply);
        client.outbox_bytes += bytes.len();
        client.outbox.push_back(bytes);
        if client.outbox_bytes > OUTBOX_MAX {
            tracing::warn!(
                "client {} does not read its replies: connection closed",
                client.peer.pid
            );
            self.drop_client(id, poller);
        } else {
            self.flush(id, poller);
        }
    }

    /// Sends queued replies, as many as the socket takes.
    pub fn flush(&mut self, id: ClientId, poller: &Poller) {
        let Some(client) = self.all.get_mut(&id) else { return };
        while let Some(bytes) = client.outbox.front() {
            match packet::send(&client.socket, bytes, &[]) {
                Ok(()) => {
                    client.outbox_bytes -= bytes.len();
                    client.outbox.pop_front();
                }
                Err(Errno::AGAIN) => break,
                // The other end is closed; the event for that follows.
                Err(_) => {
                    client.outbox.clear();
                    client.outbox_bytes = 0;
                }
            }
        }
        let wanted = if client.outbox.is_empty() { EventFlags::IN } else { EventFlags::OUT };
        poller.change(&client.socket, Source::Client(id), wanted);
    }

    /// Closes a connection.
    pub fn drop_client(&mut self, id: ClientId, poller: &Poller) {
        if let Some(client) = self.all.remove(&id) {
            poller.remove(client.socket.as_fd());
        }
    }
}

/// Answers a connection that is not kept. A request that stayed unread would reset it when it is closed, and
/// the answer would be lost.
fn refuse(socket: &OwnedFd, text: String) {
    let _ = shutdown(socket, Shutdown::Read);
    while matches!(packet::receive(socket), Ok(Some(_)) | Err(Errno::MSGSIZE)) {}
    let _ = packet::send(socket, &encode(&Reply::Failed(text)), &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_arrives_also_if_a_request_has_come() {
        let (antd, client) = packet::pair().unwrap();
        packet::send(&client, &encode(&Request::Ps), &[]).unwrap();
        refuse(&antd, "too many".into());
        drop(antd);
        let packet = packet::receive(&client).unwrap().unwrap();
        assert_eq!(decode::<Reply>(&packet.bytes).unwrap(), Reply::Failed("too many".into()));
    }
}
