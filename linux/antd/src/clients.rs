//! Who is connected to the daemon, and what they have not been told yet.
//!
//! Nothing waits for a client: what one does not take is kept, up to a limit, then it is dropped.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt};

use crate::poller::{Poller, Source};
use crate::protocol::{self, MessageError, Reply, Request};
use crate::socket;
use crate::sys::{self, Capabilities};

/// Connections that one user (but root) may have at a time.
const PER_USER_MAX: usize = 160;
/// Bytes that are kept for one client.
const OUTBOX_MAX: usize = 16 << 20;

/// A connection's number. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Process.
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
        let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
        let (pid, uid) = (credentials.pid(), credentials.uid());
        let capabilities = if uid == 0 { capabilities_of(pid) } else { Capabilities::default() };
        let groups = sys::peer_groups(socket)?;
        Ok(Self { pid, uid, gid: credentials.gid(), groups, capabilities })
    }

    /// Whether it may do what only root may.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Capabilities of a process; none if it has gone.
fn capabilities_of(pid: i32) -> Capabilities {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
    };
    Capabilities { effective: set("CapEff:"), permitted: set("CapPrm:") }
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    peer: Peer,
    outbox: VecDeque<Vec<u8>>,
    outbox_bytes: usize,
}

/// Everybody who is connected.
#[derive(Debug, Default)]
pub struct Clients {
    all: HashMap<ClientId, Client>,
    next: u64,
}

impl Clients {
    /// Takes a new connection.
    pub fn accept(&mut self, listener: &OwnedFd, poller: &Poller) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = match accept4(listener.as_raw_fd(), flags) {
            Ok(number) => sys::adopt(number),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return,
            Err(errno) => {
                tracing::warn!("a connection could not be taken: {errno}");
                return;
            }
        };
        let Ok(peer) = Peer::of(&socket) else { return };
        let others = self.all.values().filter(|client| client.peer.uid == peer.uid).count();
        if !peer.is_root() && others >= PER_USER_MAX {
            let text = format!("you have {others} connections to antd already: end some first");
            let _ = socket::send(&socket, &protocol::encode(&Reply::Failed(text)), &[]);
            return;
        }
        self.next += 1;
        let id = ClientId(self.next);
        if poller.add(&socket, Source::Client(id), EpollFlags::EPOLLIN).is_ok() {
            let client = Client { socket, peer, outbox: VecDeque::new(), outbox_bytes: 0 };
            self.all.insert(id, client);
        }
    }

    /// The next request of a client, if there is one.
    ///
    /// # Errors
    ///
    /// It hung up, or sent what is no request.
    pub fn receive(
        &mut self,
        id: ClientId,
    ) -> Result<Option<(Request, Vec<OwnedFd>)>, MessageError> {
        let client = self.all.get(&id).ok_or(MessageError::Closed)?;
        match socket::receive(&client.socket) {
            Ok(Some(packet)) => Ok(Some((protocol::decode(&packet.bytes)?, packet.descriptors))),
            Ok(None) => Err(MessageError::Closed),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Who a client is.
    #[must_use]
    pub fn peer(&self, id: ClientId) -> Option<&Peer> {
        self.all.get(&id).map(|client| &client.peer)
    }

    /// Tells a client something. One that has gone is not told.
    pub fn send(&mut self, id: ClientId, reply: &Reply, poller: &Poller) {
        let Some(client) = self.all.get_mut(&id) else { return };
        let bytes = protocol::encode(reply);
        client.outbox_bytes += bytes.len();
        client.outbox.push_back(bytes);
        if client.outbox_bytes > OUTBOX_MAX {
            tracing::warn!("client {} does not listen, dropped", client.peer.pid);
            self.drop_client(id, poller);
        } else {
            self.flush(id, poller);
        }
    }

    /// Tells a client what it has not been told yet, as far as it listens.
    pub fn flush(&mut self, id: ClientId, poller: &Poller) {
        let Some(client) = self.all.get_mut(&id) else { return };
        while let Some(bytes) = client.outbox.front() {
            match socket::send(&client.socket, bytes, &[]) {
                Ok(()) => {
                    client.outbox_bytes -= bytes.len();
                    client.outbox.pop_front();
                }
                Err(Errno::EAGAIN) => break,
                // It hung up; the event for that comes.
                Err(_) => {
                    client.outbox.clear();
                    client.outbox_bytes = 0;
                }
            }
        }
        let wanted = if client.outbox.is_empty() {
            EpollFlags::EPOLLIN
        } else {
            EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT
        };
        poller.change(&client.socket, Source::Client(id), wanted);
    }

    /// Closes a connection.
    pub fn drop_client(&mut self, id: ClientId, poller: &Poller) {
        if let Some(client) = self.all.remove(&id) {
            poller.remove(client.socket.as_fd());
        }
    }
}
