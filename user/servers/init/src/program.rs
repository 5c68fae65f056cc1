//! The program of a server: of the bundle, or sent by `antd` to replace it.

use ant_abi::control::PROGRAM_MAX;
use ant_abi::{Error, PAGE_SIZE};
use ant_rt::ica::Pages;

/// A program.
pub enum Program {
    /// Of the bundle.
    Bundled(&'static [u8]),
    /// Sent.
    Sent(Upload),
}

impl Program {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bundled(bytes) => bytes,
            Self::Sent(upload) => &upload.pages.as_slice()[..upload.filled],
        }
    }
}

/// A program that comes in pieces.
pub struct Upload {
    pages: Pages,
    len: usize,
    filled: usize,
}

impl Upload {
    /// Room for a program of `len` bytes.
    pub fn new(len: usize) -> Result<Self, Error> {
        if !(1..=PROGRAM_MAX).contains(&len) {
            return Err(Error::TooLong);
        }
        let pages = Pages::alloc(len.div_ceil(PAGE_SIZE) as u32)?;
        Ok(Self { pages, len, filled: 0 })
    }

    /// Adds the bytes from `at` on. `Protocol`: they are not the next ones.
    pub fn add(&mut self, at: usize, len: usize, bytes: &[u8]) -> Result<(), Error> {
        if at != self.filled || len != self.len || bytes.len() > len - at {
            return Err(Error::Protocol);
        }
        self.pages.as_mut_slice()[at..at + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(())
    }

    /// The program, if all of it has come.
    pub fn finish(self) -> Result<Program, Error> {
        if self.filled == self.len { Ok(Program::Sent(self)) } else { Err(Error::Protocol) }
    }
}
