//! The interface of a serial line, registered as `serial`.
//!
//! [`Request`] is the one description of what goes over, for both sides; the functions for clients
//! are [`write`] and [`read`].
//!
//! **Kept over a restart and over a replacement**: input of the line that no client has read, up
//! to 256 bytes, wherever the server is when it ends; and what it said to have written still leaves the
//! device. A byte that it is just taking out of the device when it is killed is lost, and so may be what
//! comes while a replacement is on probation and fails.
//!
//! **What a client may see twice**: nothing of what it reads. If the server ends while it serves a
//! [`read`], the client asks again and gets the same, unless another client has read in between: then
//! what the reply had is lost. What is written may come twice, the first time in part: if the server is
//! killed while it writes, the client asks again for all of that request. A request is written as a
//! whole, with nothing of others in it, unless the server ends or the line is stuck (`Io`: it may have
//! been written in part); in a replacement it finishes first.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod client;

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;

#[cfg(target_os = "none")]
pub use client::{read, write};

/// The name it is registered by.
pub const NAME: &str = "serial";

const WRITE: u64 = 1;
const WRITE_LENT: u64 = 2;
const READ: u64 = 3;

/// Bytes that a message can carry in its words.
pub const INLINE_MAX: usize = 24;
/// Bytes that are written for one request: more would keep others waiting for longer than the third
/// of a second that these take.
pub const LENT_MAX: usize = ant_abi::PAGE_SIZE;

/// At most 24 bytes, in the words of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inline {
    len: usize,
    bytes: [u8; INLINE_MAX],
}

impl Inline {
    /// The first bytes of `data`, as many as fit.
    #[must_use]
    pub fn first_of(data: &[u8]) -> Self {
        let len = data.len().min(INLINE_MAX);
        let mut bytes = [0; INLINE_MAX];
        bytes[..len].copy_from_slice(&data[..len]);
        Self { len, bytes }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn encode(self, first: u64) -> [u64; IPC_WORDS] {
        let [a, b, c]: [u64; 3] = zerocopy::transmute!(self.bytes);
        [first, a, b, c]
    }

    fn decode(len: u64, words: [u64; IPC_WORDS]) -> Result<Self, Error> {
        let len = usize::try_from(len).ok().filter(|&len| len <= INLINE_MAX);
        let [_, a, b, c] = words;
        Ok(Self { len: len.ok_or(Error::TooLong)?, bytes: zerocopy::transmute!([a, b, c]) })
    }
}

/// A request to the server of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Write these bytes. The reply's first word is 0 or an error.
    Write(Inline),
    /// Write so many bytes, at most [`LENT_MAX`], of the pages that are lent with it. The reply as of
    /// `Write`.
    WriteLent(usize),
    /// The reply is what has come, at most 24 bytes: see [`encode_read`]. The number, not 0, is no other
    /// reading's; asked for by the same one, the last reading is given once more.
    Read(u64),
}

impl Request {
    /// As words of a message.
    #[must_use]
    pub fn encode(self) -> [u64; IPC_WORDS] {
        match self {
            Self::Write(inline) => inline.encode(WRITE | (inline.len as u64) << 8),
            Self::WriteLent(len) => [WRITE_LENT, len as u64, 0, 0],
            Self::Read(number) => [READ, number, 0, 0],
        }
    }

    /// From words that any process may have sent.
    pub fn decode(words: [u64; IPC_WORDS]) -> Result<Self, Error> {
        match words[0] & 0xff {
            WRITE => Inline::decode(words[0] >> 8, words).map(Self::Write),
            WRITE_LENT => {
                let len = usize::try_from(words[1]).ok().filter(|&len| len <= LENT_MAX);
                len.map(Self::WriteLent).ok_or(Error::TooLong)
            }
            READ => Ok(Self::Read(words[1])),
            _ => Err(Error::Protocol),
        }
    }
}

/// The reply to `Read`: the number of bytes, then the bytes.
#[must_use]
pub fn encode_read(data: Inline) -> [u64; IPC_WORDS] {
    data.encode(data.len as u64)
}

/// What the reply to `Read` has.
pub fn decode_read(words: [u64; IPC_WORDS]) -> Result<Inline, Error> {
    Inline::decode(words[0], words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_comes_back_from_its_words() {
        let write = Request::Write(Inline::first_of(b"hello"));
        for request in [write, Request::WriteLent(LENT_MAX), Request::Read(7)] {
            assert_eq!(Request::decode(request.encode()), Ok(request));
        }
    }

    #[test]
    fn what_is_read_comes_back_from_its_words() {
        for data in [&b""[..], b"x", b"123456789012345678901234"] {
            let words = encode_read(Inline::first_of(data));
            assert_eq!(decode_read(words).unwrap().as_slice(), data);
        }
    }

    #[test]
    fn more_bytes_than_there_are_words_for_are_refused() {
        assert_eq!(Request::decode([WRITE | 25 << 8, 0, 0, 0]), Err(Error::TooLong));
        let too_long = [WRITE_LENT, LENT_MAX as u64 + 1, 0, 0];
        assert_eq!(Request::decode(too_long), Err(Error::TooLong));
        assert_eq!(decode_read([u64::MAX, 0, 0, 0]), Err(Error::TooLong));
        assert_eq!(Request::decode([0, 0, 0, 0]), Err(Error::Protocol));
    }
}
