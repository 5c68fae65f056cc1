//! The client's end of the socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use thiserror::Error;

use crate::{DAEMON_LOG, MessageError, Reply, Request, SOCKET, decode, encode, packet};

/// The daemon was not reached, or did not reply.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It does not run.
    #[error(
        "AnT is not running (and antd is not either): `antctl boot --cpus LIST --memory SIZE` \
         first (for example --cpus 1-3 --memory 256M)"
    )]
    NoDaemon,
    /// The socket cannot be used.
    #[error("cannot connect to antd at {SOCKET}: {0}")]
    Socket(Errno),
    /// It died.
    #[error(
        "antd died; AnT and its programs ended with it, and its CPUs went back to Linux; \
         {DAEMON_LOG} or `journalctl -u antd` may say why"
    )]
    Died,
    /// Its message cannot be used.
    #[error(transparent)]
    Message(MessageError),
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl Connection {
    /// Connects to the daemon of this machine.
    ///
    /// # Errors
    ///
    /// It does not run, or its socket cannot be used.
    pub fn open() -> Result<Self, ConnectError> {
        Self::open_at(Path::new(SOCKET)).map_err(|errno| match errno {
            Errno::NOENT | Errno::CONNREFUSED => ConnectError::NoDaemon,
            errno => ConnectError::Socket(errno),
        })
    }

    /// Connects to the daemon that has its socket at `path`.
    ///
    /// # Errors
    ///
    /// `ENOENT` or `ECONNREFUSED` if there is none.
    pub fn open_at(path: &Path) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self { socket })
    }

    /// Sends a request with descriptors.
    ///
    /// # Errors
    ///
    /// The daemon closed the connection.
    pub fn send(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), MessageError> {
        match packet::send(&self.socket, &encode(request), descriptors) {
            Err(Errno::PIPE | Errno::CONNRESET) => Err(MessageError::Closed),
            result => Ok(result?),
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    ///
    /// The daemon closed the connection, or speaks another revision.
    pub fn receive(&self) -> Result<Reply, MessageError> {
        match packet::receive(&self.socket) {
            Ok(Some(packet)) => decode(&packet.bytes),
            Ok(None) | Err(Errno::CONNRESET) => Err(MessageError::Closed),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a request to a daemon that may have replied and closed the connection already: what it
    /// said is there for [`Connection::reply`].
    ///
    /// # Errors
    ///
    /// The request could not be sent.
    pub fn request(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ConnectError> {
        match self.send(request, descriptors) {
            Err(MessageError::Closed) => Ok(()),
            result => result.map_err(ConnectError::Message),
        }
    }

    /// Waits for a reply from a daemon that is not expected to close the connection before.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn reply(&self) -> Result<Reply, ConnectError> {
        self.receive().map_err(|error| match error {
            MessageError::Closed => ConnectError::Died,
            error => ConnectError::Message(error),
        })
    }

    /// One request, one reply.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn ask(&self, request: &Request) -> Result<Reply, ConnectError> {
        self.request(request, &[])?;
        self.reply()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
