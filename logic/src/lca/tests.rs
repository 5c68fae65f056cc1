//! Encoding, a proxy that executes against a model, and finishing.

use std::vec;
use std::vec::Vec;

use ant_abi::lca::{
    ARG_BUFFER, ARG_LOAN, ARGS, CFLAG_CONTINUE, CFLAG_TRACE, ExitKind, LCA_BUFFER, LCA_HEADER, Lca,
    RELOCATIONS, SYSCALL_EXIT,
};
use proptest::prelude::*;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::*;
use crate::calls::{ArgKind, CALLS, Call, Data, Direction, OutExtent, Size, nr};

mod any_call;
mod calls;
mod hostile;

/// Where the memory of these tests begins; the end of its first page is near.
const BASE: u64 = 0x40_0fc0;

/// A process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    bytes: Vec<u8>,
}

impl Model {
    fn new(len: usize) -> Self {
        // No NUL in it.
        Self { bytes: (0..len).map(|n| (n % 251) as u8 | 1).collect() }
    }

    /// Puts data at `offset`; its address.
    fn put(&mut self, offset: usize, data: &[u8]) -> u64 {
        self.bytes[offset..offset + data.len()].copy_from_slice(data);
        BASE + offset as u64
    }

    fn at(&self, addr: u64, len: usize) -> &[u8] {
        &self.bytes[(addr - BASE) as usize..][..len]
    }

    fn range(&self, addr: u64, len: usize) -> Result<core::ops::Range<usize>, Error> {
        let start = addr.checked_sub(BASE).ok_or(Error::Fault)? as usize;
        let end = start.checked_add(len).ok_or(Error::Fault)?;
        if end > self.bytes.len() { Err(Error::Fault) } else { Ok(start..end) }
    }
}

impl Memory for Model {
    fn read(&self, addr: u64, out: &mut [u8]) -> Result<(), Error> {
        out.copy_from_slice(&self.bytes[self.range(addr, out.len())?]);
        Ok(())
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Error> {
        let range = self.range(addr, data.len())?;
        self.bytes[range].copy_from_slice(data);
        Ok(())
    }
}

/// A fresh LCA, with something in it from before.
fn lca() -> Lca {
    let mut lca = Lca::new_zeroed();
    lca.retval = -1;
    lca.relocation_count = 3;
    lca.args[5].kind = ARG_BUFFER;
    lca.args[5].len = 7;
    lca.buffer.fill(0xee);
    lca
}

fn head(lca: &Lca) -> [u8; LCA_HEADER] {
    *lca.as_bytes().first_chunk().unwrap()
}

fn request(lca: &Lca) -> Request {
    match decode(&head(lca)) {
        Ok(Decoded::Call(request)) => request,
        other => panic!("not a call: {other:?}"),
    }
}

/// The bytes that an argument points to.
fn pointed<'a>(lca: &'a Lca, request: &Request, index: usize) -> &'a [u8] {
    match request.args[index] {
        Argument::Buffer { offset, len } => &lca.buffer[offset..offset + len],
        Argument::Value(value) => panic!("argument {index} is {value}"),
    }
}

/// Writes `data` where an argument points.
fn fill(lca: &mut Lca, request: &Request, index: usize, data: &[u8]) {
    match request.args[index] {
        Argument::Buffer { offset, len } => {
            assert!(data.len() <= len);
            lca.buffer[offset..offset + data.len()].copy_from_slice(data);
        }
        Argument::Value(value) => panic!("argument {index} is {value}"),
    }
}

/// Any call of the table.
fn known_call() -> impl Strategy<Value = &'static Call> {
    (0..CALLS.len()).prop_map(|n| &CALLS[n])
}
