//! Fills the head and the buffer of an LCA, argument by argument.

use ant_abi::Error;
use ant_abi::lca::{ARG_BUFFER, ARG_VALUE, ARGS, Arg, LCA_BUFFER, Lca, RELOCATIONS, Relocation};

/// Everything in the buffer begins at a multiple of this.
const ALIGN: usize = 8;

const NO_ARG: Arg = Arg { kind: ARG_VALUE, reserved: [0; 3], len: 0, value: 0 };
const NO_RELOCATION: Relocation = Relocation { at: 0, target: 0, len: 0 };

/// Puts a call into an LCA, argument by argument, in order.
///
/// It fills number, arguments, relocations and buffer, and sets the result and what is reserved to
/// zero. `cid`, `cflag` and the stamps are others' to fill. Arguments that are not given are 0.
///
/// It only ever writes to the LCA: a proxy may have it mapped, so what is read back can be anything.
#[derive(Debug)]
pub struct Builder<'a> {
    lca: &'a mut Lca,
    /// Arguments given in order.
    next: usize,
    /// Bytes of the buffer that are taken.
    used: usize,
    /// Offset in the buffer of each argument that points there.
    offsets: [Option<usize>; ARGS],
    relocations: usize,
}

impl<'a> Builder<'a> {
    /// Begins call `nr` in `lca`.
    pub fn new(lca: &'a mut Lca, nr: u64) -> Self {
        lca.syscallno = nr;
        lca.retval = 0;
        lca.relocation_count = 0;
        lca.reserved = 0;
        lca.args = [NO_ARG; ARGS];
        lca.relocations = [NO_RELOCATION; RELOCATIONS];
        lca.reserved_tail.fill(0);
        Self { lca, next: 0, used: 0, offsets: [None; ARGS], relocations: 0 }
    }

    /// The next argument is `value`.
    ///
    /// # Panics
    ///
    /// If there are six arguments already.
    pub fn value(&mut self, value: u64) -> &mut Self {
        self.set_value(self.next, value);
        self.next += 1;
        self
    }

    /// The next argument points to a copy of `bytes`; its offset in the buffer.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the buffer has no room for it.
    ///
    /// # Panics
    ///
    /// If there are six arguments already.
    pub fn input(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let offset = self.output(bytes.len())?;
        self.lca.buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(offset)
    }

    /// The next argument points to room for `len` bytes; its offset in the buffer, where the
    /// result will be.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the buffer has no room for it.
    ///
    /// # Panics
    ///
    /// If there are six arguments already.
    pub fn output(&mut self, len: usize) -> Result<usize, Error> {
        let offset = self.reserve(len)?;
        self.set_buffer(self.next, offset, len);
        self.next += 1;
        Ok(offset)
    }

    /// Ends the call: the LCA is complete.
    pub fn finish(self) {}

    /// Bytes of the buffer that are free.
    pub(super) fn room(&self) -> usize {
        LCA_BUFFER - self.used
    }

    /// The free part of the buffer: what `reserve` gives next.
    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.lca.buffer[self.used..]
    }

    /// Where argument `index` points to, if it points into the buffer.
    pub(super) fn offset(&self, index: usize) -> Option<usize> {
        self.offsets[index]
    }

    /// Takes the next `len` bytes of the buffer; their offset.
    pub(super) fn reserve(&mut self, len: usize) -> Result<usize, Error> {
        if len > self.room() {
            return Err(Error::TooLong);
        }
        let offset = self.used;
        self.used = (offset + len).next_multiple_of(ALIGN).min(LCA_BUFFER);
        Ok(offset)
    }

    /// The `len` bytes at `offset` of the buffer.
    pub(super) fn bytes(&mut self, offset: usize, len: usize) -> &mut [u8] {
        &mut self.lca.buffer[offset..offset + len]
    }

    /// Argument `index` is `value`.
    pub(super) fn set_value(&mut self, index: usize, value: u64) {
        self.lca.args[index] = Arg { value, ..NO_ARG };
        self.offsets[index] = None;
    }

    /// Argument `index` points to the `len` bytes at `offset`.
    pub(super) fn set_buffer(&mut self, index: usize, offset: usize, len: usize) {
        self.lca.args[index] =
            Arg { kind: ARG_BUFFER, len: len as u32, value: offset as u64, ..NO_ARG };
        self.offsets[index] = Some(offset);
    }

    /// The eight bytes at `at` must point to the `len` bytes at `target`; there must be a
    /// relocation left.
    pub(super) fn relocate(&mut self, at: usize, target: usize, len: usize) {
        self.lca.relocations[self.relocations] =
            Relocation { at: at as u16, target: target as u16, len: len as u32 };
        self.relocations += 1;
        self.lca.relocation_count = self.relocations as u32;
    }
}
