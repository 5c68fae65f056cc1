//! The requests of `antd`.
//!
//! They come by a delegated `read` from descriptor 0, replies go by `write` to descriptor 1: a packet
//! socket that this process's proxy has inherited. One request at a time, and without waiting for
//! Linux: a notification says that a call has returned. Only to restart or replace a server takes so long
//! that other requests are served meanwhile.

use ant_abi::Error;
use ant_abi::control::{
    LIST_MAX, MESSAGE_MAX, REQUEST_INJECT, REQUEST_KILL, REQUEST_LIST, REQUEST_MOVE,
    REQUEST_PRIORITY, REQUEST_PROGRAM, REQUEST_REPLACE, REQUEST_RESTART, REQUEST_SERVERS,
    REQUEST_SPAWN, Reply, Request, ServerInfo,
};
use ant_abi::ipc::BADGE_PROGRAM;
use ant_abi::syscall::{Injection, ProcessCreate, ProcessInfo};
use ant_rt::init_calls::{self, SIGKILL};
use ant_rt::linux::Errno;
use ant_rt::linux::asynchronous::Call;
use ant_rt::log;
use arrayvec::ArrayVec;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::program::Upload;
use crate::servers::Servers;

/// A channel that has failed is tried again; if it stays so, the partition is about to end.
const RETRY_US: u64 = 100_000;
/// Time until the next request is looked for while a server is being restarted or replaced. A `read` is
/// not begun then, because a reply cannot be written before it returns.
const LOOK_US: u64 = 20_000;

/// The channel and what is under way on it.
pub struct Control {
    state: State,
    /// The program that `REQUEST_PROGRAM`s have brought so far.
    upload: Option<Upload>,
}

enum State {
    /// Nothing is under way; the next request is to be read.
    Idle { at: u64 },
    /// The next request is being read.
    Reads(Call),
    /// A reply is being written.
    Writes(Call, Then),
}

/// What follows when the reply has been written.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// Let a process run: the daemon knows its LCA now, and can serve its requests.
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
    /// About to read the first request.
    pub fn new(now: u64) -> Self {
        Self { state: State::Idle { at: now }, upload: None }
    }

    /// When something is due; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        if let State::Idle { at } = self.state { at } else { u64::MAX }
    }

    /// Does what is due.
    pub fn advance(&mut self, servers: &mut Servers, now: u64) {
        let State::Idle { at } = self.state else { return };
        if let Some((ticket, result)) = servers.answer() {
            return self.write(Answer::new(ticket), result, now);
        }
        if at <= now {
            let call = if servers.has_command() {
                Call::receive_now(0, MESSAGE_MAX)
            } else {
                Call::read(0, MESSAGE_MAX)
            };
            self.state = call.map_or(State::Idle { at: now + RETRY_US }, State::Reads);
        }
    }

    /// The call that is under way has returned.
    pub fn linux_returned(&mut self, servers: &mut Servers, now: u64) {
        match core::mem::replace(&mut self.state, State::Idle { at: now }) {
            State::Reads(call) => {
                let mut message = [0; MESSAGE_MAX];
                match call.finish(&mut message) {
                    Ok(len) if len > 0 => self.serve(&message[..len], servers, now),
                    Err(Errno::AGAIN) => self.state = State::Idle { at: now + LOOK_US },
                    _ => self.state = State::Idle { at: now + RETRY_US },
                }
            }
            State::Writes(call, then) => {
                if call.finish(&mut []).is_err() {
                    log!("init: a reply did not reach the daemon");
                }
                then.follow();
            }
            other => self.state = other,
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
        self.write(answer, result, now);
    }

    /// Begins to write a reply.
    fn write(&mut self, mut answer: Answer, result: Result<(), Error>, now: u64) {
        answer.reply.result = result.map_or_else(|error| -(error as i32), |()| 0);
        let mut message = ArrayVec::<u8, MESSAGE_MAX>::new();
        message.extend(answer.reply.as_bytes().iter().copied());
        message.extend(answer.rest.iter().copied());
        match Call::write(1, &message) {
            Ok(call) => self.state = State::Writes(call, answer.then),
            Err(error) => {
                log!("init: a reply cannot be written: {error}");
                self.state = State::Idle { at: now + RETRY_US };
            }
        }
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
    let mut create = ProcessCreate::new_zeroed();
    create.cpu = request.a;
    create.path_len = request.b;
    init_calls::process_create(&mut create, strings)?;
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
