//! What every OS server is made of: an author writes a [`Service`], [`run`] does the rest.
//!
//! It tells `init` that the server is ready, receives, replies, sends `init` heartbeats, and ends the server
//! when another takes its place.

use ant_abi::Error;
use ant_abi::ipc::{NOTIFY_RETIRE, REQUEST_ALIVE};
use ant_api_init::{self as api, StartGrant};

use crate::ant::sleep_us;
use crate::ica::SharedPages;
use crate::ipc::{self, CallError, Handle, Message, OnRestart, Received, Reply, Request, Timeout};
use crate::log;

/// Time until `init` is asked again, in microseconds.
const RETRY_US: u64 = 1_000;

/// What a server does.
pub trait Service {
    /// Serves a request; returns the reply.
    fn call(&mut self, request: &mut Request) -> Message<'_>;

    /// Takes a message without a reply.
    fn sent(&mut self, _message: &mut Request) {}

    /// Takes notification bits: interrupts that were granted, or what others have raised.
    fn notified(&mut self, _bits: u64) {}
}

/// What a server begins with.
#[derive(Debug)]
pub struct Start {
    /// Generation of its endpoint, raised with each server: 1 for the first, unless the endpoint's
    /// number was another's before.
    pub generation: u32,
    /// Its state pages, as its predecessor has left them; zeroed in the beginning.
    pub state: Option<SharedPages>,
    grant: StartGrant,
}

impl Start {
    /// The handles that its predecessor has had kept, and their slots.
    pub fn kept(&self) -> impl Iterator<Item = (u32, Handle)> + use<> {
        self.grant.kept().filter_map(|(slot, number)| Some((slot, Handle::new(number)?)))
    }
}

/// Runs the service that `make` makes, until another server takes its place; the exit status.
pub fn run<S: Service>(make: impl FnOnce(Start) -> Result<S, Error>) -> i32 {
    match start(make) {
        Ok(()) => 0,
        Err(error) => {
            log!("ends: {error:?}");
            1
        }
    }
}

/// Has `init` keep a handle for the server's next generation.
pub fn keep(slot: u32, handle: Handle) -> Result<(), Error> {
    let mut message = Message::new(api::Request::Keep(slot).encode()).with_handle(handle);
    ask_init(&mut message)?.result().map(drop)
}

/// Has `init` let go of a handle that it keeps.
pub fn forget(slot: u32) -> Result<(), Error> {
    ask_init(&mut Message::new(api::Request::Forget(slot).encode()))?.result().map(drop)
}

fn start<S: Service>(make: impl FnOnce(Start) -> Result<S, Error>) -> Result<(), Error> {
    let mut reply = ask_init(&mut Message::new(api::Request::Ready.encode()))?;
    reply.result()?;
    let grant = StartGrant::decode(reply.words);
    let state = reply.take_shared();
    let mut service = make(Start { generation: grant.generation, state, grant })?;
    ipc::notify(Handle::INIT, grant.heartbeat)?;
    serve(&mut service, grant.heartbeat)
}

/// Serves until `init` has the server end.
fn serve(service: &mut impl Service, heartbeat: u64) -> Result<(), Error> {
    let mut received = ipc::receive(Timeout::FOREVER)?;
    loop {
        received = match &mut received {
            Received::Call(request) => answer(service, request)?,
            Received::Send(message) => {
                if message.words[0] == REQUEST_ALIVE {
                    ipc::notify(Handle::INIT, heartbeat)?;
                } else {
                    service.sent(message);
                }
                message.take_token();
                ipc::receive(Timeout::FOREVER)?
            }
            Received::Notification(bits) => {
                service.notified(*bits & !NOTIFY_RETIRE);
                if *bits & NOTIFY_RETIRE != 0 && shall_retire()? {
                    return Ok(());
                }
                ipc::receive(Timeout::FOREVER)?
            }
        }
    }
}

/// Replies to a request; what comes next.
fn answer(service: &mut impl Service, request: &mut Request) -> Result<Received, Error> {
    let mut message =
        if request.words[0] == REQUEST_ALIVE { Message::default() } else { service.call(request) };
    let token = request.take_token();
    ipc::reply_receive(token, &mut message, Timeout::FOREVER)
}

/// Asks `init`, because any process with a handle can raise the notification.
fn shall_retire() -> Result<bool, Error> {
    let reply = ask_init(&mut Message::new(api::Request::Retire.encode()))?;
    reply.result().map(|answer| answer == 1)
}

/// Calls until `init`'s CPU takes messages: a server does not end because other processes flood it.
fn ask_init(message: &mut Message<'_>) -> Result<Reply, Error> {
    loop {
        match ipc::call(Handle::INIT, message, Timeout::FOREVER, OnRestart::Fail) {
            Err(CallError::Refused(Error::Again)) => sleep_us(RETRY_US),
            reply => return Ok(reply?),
        }
    }
}
