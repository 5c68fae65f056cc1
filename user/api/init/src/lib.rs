//! What OS servers and `init` say to each other; `ant_rt::server` speaks it for every server.
//!
//! A server's first call is `Ready`; it begins to serve when the reply, [`StartGrant`], has come. With
//! it come the server's state pages, shared, if the manifest gives it some.
//!
//! **Kept over a restart and over a replacement**: the state pages, as the last store has left them
//! (`ant_logic::persist`), and the handles that were kept when the reply to `Keep` came. The next program
//! gets both even if it is another one, so it checks what it finds. If the server was given up and is
//! restarted by hand, they are new and none. `init` itself does not end.
//!
//! **What a server may see twice**: nothing; a request that it sent before it was killed, without
//! seeing the reply, was served or was not. While it is being replaced, `Keep` and `Forget` are
//! refused with `Again`, because the next one has what was kept already.
#![no_std]
#![forbid(unsafe_code)]

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;

/// Handles that `init` can keep for one server.
pub const KEPT_MAX: u32 = 16;
/// Number of the first kept handle in a server that was restarted; the next ones follow. Before them
/// come those to `init` and to its own endpoint, behind them those to the servers that it uses.
pub const FIRST_KEPT: u64 = 3;

/// A request to `init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The server is ready. The reply, a [`StartGrant`], comes when it may serve.
    Ready,
    /// The server was told to end (`NOTIFY_RETIRE`, which any process with a handle can raise): shall it?
    /// The reply is 1 if so, 0 if not.
    Retire,
    /// Keep the handle that comes with it in this slot, for the server's next generation.
    Keep(u32),
    /// Let go of the handle in this slot.
    Forget(u32),
}

impl Request {
    /// As words of a message.
    #[must_use]
    pub const fn encode(self) -> [u64; IPC_WORDS] {
        match self {
            Self::Ready => [1, 0, 0, 0],
            Self::Retire => [2, 0, 0, 0],
            Self::Keep(slot) => [3, slot as u64, 0, 0],
            Self::Forget(slot) => [4, slot as u64, 0, 0],
        }
    }

    /// From words that any process may have sent.
    pub fn decode(words: [u64; IPC_WORDS]) -> Result<Self, Error> {
        let slot = || {
            let slot = u32::try_from(words[1]).ok().filter(|&slot| slot < KEPT_MAX);
            slot.ok_or(Error::Invalid)
        };
        match words[0] {
            1 => Ok(Self::Ready),
            2 => Ok(Self::Retire),
            3 => slot().map(Self::Keep),
            4 => slot().map(Self::Forget),
            _ => Err(Error::Protocol),
        }
    }
}

/// The reply to `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartGrant {
    /// Generation of the server's endpoint.
    pub generation: u32,
    /// Notification bit to raise at `init`'s endpoint as soon as the server serves, and when a
    /// `REQUEST_ALIVE` was sent.
    pub heartbeat: u64,
    /// Slots, one bit each, of the handles that were kept. They are numbered from [`FIRST_KEPT`] on,
    /// in the order of their slots.
    pub kept: u64,
}

impl StartGrant {
    /// As words of a message.
    #[must_use]
    pub const fn encode(self) -> [u64; IPC_WORDS] {
        [self.generation as u64, self.heartbeat, self.kept, 0]
    }

    /// From words of `init`.
    #[must_use]
    pub const fn decode(words: [u64; IPC_WORDS]) -> Self {
        Self { generation: words[0] as u32, heartbeat: words[1], kept: words[2] }
    }

    /// The kept handles: slot and number.
    pub fn kept(self) -> impl Iterator<Item = (u32, u64)> {
        (0..KEPT_MAX).filter(move |slot| self.kept >> slot & 1 == 1).zip(FIRST_KEPT..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_comes_back_from_its_words() {
        for request in [Request::Ready, Request::Retire, Request::Keep(3), Request::Forget(15)] {
            assert_eq!(Request::decode(request.encode()), Ok(request));
        }
    }

    #[test]
    fn a_slot_that_is_none_is_refused() {
        assert_eq!(Request::decode([3, u64::from(KEPT_MAX), 0, 0]), Err(Error::Invalid));
        assert_eq!(Request::decode([4, u64::MAX, 0, 0]), Err(Error::Invalid));
        assert_eq!(Request::decode([5, 0, 0, 0]), Err(Error::Protocol));
    }

    #[test]
    fn kept_handles_are_numbered_in_the_order_of_their_slots() {
        let grant = StartGrant { generation: 2, heartbeat: 1, kept: 0b1001 };
        assert_eq!(StartGrant::decode(grant.encode()), grant);
        assert!(grant.kept().eq([(0, FIRST_KEPT), (3, FIRST_KEPT + 1)]));
    }
}
