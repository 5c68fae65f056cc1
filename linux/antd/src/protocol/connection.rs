//! `antctl`'s end of the socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::{MessageError, Reply, Request, decode, encode};
use crate::socket as packets;

/// `antctl`'s end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl Connection {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    ///
    /// `ENOENT` or `ECONNREFUSED` if there is none.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        let raw = std::os::fd::AsRawFd::as_raw_fd(&socket);
        connect(raw, &UnixAddr::new(path)?)?;
        Ok(Self { socket })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The daemon hung up.
    pub fn send(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), MessageError> {
        match packets::send(&self.socket, &encode(request), descriptors) {
            Err(Errno::EPIPE | Errno::ECONNRESET) => Err(MessageError::Closed),
            result => Ok(result?),
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    ///
    /// The daemon hung up, or speaks another revision.
    pub fn receive(&self) -> Result<Reply, MessageError> {
        match packets::receive(&self.socket) {
            Ok(Some(packet)) => decode(&packet.bytes),
            Ok(None) | Err(Errno::ECONNRESET) => Err(MessageError::Closed),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
