//! What clients of the name service call.

use ant_abi::Error;
use ant_rt::ant;
use ant_rt::ipc::{self, Handle, Message, Reply, Timeout};

use crate::{Name, Request, name_in};

/// How often [`wait_for`] asks.
const PERIOD_MS: u64 = 10;

/// Lets `name` stand for `handle`.
pub fn register(name: Name, handle: Handle) -> Result<(), Error> {
    ask(Message::new(Request::Register(name).encode()).with_handle(handle)).map(drop)
}

/// The handle that `name` stands for.
pub fn lookup(name: Name) -> Result<Handle, Error> {
    let mut reply = ask(Message::new(Request::Lookup(name).encode()))?;
    // Without one, this process has as many handles as it can have.
    reply.take_handle().ok_or(Error::NoMemory)
}

/// As [`lookup`], but waits up to `ms` milliseconds for somebody to register.
pub fn wait_for(name: Name, ms: u64) -> Result<Handle, Error> {
    for _ in 0..ms / PERIOD_MS {
        match lookup(name) {
            Err(Error::NoEntry) => ant::sleep_us(PERIOD_MS * 1000),
            result => return result,
        }
    }
    lookup(name)
}

/// Name number `index`, if there are so many.
pub fn list(index: u32) -> Result<Name, Error> {
    name_in(ask(Message::new(Request::List(index).encode()))?.words)
}

fn ask(mut message: Message<'_>) -> Result<Reply, Error> {
    let reply = ipc::ask(Handle::NAME, &mut message, Timeout::FOREVER)?;
    reply.result()?;
    Ok(reply)
}
