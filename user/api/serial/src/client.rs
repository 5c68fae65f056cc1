//! What clients of a serial line call.

use ant_abi::Error;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Handle, Message, Timeout};

use crate::{INLINE_MAX, Inline, LENT_MAX, Request, decode_read};

/// Writes all of `data`: what fits in the words of one message, else in a page that is lent.
pub fn write(line: Handle, data: &[u8]) -> Result<(), Error> {
    if data.len() <= INLINE_MAX {
        let request = Request::Write(Inline::first_of(data));
        return ask(line, Message::new(request.encode()));
    }
    let mut page = Pages::alloc(1)?;
    for chunk in data.chunks(LENT_MAX) {
        page.as_mut_slice()[..chunk.len()].copy_from_slice(chunk);
        let request = Request::WriteLent(chunk.len());
        ask(line, Message::new(request.encode()).with_pages(page.lend_read()))?;
    }
    Ok(())
}

/// What has come over the line since it was last asked, without waiting.
pub fn read(line: Handle) -> Result<Inline, Error> {
    let mut message = Message::new(Request::Read.encode());
    let reply = ipc::ask(line, &mut message, Timeout::FOREVER)?;
    reply.result()?;
    decode_read(reply.words)
}

fn ask(line: Handle, mut message: Message<'_>) -> Result<(), Error> {
    ipc::ask(line, &mut message, Timeout::FOREVER)?.result().map(drop)
}
