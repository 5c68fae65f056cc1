//! Packets over Unix sockets, with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use crate::sys::adopt;

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
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends a packet.
///
/// # Errors
///
/// `EAGAIN` if it would block and the socket must not; `EPIPE` if nobody is there any more.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let fd = socket.as_fd().as_raw_fd();
    retry(|| sendmsg::<()>(fd, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None))
        .map(drop)
}

/// Receives a packet; `None` at the end.
///
/// # Errors
///
/// `EAGAIN` if there is none and the socket must not block; `EMSGSIZE` if it is too long.
pub fn receive(socket: impl AsFd) -> Result<Option<Packet>, Errno> {
    let mut bytes = vec![0; PACKET_MAX];
    let mut control = cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let fd = socket.as_fd().as_raw_fd();
    let (len, cut, descriptors) = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(fd, &mut slices, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let cut = message.flags.contains(MsgFlags::MSG_TRUNC);
                let mut descriptors = Vec::new();
                for item in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = item {
                        descriptors.extend(numbers.into_iter().map(adopt));
                    }
                }
                break (message.bytes, cut, descriptors);
            }
        }
    };
    if cut {
        return Err(Errno::EMSGSIZE);
    }
    if len == 0 {
        return Ok(None);
    }
    bytes.truncate(len);
    Ok(Some(Packet { bytes, descriptors }))
}

fn retry<T>(mut operation: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match operation() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
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
    fn the_end_is_seen_and_sending_to_nobody_is_no_signal() {
        let (a, b) = pair().unwrap();
        drop(a);
        assert!(receive(&b).unwrap().is_none());
        assert_eq!(send(&b, b"x", &[]), Err(Errno::EPIPE));
    }
}
