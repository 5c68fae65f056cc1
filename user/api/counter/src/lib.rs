//! The interface of a counter, registered as `counter`: what the server to copy, `user/template`, does.
//!
//! [`Add`] is the one description of what goes over, for both sides; clients call [`add`].
//!
//! **Kept over a restart and over a replacement**: nothing; the next one begins at 0.
//!
//! **What a client may see twice**: a number that is being added when the server ends may be in the sum
//! of the one that has ended only; [`add`] asks the next one.
#![no_std]
#![forbid(unsafe_code)]

use ant_abi::ipc::IPC_WORDS;

/// The name it is registered by.
pub const NAME: &str = "counter";

/// The request: add this. The reply is the sum so far, modulo 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add(pub u32);

impl Add {
    /// As words of a message.
    #[must_use]
    pub const fn encode(self) -> [u64; IPC_WORDS] {
        [self.0 as u64, 0, 0, 0]
    }

    /// From words that any process may have sent: of a larger number the lower half.
    #[must_use]
    pub const fn decode(words: [u64; IPC_WORDS]) -> Self {
        Self(words[0] as u32)
    }
}

/// Adds a number; the sum.
#[cfg(target_os = "none")]
pub fn add(counter: ant_rt::ipc::Handle, number: u32) -> Result<u64, ant_abi::Error> {
    use ant_rt::ipc::{Message, Timeout, call_idempotent};
    call_idempotent(counter, &mut Message::new(Add(number).encode()), Timeout::FOREVER)?.result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_comes_back_from_its_words() {
        assert_eq!(Add::decode(Add(7).encode()), Add(7));
        assert_eq!(Add::decode([u64::MAX, 0, 0, 0]), Add(u32::MAX));
    }
}
