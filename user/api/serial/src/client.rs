//! What clients of a serial line call.

use ant_abi::{Error, PAGE_SIZE};
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Handle, Message, Timeout};

use crate::{INLINE_MAX, Inline, Request, decode_read};

/// Writes all of `data`: what fits in the words of one message, else in pages that are lent.
pub fn write(line: Handle, data: &[u8]) -> Result<(), Error> {
    if data.len() <= INLINE_MAX {
        let request = Request::Write(Inline::first_of(data));
        return ask(line, Message::new(request.encode()));
    }
    let count = u32::try_from(data.len().div_ceil(PAGE_SIZE)).map_err(|_| Error::TooLong)?;
    let mut pages = Pages::alloc(count)?;
    pages.as_mut_slice()[..data.len()].copy_from_slice(data);
    let request = Request::WriteLent(data.len());
    ask(line, Message::new(request.encode()).with_pages(pages.lend_read()))
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
