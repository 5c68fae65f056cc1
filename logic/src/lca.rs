//! A Linux system call into an LCA and out of it again (paper 4.1, serialisation).
//!
//! The process's side: [`encode`] puts a call into an LCA, by the table in [`crate::calls`], and
//! [`Plan::finish`] takes out of it what the call has written. [`Builder`] is the layer below, for
//! calls with data that is not in a process's memory. Linux's side: [`decode`] checks the head of
//! an LCA and says what to execute; it knows no system call. What it says to have returned is
//! [`result`].
//!
//! Deliberately absent: mapping, waiting, executing.

mod builder;
mod decode;
mod encode;
mod memory;
mod result;

pub use builder::Builder;
pub use decode::{Argument, DecodeError, Decoded, End, Pointer, Request, decode};
pub use encode::{Plan, encode};
pub use memory::Memory;
pub use result::{count, result};

/// Why a call could not be encoded or finished: `TooLong`, `Fault`, `NoSystemCall`, `Invalid`.
pub use ant_abi::Error;

#[cfg(all(test, not(loom)))]
mod tests;
