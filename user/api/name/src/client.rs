//! What clients of the name service call.

use ant_abi::Error;
use ant_rt::ant;
use ant_rt::ipc::{self, Handle, Message, Reply, Timeout};

use crate::{Name, Request, name_in};

/// How often it is asked again.
const PERIOD_MS: u64 = 10;
/// How long the service may be busy with being replaced.
const BUSY_MS: u64 = 5_000;

/// Lets `name` stand for `handle`.
pub fn register(name: Name, handle: Handle) -> Result<(), Error> {
    let message = || Message::new(Request::Register(name).encode()).with_handle(handle);
    until(BUSY_MS, Error::Again, || call(message()).map(drop))
}

/// The handle that `name` stands for.
pub fn lookup(name: Name) -> Result<Handle, Error> {
    let mut reply = call(Message::new(Request::Lookup(name).encode()))?;
    // Without one, this process has as many handles as it can have.
    reply.take_handle().ok_or(Error::NoMemory)
}

/// As [`lookup`], but waits up to `ms` milliseconds for it to be registered.
pub fn wait_for(name: Name, ms: u64) -> Result<Handle, Error> {
    until(ms, Error::NoEntry, || lookup(name))
}

/// Name number `index`, if there are so many.
fn list(index: u32) -> Result<Name, Error> {
    name_in(call(Message::new(Request::List(index).encode()))?.words)
}

/// All names.
pub fn all() -> impl Iterator<Item = Result<Name, Error>> {
    (0..).map(list).take_while(|name| *name != Err(Error::NoEntry))
}

/// Tries again for so many milliseconds while this is the error.
fn until<T>(ms: u64, error: Error, attempt: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..ms / PERIOD_MS {
        match attempt() {
            Err(found) if found == error => ant::sleep_us(PERIOD_MS * 1000),
            result => return result,
        }
    }
    attempt()
}

fn call(mut message: Message<'_>) -> Result<Reply, Error> {
    let reply = ipc::call_idempotent(Handle::NAME, &mut message, Timeout::FOREVER)?;
    reply.result()?;
    Ok(reply)
}
