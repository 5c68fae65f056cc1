//! The short way of IPC: a call, or a reply by who then waits for the next message, of words only
//! and without limit of time, between two processes of one core of which the other waits. The core
//! goes from one to the other at once, past the loop of the core: what that looks at has not changed,
//! or an interrupt comes as soon as a process runs, and ends it.
//!
//! What is the least bit unusual is left alone, for [`crate::ipc`] to do.

use ant_abi::ipc::{
    CALL_ACROSS_RESTARTS, FOREVER, IPC_CALL, IPC_REPLY_RECEIVE, IPC_WORDS, RECEIVED_CALL, Span,
};
use ant_abi::syscall::{STATE_CALLING, STATE_RECEIVING};
use ant_core::ipc::{CallOptions, Target, Token};
use ant_core::sched::RunQueue;

use crate::arch::context::VECTOR_SYSCALL;
use crate::core_loop::Core;
use crate::endpoints;
use crate::locals::Locals;
use crate::process::{Calling, Owned, Waiting};

/// Serves the call or the reply that has ended the run of process `slot`. Says who runs next;
/// `None`: nothing has happened.
#[inline]
pub fn serve(core: &mut Core, slot: u8, vector: u64) -> Option<u8> {
    // Who wants to another core can go between two messages only, when the loop looks.
    if vector != VECTOR_SYSCALL || !core.local.movers.is_empty() {
        return None;
    }
    let process = core.local.process(slot)?;
    match process.context.syscall() {
        (IPC_CALL, operands) => call(core, slot, operands),
        (IPC_REPLY_RECEIVE, operands) => reply_receive(core, slot, operands),
        _ => None,
    }
}

#[inline]
fn call(core: &mut Core, slot: u8, [number, timeout, flags]: [u64; 3]) -> Option<u8> {
    let client = core.local.process(slot)?;
    let words = words_only(client, timeout)?;
    let handle = client.handles.get(number).ok()?;
    let state = handle.state().ok()?;
    let Target::Bound { core: there, server } = state.target else { return None };
    let is_here = usize::from(there) == core.index() && handle.generation == state.generation;
    if !is_here || core.station.endpoint(slot) == Some(handle.endpoint) {
        return None;
    }
    let options = CallOptions {
        endpoint: handle.endpoint,
        generation: handle.generation,
        across_restarts: flags & CALL_ACROSS_RESTARTS != 0,
        badge: handle.badge,
    };
    let Pair { leaves: client, takes, queue } = pair(&mut core.local, slot, server)?;
    let token = core.station.call_directly(slot, options, server)?;
    client.calling = Calling { handle: number, span: Span::NONE };
    client.waiting = Waiting::Reply;
    client.set_state(STATE_CALLING);
    takes.context.set_received(RECEIVED_CALL, token.0, u64::from(handle.badge));
    pass_core(queue, takes, words);
    Some(server)
}

#[inline]
fn reply_receive(core: &mut Core, slot: u8, [token, timeout, _]: [u64; 3]) -> Option<u8> {
    let words = words_only(core.local.process(slot)?, timeout)?;
    let token = Token(token);
    let Pair { leaves: server, takes, queue } = pair(&mut core.local, slot, token.client())?;
    let client = core.station.reply_directly(slot, token, endpoints::has_bits)?;
    server.waiting = Waiting::Receive;
    server.set_state(STATE_RECEIVING);
    takes.calling = Calling::default();
    pass_core(queue, takes, words);
    Some(client)
}

/// The words that a process sends, if they are all, and if it then waits for as long as it takes.
#[inline]
fn words_only(process: &Owned, timeout: u64) -> Option<[u64; IPC_WORDS]> {
    let (words, span, handle) = process.context.message();
    (span == 0 && handle == 0 && timeout == FOREVER).then_some(words)
}

/// Who passes the core to whom.
struct Pair<'a> {
    leaves: &'a mut Owned,
    takes: &'a mut Owned,
    queue: &'a mut RunQueue,
}

/// The two processes, if the second, which waits, could run instead of the first, and its waiting
/// has no limit of time.
#[inline]
fn pair(local: &mut Locals, leaves: u8, takes: u8) -> Option<Pair<'_>> {
    let ([leaves, takes], queue) = local.two(leaves, takes)?;
    let can_take = !takes.timed && queue.can_pass(takes.priority);
    can_take.then_some(Pair { leaves, takes, queue })
}

/// Lets a process run with the words instead of the one that has run, which waits now.
#[inline]
fn pass_core(queue: &mut RunQueue, takes: &mut Owned, words: [u64; IPC_WORDS]) {
    queue.pass(takes.slot(), takes.priority);
    takes.waiting = Waiting::No;
    takes.context.set_message(words, 0, 0);
    takes.context.set_result(0);
}
