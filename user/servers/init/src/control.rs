//! The requests of `antd`.
//!
//! They come on one channel, replies go on another, and nothing waits for either: a notification says
//! when one has returned. Only to restart or replace a server takes so long that other requests are
//! served meanwhile.

use ant_abi::Error;
use ant_abi::control::{
    CALL_NEXT, CALL_REPLY, CHANNEL_REPLIES, CHANNEL_REQUESTS, LIST_MAX, MESSAGE_MAX,
    REQUEST_INJECT, REQUEST_KILL, REQUEST_LIST, REQUEST_MOVE, REQUEST_PRIORITY, REQUEST_PROGRAM,
    REQUEST_REPLACE, REQUEST_RESTART, REQUEST_SERVERS, REQUEST_SPAWN, Reply, Request, SPAWN_BYTES,
    ServerInfo,
};
use ant_abi::ipc::{BADGE_PROGRAM, NOTIFY_LINUX};
use ant_abi::lca::LCA_BUFFER;
use ant_abi::syscall::{Injection, ProcessCreate, ProcessInfo};
use ant_rt::channel::Channel;
use ant_rt::init_calls::{self, SIGKILL};
use ant_rt::log;
use arrayvec::ArrayVec;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::program::Upload;
use crate::servers::Servers;

/// The environment of a program: its one handle, to the name service.
const ENVIRONMENT: &[u8] = b"name=1\0";

const _: () = assert!(SPAWN_BYTES + ENVIRONMENT.len() <= LCA_BUFFER);

/// Both channels, and what is under way on them.
pub struct Control {
    /// Free: it has a request.
    requests: Channel,
    replies: Channel,
    /// What follows when the reply that is under way has returned.
    then: Then,
    /// The program that `REQUEST_PROGRAM`s have brought so far.
    upload: Option<Upload>,
}

/// What follows a reply.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// Let a process run: its LCA is bound to a file now.
    Start {
        pid: u32,
    },
    /// Fail on purpose: a CPU that panics or hangs answers nothing.
    Inject {
        kind: Injection,
        cpu: u32,
    },
}

/// A reply being made.
struct Answer {
    reply: Reply,
    rest: ArrayVec<u8, MESSAGE_MAX>,
    then: Then,
}

impl Control {
    /// Asks for the first request.
    pub fn new() -> Result<Self, Error> {
        let mut requests = Channel::open(CHANNEL_REQUESTS)?;
        requests.send(CALL_NEXT, &[])?;
        let replies = Channel::open(CHANNEL_REPLIES)?;
        Ok(Self { requests, replies, then: Then::Nothing, upload: None })
    }

    /// Calls have returned, as these notification bits say.
    pub fn returned(&mut self, bits: u64) {
        if bits & NOTIFY_LINUX << CHANNEL_REQUESTS != 0 {
            self.requests.returned();
        }
        if bits & NOTIFY_LINUX << CHANNEL_REPLIES != 0 {
            self.replies.returned();
            core::mem::replace(&mut self.then, Then::Nothing).follow();
        }
    }

    /// Does what is due, as long as there is room for a reply.
    pub fn advance(&mut self, servers: &mut Servers, now: u64) {
        while self.replies.is_free() {
            if let Some((ticket, result)) = servers.answer() {
                self.reply(Answer::new(ticket), result);
            } else if self.requests.is_free() {
                self.take_request(servers, now);
            } else {
                return;
            }
        }
    }

    /// Serves the request that has come, and asks for the next.
    fn take_request(&mut self, servers: &mut Servers, now: u64) {
        let mut message = [0; MESSAGE_MAX];
        let message = self.requests.message(&mut message);
        // The daemon serves what it is asked at once or later, but it does.
        self.requests.send(CALL_NEXT, &[]).expect("the channel is free");
        match message {
            Ok(message) => self.serve(message, servers, now),
            Err(error) => log!("init: what is no request has come: {error:?}"),
        }
    }

    fn serve(&mut self, message: &[u8], servers: &mut Servers, now: u64) {
        let Ok((request, rest)) = Request::read_from_prefix(message) else {
            return log!("init: a request too short to answer");
        };
        let mut answer = Answer::new(request.ticket);
        let result = match request.kind {
            REQUEST_SPAWN => spawn(&request, rest, servers, &mut answer),
            REQUEST_KILL => init_calls::process_kill(request.a, request.b),
            REQUEST_LIST => list_processes(request.a, &mut answer),
            REQUEST_INJECT => inject(&request, rest, &mut answer),
            REQUEST_SERVERS => list_servers(servers, &mut answer),
            // Their replies come when it is known what has come of it, unless that is known now.
            REQUEST_RESTART => match restart(&request, rest, servers, now) {
                Ok(()) => return,
                refused => refused,
            },
            REQUEST_REPLACE => match self.replace(&request, rest, servers, now) {
                Ok(()) => return,
                refused => refused,
            },
            REQUEST_PROGRAM => self.take_program(&request, rest),
            REQUEST_PRIORITY => set_priority(&request, servers),
            REQUEST_MOVE => move_process(&request, servers),
            _ => Err(Error::Protocol),
        };
        self.reply(answer, result);
    }

