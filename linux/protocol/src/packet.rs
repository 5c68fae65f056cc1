//! Packets over Unix sockets (`SOCK_SEQPACKET`), with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// Longest packet. A sender cuts longer things into several.
pub const PACKET_MAX: usize = 128 << 10;
/// Most descriptors that come with a packet.
pub const DESCRIPTORS_MAX: usize = 4;

/// What came.
#[derive(Debug)]
pub struct Packet {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The descriptors, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
}

/// Two connected packet sockets.
///
/// # Errors
///
/// Too many open files.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends a packet with at most [`DESCRIPTORS_MAX`] descriptors.
///
/// # Errors
///
/// `EAGAIN` if it would block and the socket must not; `EPIPE` if the other end is closed;
/// `EINVAL` if there are too many descriptors.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let (socket, bytes) = (socket.as_fd(), [IoSlice::new(bytes)]);
    retry_on_intr(|| sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL)).map(drop)
}

/// Receives a packet; `None` at the end. No descriptor of a packet that is refused stays open.
///
/// # Errors
///
/// `EAGAIN` if there is none and the socket must not block; `EMSGSIZE` if it is too long or has too
/// many descriptors.
pub fn receive(socket: impl AsFd) -> Result<Option<Packet>, Errno> {
    let mut bytes = vec![0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let socket = socket.as_fd();
    let message = retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    // Owned from here on: what is returned or refused below closes what it does not hand out.
    let mut descriptors = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            descriptors.extend(rights);
        }
    }
    let cut = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    if cut || descriptors.len() > DESCRIPTORS_MAX {
        return Err(Errno::MSGSIZE);
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    bytes.truncate(message.bytes);
    Ok(Some(Packet { bytes, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_arrives_whole_with_its_descriptors() {
        let (a, b) = pair().unwrap();
        let (inner, other) = pair().unwrap();
        send(&a, b"hello", &[inner.as_fd()]).unwrap();
        send(&a, b"again", &[]).unwrap();
        let packet = receive(&b).unwrap().unwrap();
        assert_eq!(packet.bytes, b"hello");
        assert_eq!(packet.descriptors.len(), 1);
        send(&packet.descriptors[0], b"through", &[]).unwrap();
        assert_eq!(receive(&other).unwrap().unwrap().bytes, b"through");
        assert_eq!(receive(&b).unwrap().unwrap().bytes, b"again");
    }

    #[test]
    fn the_end_is_seen_and_sending_to_a_closed_socket_is_no_signal() {
        let (a, b) = pair().unwrap();
        drop(a);
        assert!(receive(&b).unwrap().is_none());
        assert_eq!(send(&b, b"x", &[]), Err(Errno::PIPE));
    }

    /// Sends the write end of a pipe `count` times in one packet.
    fn send_many(socket: &OwnedFd, writer: &impl AsFd, count: usize) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let rights = vec![writer.as_fd(); count];
        assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
        let bytes = [IoSlice::new(b"many")];
        sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    #[test]
    fn a_packet_with_too_many_descriptors_is_refused_and_none_stays_open() {
        for count in DESCRIPTORS_MAX + 1..=16 {
            let (a, b) = pair().unwrap();
            let (mut reader, writer) = std::io::pipe().unwrap();
            send_many(&a, &writer, count);
            drop(writer);
            assert_eq!(receive(&b).unwrap_err(), Errno::MSGSIZE, "{count}");
            // At the end only if no copy of the other end is left, or this would block.
            let mut text = String::new();
            assert_eq!(std::io::Read::read_to_string(&mut reader, &mut text).unwrap(), 0);
            send(&a, b"next", &[]).unwrap();
            assert_eq!(receive(&b).unwrap().unwrap().bytes, b"next");
        }
    }

    #[test]
    fn as_many_descriptors_as_allowed_arrive() {
        let (a, b) = pair().unwrap();
        send_many(&a, &b, DESCRIPTORS_MAX);
        assert_eq!(receive(&b).unwrap().unwrap().descriptors.len(), DESCRIPTORS_MAX);
        let rights = [b.as_fd(); 2 * DESCRIPTORS_MAX];
        assert_eq!(send(&a, b"too many", &rights), Err(Errno::INVAL));
    }
}
