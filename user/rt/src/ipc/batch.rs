//! Several operations in one system call.

use ant_abi::Error;
use ant_abi::ipc::{BATCH_MAX, IpcOperation, OperationKind};
use ant_abi::syscall::Sysnum;
use arrayvec::ArrayVec;

use super::{Handle, Message, Token};
use crate::ant::check;
use crate::raw;

/// Sends, notifications and replies to be done one after the other; none of them waits.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    operations: ArrayVec<IpcOperation, BATCH_MAX>,
    messages: ArrayVec<Message<'a>, BATCH_MAX>,
}

/// What became of each operation, in their order.
pub type Results = ArrayVec<Result<(), Error>, BATCH_MAX>;

impl<'a> Batch<'a> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`super::send`]. `TooLong`: the batch is full.
    pub fn send(&mut self, handle: Handle, message: Message<'a>) -> Result<(), Error> {
        self.push(OperationKind::Send, handle.number(), message)
    }

    /// As [`super::notify`].
    pub fn notify(&mut self, handle: Handle, bits: u64) -> Result<(), Error> {
        self.push(OperationKind::Notify, handle.number(), Message::new([bits, 0, 0, 0]))
    }

    /// As [`super::reply`]. `TooLong`: the batch is full; the caller gets no reply.
    pub fn reply(&mut self, token: Token, message: Message<'a>) -> Result<(), Error> {
        self.push(OperationKind::Reply, token.number(), message)
    }

    /// Does them; pages of those that failed are freed.
    pub fn run(mut self) -> Result<Results, Error> {
        let args = [self.operations.as_mut_ptr() as u64, self.operations.len() as u64, 0];
        // SAFETY: the kernel fills the results; the pages are the messages', so this process's.
        check(unsafe { raw::syscall(Sysnum::IpcBatch, args) })?;
        for (operation, message) in self.operations.iter().zip(&mut self.messages) {
            if operation.result == 0 {
                message.sent();
            }
        }
        let results =
            self.operations.iter().map(|operation| check(operation.result.into()).map(drop));
        Ok(results.collect())
    }

    fn push(
        &mut self,
        kind: OperationKind,
        target: u64,
        message: Message<'a>,
    ) -> Result<(), Error> {
        let registers = message.registers([0; 3]);
        let (span, handle) = (registers.span, registers.handle);
        let operation = IpcOperation {
            kind: kind.into(),
            result: 0,
            target,
            words: message.words,
            span,
            handle,
        };
        self.operations.try_push(operation).map_err(|_| Error::TooLong)?;
        self.messages.push(message);
        Ok(())
    }
}
