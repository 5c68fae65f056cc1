//! The interface between stages of a pipeline: pages full of bytes go from one to the next, and are
//! never copied.
//!
//! [`Request`] is the one description of what goes over, for both sides. A stage takes with [`Stage`]
//! and gives to the next with [`push`] and [`end`].
//!
//! **Kept over a restart and over a replacement**: nothing; a stage is a program and has neither. When
//! it ends, the stages around it are told so (`PeerGone`, or nothing comes for half a minute) and end:
//! another stage in its place would not have what came before.
//!
//! **What a stage may see twice**: nothing; no call is repeated. Pages that the next stage had taken when
//! it ended are gone.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod client;
#[cfg(target_os = "none")]
mod stage;

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;

#[cfg(target_os = "none")]
pub use client::{end, push};
#[cfg(target_os = "none")]
pub use stage::Stage;

const DATA: u64 = 1;
const END: u64 = 2;

/// A request to the next stage. The reply's first word is 0 or an error; it comes when the stage has
/// taken the request, so all stages work at once, and a fast one waits for a slow one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// So many bytes are in the pages that are handed over with it.
    Data(usize),
    /// Nothing more will come.
    End,
}

impl Request {
    /// As words of a message.
    #[must_use]
    pub const fn encode(self) -> [u64; IPC_WORDS] {
        match self {
            Self::Data(len) => [DATA, len as u64, 0, 0],
            Self::End => [END, 0, 0, 0],
        }
    }

    /// From words that any process may have sent.
    pub fn decode(words: [u64; IPC_WORDS]) -> Result<Self, Error> {
        match words[0] {
            DATA => usize::try_from(words[1]).map(Self::Data).map_err(|_| Error::TooLong),
            END => Ok(Self::End),
            _ => Err(Error::Protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_comes_back_from_its_words() {
        for request in [Request::Data(4096), Request::End] {
            assert_eq!(Request::decode(request.encode()), Ok(request));
        }
        assert_eq!(Request::decode([3, 0, 0, 0]), Err(Error::Protocol));
    }
}
