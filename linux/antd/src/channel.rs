//! How the parent and one proxy talk: a packet socket pair, made before the fork.
//!
//! Down: one [`Assignment`], then a wake-up for each further call. Up: one [`Notice`] before the
//! proxy exits. A program controls its proxy, so the parent believes a notice only as far as it
//! concerns that program, and reads it only when the proxy has ended.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use ant_protocol::packet::{self, Packet};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::text::printable;

/// A wake-up. Anything but an assignment, which is JSON.
const WAKE: &[u8] = b"w";
/// First byte of `Notice::OneShot`.
const ONE_SHOT: u8 = b'o';
/// First byte of `Notice::Ended`.
const ENDED: u8 = b'e';
/// First byte of `Notice::Failed`.
const FAILED: u8 = b'f';

/// What a proxy serves. Comes with four descriptors: what becomes 0, 1 and 2, and the
/// directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The LCA with its generation.
    pub lca: u64,
    /// User and rights of the proxy.
    pub identity: Identity,
}

/// Why a proxy exits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The call was without continuation.
    OneShot,
    /// The process on AnT has ended.
    Ended {
        /// An `ant_abi::lca::ExitKind`.
        kind: u64,
        /// The number that goes with it.
        number: u64,
        /// What happened.
        text: String,
    },
    /// The proxy cannot go on.
    Failed(String),
}

/// The parent's end.
#[derive(Debug)]
pub struct ParentEnd(OwnedFd);

/// The proxy's end.
#[derive(Debug)]
pub struct ProxyEnd(OwnedFd);

/// A new channel.
///
/// # Errors
///
/// Too many open files.
pub fn channel() -> Result<(ParentEnd, ProxyEnd), Errno> {
    let (parent, proxy) = packet::pair()?;
    ioctl_fionbio(&parent, true)?;
    Ok((ParentEnd(parent), ProxyEnd(proxy)))
}

impl ParentEnd {
    /// Sends the proxy its assignment, which is its first wake-up, too.
    ///
    /// # Errors
    ///
    /// The proxy has gone.
    pub fn assign(
        &self,
        assignment: &Assignment,
        descriptors: &[BorrowedFd<'_>; 4],
    ) -> Result<(), Errno> {
        let bytes = serde_json::to_vec(assignment).expect("an assignment can be written");
        packet::send(&self.0, &bytes, descriptors)
    }

    /// Wakes the proxy for a further call. Nothing happens if it has gone, or has wake-ups queued.
    pub fn wake(&self) {
        let _ = send(&self.0, WAKE, SendFlags::NOSIGNAL);
    }

    /// Why the proxy exited, if it said so. Call it when the proxy has ended.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let packet = packet::receive(&self.0).ok().flatten()?;
        Notice::from_bytes(&packet.bytes)
    }
}

impl ProxyEnd {
    /// Gives the channel a descriptor of at least `least` in place of the one it has.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn raise(self, least: RawFd) -> Result<Self, Errno> {
        fcntl_dupfd_cloexec(&self.0, least).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Waits for the assignment; `None` if the parent has closed the channel.
    ///
    /// # Errors
    ///
    /// What came is no assignment.
    pub fn assignment(&self) -> Result<Option<(Assignment, Vec<OwnedFd>)>, String> {
        let packet = packet::receive(&self.0).map_err(|errno| format!("no assignment: {errno}"))?;
        let Some(Packet { bytes, descriptors }) = packet else { return Ok(None) };
        let assignment = serde_json::from_slice(&bytes)
            .map_err(|error| format!("not an assignment: {error}"))?;
        Ok(Some((assignment, descriptors)))
    }

    /// Waits for the next wake-up; `false` if the parent has closed the channel.
    #[must_use]
    pub fn wait(&self) -> bool {
        let mut wake = [0; WAKE.len()];
        let received = retry_on_intr(|| recv(&self.0, &mut wake, RecvFlags::empty()));
        received.is_ok_and(|(_, len)| len > 0)
    }

    /// Tells the parent why this proxy exits.
    pub fn tell(&self, notice: &Notice) {
        let _ = packet::send(&self.0, &notice.to_bytes(), &[]);
    }
}

impl Notice {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Notice::OneShot => vec![ONE_SHOT],
            Notice::Ended { kind, number, text } => {
                let mut bytes = vec![ENDED];
                bytes.extend(kind.to_le_bytes());
                bytes.extend(number.to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes
            }
            Notice::Failed(text) => [&[FAILED], text.as_bytes()].concat(),
        }
    }

    /// `None` if the bytes are no notice.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        match first {
            ONE_SHOT => rest.is_empty().then_some(Notice::OneShot),
            ENDED => {
                let (kind, rest) = rest.split_first_chunk()?;
                let (number, text) = rest.split_first_chunk()?;
                Some(Notice::Ended {
                    kind: u64::from_le_bytes(*kind),
                    number: u64::from_le_bytes(*number),
                    text: printable(text),
                })
            }
            FAILED => Some(Notice::Failed(printable(rest))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notices_come_back_as_they_were() {
        let (parent, proxy) = channel().unwrap();
        let notices = [
            Notice::OneShot,
            Notice::Ended { kind: 1, number: 11, text: "page fault at 0x0".into() },
            Notice::Failed("no LCA".into()),
        ];
        for notice in &notices {
            proxy.tell(notice);
            assert_eq!(parent.notice().as_ref(), Some(notice));
        }
        assert_eq!(parent.notice(), None, "there is no other, and the call does not block");
    }

    #[test]
    fn a_channel_without_a_parent_ends() {
        let (parent, proxy) = channel().unwrap();
        parent.wake();
        drop(parent);
        assert!(proxy.wait());
        assert!(!proxy.wait());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Notice::from_bytes(&bytes);
        }
    }
}
