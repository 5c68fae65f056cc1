//! What the stage before calls.

use ant_abi::Error;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Handle, Message, OnRestart, Timeout};

use crate::Request;

/// Hands the next stage pages with `len` bytes; it has them when this returns.
pub fn push(next: Handle, pages: Pages, len: usize) -> Result<(), Error> {
    call(next, Message::new(Request::Data(len).encode()).with_pages(pages.hand_over()))
}

/// Tells the next stage that nothing more will come.
pub fn end(next: Handle) -> Result<(), Error> {
    call(next, Message::new(Request::End.encode()))
}

fn call(next: Handle, mut message: Message<'_>) -> Result<(), Error> {
    // Another stage in its place would not have what came before.
    let reply = ipc::call(next, &mut message, Timeout::FOREVER, OnRestart::Fail)?;
    reply.result().map(drop)
}