    /// Sends a reply; the channel is free.
    fn reply(&mut self, mut answer: Answer, result: Result<(), Error>) {
        answer.reply.result = result.map_or_else(|error| -(error as i32), |()| 0);
        let mut message = ArrayVec::<u8, MESSAGE_MAX>::new();
        message.extend(answer.reply.as_bytes().iter().copied());
        message.extend(answer.rest.iter().copied());
        self.replies.send(CALL_REPLY, &message).expect("the channel is free");
        self.then = answer.then;
    }

    fn take_program(&mut self, request: &Request, bytes: &[u8]) -> Result<(), Error> {
        let (at, len) = (request.a as usize, request.b as usize);
        if at == 0 {
            // The old one first: there may not be room for both.
            self.upload = None;
            self.upload = Some(Upload::new(len)?);
        }
        let upload = self.upload.as_mut().ok_or(Error::Protocol)?;
        upload.add(at, len, bytes).inspect_err(|_| self.upload = None)
    }

    fn replace(
        &mut self,
        request: &Request,
        rest: &[u8],
        servers: &mut Servers,
        now: u64,
    ) -> Result<(), Error> {
        let program = self.upload.take().ok_or(Error::Protocol)?.finish()?;
        servers.replace(name(rest)?, program, request.ticket, now)
    }
}

impl Answer {
    fn new(ticket: u32) -> Self {
        let mut reply = Reply::new_zeroed();
        reply.ticket = ticket;
        Self { reply, rest: ArrayVec::new(), then: Then::Nothing }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.rest.try_extend_from_slice(bytes).map_err(|_| Error::TooLong)
    }
}

impl Then {
    fn follow(self) {
        match self {
            Self::Nothing => {}
            Self::Start { pid } => {
                if init_calls::process_start(pid).is_err() {
                    log!("init: a new process could not be started");
                }
            }
            Self::Inject { kind, cpu } => {
                if let Err(error) = init_calls::fault_inject(kind, cpu, 0) {
                    log!("init: CPU {cpu} of the partition does not fail on purpose: {error:?}");
                }
            }
        }
    }
}

fn spawn(
    request: &Request,
    strings: &[u8],
    servers: &Servers,
    answer: &mut Answer,
) -> Result<(), Error> {
    let mut all = ArrayVec::<u8, LCA_BUFFER>::new();
    let parts = [strings, ENVIRONMENT];
    let copied = parts.into_iter().try_for_each(|part| all.try_extend_from_slice(part));
    copied.map_err(|_| Error::TooLong)?;
    let mut create = ProcessCreate::new_zeroed();
    create.cpu = request.a;
    create.path_len = request.b;
    create.environment_len = ENVIRONMENT.len() as u32;
    init_calls::process_create(&mut create, &all)?;
    let badge = BADGE_PROGRAM | u64::from(create.pid);
    if let Err(error) = init_calls::handle_grant(create.pid, servers.name_service(), badge) {
        let _ = init_calls::process_kill(create.pid, SIGKILL);
        return Err(error);
    }
    answer.reply.pid = create.pid;
    answer.reply.cpu = create.placed;
    answer.reply.lca = create.lca;
    answer.then = Then::Start { pid: create.pid };
    Ok(())
}

fn list_processes(from: u32, answer: &mut Answer) -> Result<(), Error> {
    let mut lines = [ProcessInfo::new_zeroed(); LIST_MAX];
    answer.append(init_calls::process_list(&mut lines, from)?.as_bytes())
}

/// Has a CPU fail after the answer, or a process later; its system call follows the request.
fn inject(request: &Request, rest: &[u8], answer: &mut Answer) -> Result<(), Error> {
    let (kind, target) = (request.a, request.b);
    let kind = Injection::try_from(kind).map_err(|_| Error::Invalid)?;
    if kind.is_of_cpu() {
        can_inject()?;
        answer.then = Then::Inject { kind, cpu: target };
        return Ok(());
    }
    let calls = u32::read_from_bytes(rest).map_err(|_| Error::Protocol)?;
    init_calls::fault_inject(kind, target, calls)
}

/// Fails if the kernel does not inject faults: what it says to a failure at no system call.
fn can_inject() -> Result<(), Error> {
    match init_calls::fault_inject(Injection::End, 0, 0) {
        Err(Error::Invalid) => Ok(()),
        other => other,
    }
}

fn restart(request: &Request, rest: &[u8], servers: &mut Servers, now: u64) -> Result<(), Error> {
    servers.restart(name(rest)?, request.ticket, now)
}

fn list_servers(servers: &Servers, answer: &mut Answer) -> Result<(), Error> {
    servers.info().try_for_each(|info: ServerInfo| answer.append(info.as_bytes()))
}

fn set_priority(request: &Request, servers: &mut Servers) -> Result<(), Error> {
    servers.check_settled(request.a)?;
    init_calls::process_priority(request.a, request.b)?;
    servers.set_priority(request.a, request.b);
    Ok(())
}

fn move_process(request: &Request, servers: &mut Servers) -> Result<(), Error> {
    servers.check_settled(request.a)?;
    init_calls::process_move(request.a, request.b)?;
    servers.set_cpu(request.a, request.b);
    Ok(())
}

fn name(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::NoEntry)
}
