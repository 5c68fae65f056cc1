//! What is sent and what has come.

use core::num::NonZero;
use core::ops::Deref;

use ant_abi::Error;
use ant_abi::ipc::{IPC_WORDS, Span};

use super::Handle;
use crate::ica::{IncomingPages, LentPages, OutgoingPages, Pages, SharedPages};
use crate::raw::Registers;

/// A message to send.
#[derive(Debug, Default)]
pub struct Message<'a> {
    /// The words.
    pub words: [u64; IPC_WORDS],
    /// Pages that go with it.
    pub pages: Option<OutgoingPages<'a>>,
    /// A handle that the receiver gets a copy of.
    pub handle: Option<Handle>,
}

impl<'a> Message<'a> {
    /// Words alone.
    #[inline]
    pub fn new(words: [u64; IPC_WORDS]) -> Self {
        Self { words, ..Self::default() }
    }

    /// A reply of one number or an error, as every interface has it: in the first word.
    #[inline]
    pub fn result(result: Result<u64, Error>) -> Self {
        Self::new([result.unwrap_or_else(|error| error.to_return() as u64), 0, 0, 0])
    }

    /// With pages.
    pub fn with_pages(self, pages: OutgoingPages<'a>) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// With a handle.
    pub fn with_handle(self, handle: Handle) -> Self {
        Self { handle: Some(handle), ..self }
    }

    #[inline]
    pub(super) fn registers(&self, operands: [u64; 3]) -> Registers {
        let span = self.pages.as_ref().map_or(Span::NONE, OutgoingPages::span).0;
        let handle = self.handle.map_or(0, Handle::number);
        Registers { operands, words: self.words, span, handle }
    }

    /// Its pages have gone.
    #[inline]
    pub(super) fn sent(&mut self) {
        if let Some(pages) = self.pages.take() {
            pages.sent();
        }
    }
}

/// What was received with a message. A handle or pages that are not taken are closed or freed with it.
#[derive(Debug)]
pub struct Content {
    /// The words.
    pub words: [u64; IPC_WORDS],
    handle: Option<ReceivedHandle>,
    pages: Option<IncomingPages>,
}

/// A reply that has come.
pub type Reply = Content;

impl Content {
    #[inline]
    pub(super) fn new(registers: &Registers) -> Self {
        Self {
            words: registers.words,
            handle: Handle::new(registers.handle).map(ReceivedHandle),
            pages: IncomingPages::new(registers.span),
        }
    }

    /// The number or the error in the first word, see [`Message::result`].
    #[inline]
    pub fn result(&self) -> Result<u64, Error> {
        crate::ant::check(self.words[0] as i64)
    }

    /// The handle that came with it.
    pub fn take_handle(&mut self) -> Option<Handle> {
        self.handle.take().map(ReceivedHandle::take)
    }

    /// The pages that were handed over with it.
    #[inline]
    pub fn take_pages(&mut self) -> Option<Pages> {
        IncomingPages::take_pages(&mut self.pages)
    }

    /// The pages that were shared with it.
    pub fn take_shared(&mut self) -> Option<SharedPages> {
        IncomingPages::take_shared(&mut self.pages)
    }
}

/// What came to the endpoint.
#[derive(Debug)]
pub enum Received {
    /// These notification bits were raised since the last ones.
    Notification(u64),
    /// A request; its sender waits for the reply.
    Call(Request),
    /// A message without a reply.
    Send(Request),
}

/// A request that has come.
#[derive(Debug)]
pub struct Request {
    /// Badge of the handle that it came through; 0 unless `init` has set one.
    pub badge: u64,
    token: Option<Token>,
    content: Content,
}

impl Request {
    #[inline]
    pub(super) fn new(badge: u64, registers: &Registers, token: Option<Token>) -> Self {
        Self { badge, token, content: Content::new(registers) }
    }

    /// As [`Content::take_handle`].
    pub fn take_handle(&mut self) -> Option<Handle> {
        self.content.take_handle()
    }

    /// As [`Content::take_pages`].
    #[inline]
    pub fn take_pages(&mut self) -> Option<Pages> {
        self.content.take_pages()
    }

    /// As [`Content::take_shared`].
    pub fn take_shared(&mut self) -> Option<SharedPages> {
        self.content.take_shared()
    }

    /// The pages that are lent until the reply.
    pub fn lent(&mut self) -> Option<LentPages<'_>> {
        self.content.pages.as_mut()?.lent()
    }

    /// The right to reply; `None` if the caller does not wait for a reply. A handle or pages that were not
    /// taken are closed or freed, and what was lent is out of reach.
    #[inline]
    pub fn take_token(&mut self) -> Option<Token> {
        self.content.handle = None;
        self.content.pages = None;
        self.token.take()
    }
}

/// To read only: what is lent must not get out of the request and outlive the reply.
impl Deref for Request {
    type Target = Content;

    #[inline]
    fn deref(&self) -> &Content {
        &self.content
    }
}

/// Right to reply to one request, once.
#[derive(Debug)]
#[must_use = "the caller waits for the reply"]
pub struct Token(NonZero<u64>);

impl Token {
    /// The kernel's number for it; 0 is none.
    #[inline]
    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZero::new(number).map(Self)
    }

    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.0.get()
    }
}

/// A handle that was received with a message; closed unless it is taken.
#[derive(Debug)]
struct ReceivedHandle(Handle);

impl ReceivedHandle {
    fn take(self) -> Handle {
        let handle = self.0;
        core::mem::forget(self);
        handle
    }
}

impl Drop for ReceivedHandle {
    #[cold]
    fn drop(&mut self) {
        // The kernel gave it to this process: it can be closed.
        let _ = super::close(self.0);
    }
}
