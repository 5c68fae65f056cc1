//! How the parent and one proxy talk: a packet socket pair, made before the fork.
//!
//! Down: one [`Assignment`], then a wake-up for each further call. Up: one [`Notice`] before the
//! proxy exits. A proxy does what its AP process wants, so the parent believes a notice only as far
//! as it concerns that process, and reads it only when the proxy has ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, recv, send};
use serde::{Deserialize, Serialize};

use crate::proxy::Identity;
use crate::socket::{self, Packet};

/// A wake-up. Anything but an assignment, which is JSON.
const WAKE: &[u8] = b"w";
/// First byte of `Notice::OneShot`.
const ONE_SHOT: u8 = b'o';
/// First byte of `Notice::Ended`.
const ENDED: u8 = b'e';
/// First byte of `Notice::Failed`.
const FAILED: u8 = b'f';
/// Longest text of a notice.
const TEXT_MAX: usize = 1024;

/// What a proxy is made for. Comes with four descriptors: what becomes 0, 1 and 2, and the
/// directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The LCA with its generation.
    pub lca: u64,
    /// As whom it acts.
    pub identity: Identity,
}

/// Why a proxy exits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The call was without continuation.
    OneShot,
    /// The AP process is over.
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
    let (parent, proxy) = socket::pair()?;
    fcntl(&parent, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ParentEnd(parent), ProxyEnd(proxy)))
}

impl ParentEnd {
    /// Gives the proxy its work; that is its first wake-up, too.
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
        socket::send(&self.0, &bytes, descriptors)
    }

    /// Wakes the proxy for a further call. If it has gone, or has wake-ups enough, nothing happens.
    pub fn wake(&self) {
        let _ = send(self.0.as_raw_fd(), WAKE, MsgFlags::MSG_NOSIGNAL);
    }

    /// Why the proxy exited, if it said so. Call it when the proxy has ended.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let packet = socket::receive(&self.0).ok().flatten()?;
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
        fcntl(&self.0, FcntlArg::F_DUPFD_CLOEXEC(least)).map(crate::sys::adopt).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Waits for work; `None` if the parent has none any more.
    ///
    /// # Errors
    ///
    /// What came is no assignment.
    pub fn assignment(&self) -> Result<Option<(Assignment, Vec<OwnedFd>)>, String> {
        let packet = socket::receive(&self.0).map_err(|errno| format!("no assignment: {errno}"))?;
        let Some(Packet { bytes, descriptors }) = packet else { return Ok(None) };
        let assignment = serde_json::from_slice(&bytes)
            .map_err(|error| format!("an assignment that is none: {error}"))?;
        Ok(Some((assignment, descriptors)))
    }

    /// Waits for the next wake-up; `false` if there is no parent any more.
    #[must_use]
    pub fn wait(&self) -> bool {
        let mut wake = [0; WAKE.len()];
        loop {
            match recv(self.number(), &mut wake, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                result => return result.is_ok_and(|len| len > 0),
            }
        }
    }

    /// Tells the parent why this proxy exits.
    pub fn tell(&self, notice: &Notice) {
        let _ = socket::send(&self.0, &notice.to_bytes(), &[]);
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

    /// `None` if the bytes mean nothing.
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

/// Text from a source that is not trusted: of bounded length, without control characters.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(TEXT_MAX)];
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\0', '\n'])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
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
        assert_eq!(parent.notice(), None, "nothing waits, and nobody waits for it");
    }

    #[test]
    fn a_channel_without_a_parent_ends() {
        let (parent, proxy) = channel().unwrap();
        parent.wake();
        drop(parent);
        assert!(proxy.wait());
        assert!(!proxy.wait());
    }

    #[test]
    fn text_from_outside_cannot_drive_a_terminal() {
        assert_eq!(printable(b"a\x1b[31mb\n\0"), "a [31mb");
        assert_eq!(printable(&[b'x'; 5000]).len(), TEXT_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Notice::from_bytes(&bytes);
        }
    }
}
