//! Messages between processes of AnT: the calls of `ant_abi::ipc`, typed.
//!
//! A client calls through a [`Handle`]; a server has an endpoint, receives a [`Request`], and answers it
//! with [`reply`], which consumes its [`Token`]. Waiting can always be limited. The loop of an OS
//! server is in [`crate::server`].

mod batch;
mod message;

use core::fmt;
use core::num::NonZero;

use ant_abi::Error;
use ant_abi::ipc::{CALL_ACROSS_RESTARTS, FOREVER, ReceivedKind};
use ant_abi::syscall::Sysnum;

use crate::ant::check;
use crate::args;
use crate::raw::{self, Registers};

pub use batch::Batch;
pub use message::{Content, Message, Received, Reply, Request, Token};

/// Where messages can be sent: a number of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(NonZero<u64>);

impl Handle {
    /// The handle with this number; 0 is none.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZero::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The handle that this process was given under a name: in an OS server, that of a server which its
    /// entry in the manifest says it uses, `init`, or `own`, its endpoint; in a program, `name`, the name
    /// service.
    pub fn named(name: &str) -> Option<Self> {
        args::variable(name)?.parse().ok().and_then(Self::new)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// How long to wait at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(u64);

impl Timeout {
    /// As long as it takes.
    pub const FOREVER: Timeout = Timeout(FOREVER);
    /// Not at all.
    pub const NOW: Timeout = Timeout(0);

    /// So many microseconds.
    pub const fn us(us: u64) -> Self {
        Self(us)
    }

    /// So many milliseconds.
    pub const fn ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }
}

/// How often [`call_idempotent`] calls: a request that ends every server that gets it must come to an end.
const ASKS: u32 = 3;

/// What becomes of a call if the server ends before it has received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRestart {
    /// It fails: the request makes sense to that one server only.
    Fail,
    /// It waits for the server's next generation.
    Wait,
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The server is another one by now; the handle works again.
    PeerRestarted {
        /// The server's generation.
        generation: u32,
    },
    /// The endpoint is closed for good.
    PeerGone,
    /// The server did not answer in time; the request was taken back.
    TimedOut,
    /// The kernel did not take it: a mistake of the caller's, or no memory.
    Refused(Error),
}

