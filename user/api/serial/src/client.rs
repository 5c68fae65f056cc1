//! What clients of a serial line call.

use ant_abi::Error;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Handle, Message, Timeout};
use ant_rt::{ant, time};

use crate::{INLINE_MAX, Inline, LENT_MAX, Request, decode_read};

/// Writes all of `data`, in one request if it has at most [`LENT_MAX`] bytes: in the words of one
/// message, or in a page that is lent. If the server ends meanwhile, it is asked again; what has been
/// written by then comes twice.
pub fn write(line: Handle, data: &[u8]) -> Result<(), Error> {
    if data.len() <= INLINE_MAX {
        let request = Request::Write(Inline::first_of(data));
        return call(line, Message::new(request.encode()));
    }
    let mut page = Pages::alloc(1)?;
    for chunk in data.chunks(LENT_MAX) {
        page.as_mut_slice()[..chunk.len()].copy_from_slice(chunk);
        let request = Request::WriteLent(chunk.len());
        call(line, Message::new(request.encode()).with_pages(page.lend_read()))?;
    }
    Ok(())
}

/// Input of the line that no client has read, without waiting. If the server ends meanwhile,
/// nothing is lost and nothing comes twice.
pub fn read(line: Handle) -> Result<Inline, Error> {
    let mut message = Message::new(Request::Read(number()?).encode());
    let reply = ipc::call_idempotent(line, &mut message, Timeout::FOREVER)?;
    reply.result()?;
    decode_read(reply.words)
}

fn call(line: Handle, mut message: Message<'_>) -> Result<(), Error> {
    ipc::call_idempotent(line, &mut message, Timeout::FOREVER)?.result().map(drop)
}

/// A number that no other reading has: no process does two at one time.
fn number() -> Result<u64, Error> {
    let pid = ant::system_info()?.pid;
    Ok(time::cycles() << 16 | u64::from(pid as u16))
}
