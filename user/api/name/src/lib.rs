//! The interface of the name service: a name of at most 24 bytes stands for a handle.
//!
//! [`Request`] is the one description of what goes over, for both sides; the functions for clients,
//! which go through handle 1, are [`register`], [`lookup`], [`wait_for`] and [`all`].
//!
//! A name is its owner's (badge of its handle) until the owner's endpoint is gone. A server's name is not
//! a program's then either, and a program loses its name to a server that registers it. It stands for an
//! endpoint, not for a process: it stays when a server is restarted, or replaced by another program.
//!
//! **Kept over a restart and over a replacement**: every name that was registered, wherever the service
//! is when it ends; one that is just being registered is or is not, and [`register`] asks again. While
//! the service is being replaced, it registers nothing for a moment, and [`register`] waits. If it is
//! given up and started by hand, it begins without names; handles that clients have go on.
//!
//! **What a client may see twice**: nothing. The requests mean the same to every generation, and a name
//! that is registered twice is registered once. Names that come and go while they are listed may be
//! missed, or listed twice.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod client;
mod name;

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;

#[cfg(target_os = "none")]
pub use client::{all, lookup, register, wait_for};
pub use name::{NAME_MAX, Name};

const REGISTER: u64 = 1;
const LOOKUP: u64 = 2;
const LIST: u64 = 3;

/// A request to the name service. The reply's first word is 0 or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Let this name stand for the handle that comes with it. `Busy`: it is another's, or was a server's.
    Register(Name),
    /// The reply comes with a handle. `NoEntry`: there is no such name.
    Lookup(Name),
    /// The reply's other words are name number so much. `NoEntry`: there are not so many.
    List(u32),
}

impl Request {
    /// As words of a message.
    #[must_use]
    pub fn encode(self) -> [u64; IPC_WORDS] {
        match self {
            Self::Register(name) => with_name(REGISTER, name),
            Self::Lookup(name) => with_name(LOOKUP, name),
            Self::List(index) => [LIST, index.into(), 0, 0],
        }
    }

    /// From words that any process may have sent.
    pub fn decode(words: [u64; IPC_WORDS]) -> Result<Self, Error> {
        match words[0] {
            REGISTER => name_in(words).map(Self::Register),
            LOOKUP => name_in(words).map(Self::Lookup),
            LIST => u32::try_from(words[1]).map(Self::List).map_err(|_| Error::NoEntry),
            _ => Err(Error::Protocol),
        }
    }
}

/// Words of a message with a name: a first one, then the name's.
#[must_use]
pub fn with_name(first: u64, name: Name) -> [u64; IPC_WORDS] {
    let [a, b, c] = name.to_words();
    [first, a, b, c]
}

/// The name in words of a message.
pub fn name_in(words: [u64; IPC_WORDS]) -> Result<Name, Error> {
    let [_, a, b, c] = words;
    Name::from_words([a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_comes_back_from_its_words() {
        let name = Name::new("serial").unwrap();
        for request in [Request::Register(name), Request::Lookup(name), Request::List(7)] {
            assert_eq!(Request::decode(request.encode()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(Request::decode([9, 0, 0, 0]), Err(Error::Protocol));
        assert_eq!(Request::decode([LOOKUP, 0, 0, 0]), Err(Error::Invalid));
        assert_eq!(Request::decode([LIST, u64::MAX, 0, 0]), Err(Error::NoEntry));
    }
}