impl CallError {
    /// As the kernel has it; `detail` is what it says beside the error.
    #[cold]
    fn new(error: Error, detail: u64) -> Self {
        match error {
            Error::PeerRestarted => Self::PeerRestarted { generation: detail as u32 },
            Error::PeerGone => Self::PeerGone,
            Error::TimedOut => Self::TimedOut,
            error => Self::Refused(error),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::PeerRestarted { .. } => Error::PeerRestarted,
            CallError::PeerGone => Error::PeerGone,
            CallError::TimedOut => Error::TimedOut,
            CallError::Refused(error) => error,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerRestarted { generation } => {
                write!(f, "the server was restarted (generation {generation})")
            }
            Self::PeerGone => f.write_str("the server is gone"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Refused(error) => write!(f, "refused: {error:?}"),
        }
    }
}

/// Sends the message and waits for the reply. Pages to hand over that are still in the message
/// after an error did not go.
///
/// `PeerRestarted` comes once, however often the server was restarted or replaced since the handle was
/// last used; the server has not received the request then. It also comes if a server has received the
/// request and ends without a reply, so that its effect is unknown; only that ends a call
/// with [`OnRestart::Wait`] so. A server that is replaced finishes what it has received.
#[inline]
pub fn call(
    handle: Handle,
    message: &mut Message<'_>,
    timeout: Timeout,
    on_restart: OnRestart,
) -> Result<Reply, CallError> {
    let options = if on_restart == OnRestart::Wait { CALL_ACROSS_RESTARTS } else { 0 };
    let operands = [handle.number(), timeout.0, options];
    let (result, registers) = exchange(Sysnum::IpcCall, operands, message);
    match result {
        Ok(()) => Ok(Reply::new(&registers)),
        Err(error) => Err(CallError::new(error, registers.operands[1])),
    }
}

/// As [`call`], if every generation of the server understands the request and may get it twice: the
/// caller need not notice a restart.
///
/// Twice it comes only if a server ends that has received it and not replied; a replacement is no such
/// end. `PeerRestarted` then means that three servers in a row have ended so, or that pages to hand over
/// are gone with the first.
pub fn call_idempotent(
    handle: Handle,
    message: &mut Message<'_>,
    timeout: Timeout,
) -> Result<Reply, CallError> {
    let had_pages = message.pages.is_some();
    for _ in 1..ASKS {
        match call(handle, message, timeout, OnRestart::Wait) {
            // Pages that the last one has had are gone with it.
            Err(CallError::PeerRestarted { .. }) if message.pages.is_some() == had_pages => {}
            result => return result,
        }
    }
    call(handle, message, timeout, OnRestart::Wait)
}

/// Puts the message into the queue of an endpoint and goes on; nothing can be lent.
///
/// It is received once or not at all. In the queue, it goes to the successor of a server that is replaced,
/// and is lost with a server that ends otherwise; the sender does not learn of that. `Again`: the endpoint
/// has no receiver now, because a server is about to be restarted, or its CPU takes no messages at present.
/// `PeerRestarted`: the server is another one than the handle knew, and did not get the message; the
/// handle works again. `QueueFull`, `PeerGone`: it did not go either. Pages to hand over that are still
/// in the message after an error did not go.
#[inline]
pub fn send(handle: Handle, message: &mut Message<'_>) -> Result<(), Error> {
    exchange(Sysnum::IpcSend, [handle.number(), 0, 0], message).0
}

/// Raises notification bits at an endpoint. No bits only tell whether it still is one: `PeerGone` if
/// not.
///
/// Bits are the endpoint's, not the server's: they wait there until received, over restarts and
/// replacements. Raised twice before that, they are received once; received by a server that ends before
/// it has handled them, they are not received again.
pub fn notify(handle: Handle, bits: u64) -> Result<(), Error> {
    exchange(Sysnum::IpcNotify, [handle.number(), bits, 0], &mut Message::default()).0
}

/// Waits for whatever comes to this process's endpoint.
#[inline]
pub fn receive(timeout: Timeout) -> Result<Received, Error> {
    let (result, registers) =
        exchange(Sysnum::IpcReceive, [0, timeout.0, 0], &mut Message::default());
    result.map(|()| received(&registers))
}

/// Replies to a request.
#[inline]
pub fn reply(token: Token, message: &mut Message<'_>) -> Result<(), Error> {
    exchange(Sysnum::IpcReply, [token.number(), 0, 0], message).0
}

/// Replies, if there is a request to reply to, and waits for what comes next. That the caller does not
/// wait any more is no error.
#[inline]
pub fn reply_receive(
    token: Option<Token>,
    message: &mut Message<'_>,
    timeout: Timeout,
) -> Result<Received, Error> {
    let token = token.as_ref().map_or(0, Token::number);
    let (result, registers) = exchange(Sysnum::IpcReplyReceive, [token, timeout.0, 0], message);
    result.map(|()| received(&registers))
}

/// Makes this process's endpoint; a handle to it, to give to others.
pub fn open_endpoint() -> Result<Handle, Error> {
    let number = crate::ant::call(Sysnum::EndpointOpen, [0; 3])?;
    Handle::new(number).ok_or(Error::BadHandle)
}

/// Closes a handle.
pub fn close(handle: Handle) -> Result<(), Error> {
    crate::ant::call(Sysnum::HandleClose, [handle.number(), 0, 0]).map(drop)
}

/// Makes the call with the message. Its pages are gone after it, except those that the kernel leaves in
/// the span after an error.
#[inline]
fn exchange(
    number: Sysnum,
    operands: [u64; 3],
    message: &mut Message<'_>,
) -> (Result<(), Error>, Registers) {
    let mut registers = message.registers(operands);
    // SAFETY: the pages are the message's, so this process's to give.
    let result = match unsafe { raw::exchange(number, &mut registers) } {
        0 => {
            message.sent();
            Ok(())
        }
        result => {
            if registers.span == 0 {
                message.sent();
            }
            check(result).map(drop)
        }
    };
    (result, registers)
}

#[inline]
fn received(registers: &Registers) -> Received {
    let [kind, token, badge] = registers.operands;
    match ReceivedKind::try_from(kind) {
        Ok(ReceivedKind::Notification) => Received::Notification(registers.words[0]),
        Ok(ReceivedKind::Call) => Received::Call(Request::new(badge, registers, Token::new(token))),
        // A newer kernel's kind has no sender that waits.
        Ok(ReceivedKind::Send) | Err(_) => Received::Send(Request::new(badge, registers, None)),
    }
}
