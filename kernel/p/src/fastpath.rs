//! The fast path of IPC: a call, or a reply after which the server waits for the next message, without a
//! handle and without a deadline. What they lead to happens at once, past the loop of the CPU: what
//! that looks at has not changed, or an interrupt comes as soon as a process runs, and ends it.
//!
//! If the other process is of the same CPU and waits, the CPU goes from one to the other. If it is
//! another CPU's, a packet goes there, and if no other process wants this CPU, the next packet
//! that comes is awaited here ([`Cpu::await_packet`]).
//!
//! Whatever is unusual takes the slow path, [`crate::ipc`]. So does a reply from or to a process that is
//! to migrate: after it, the process can, which the loop sees to.

mod pages;

use ant_abi::ipc::{FOREVER, IPC_WORDS, ReceivedKind, Span};
use ant_abi::syscall::{ProcessState, Sysnum};
use ant_abi::{CpuIndex, EndpointId, Priority, ThreadSlot};
use ant_logic::ica::With;
use ant_logic::ipc::{CallOptions, CallRequest, Message, Packet, Parts, Token};
use ant_logic::rings::packet::PACKET_WORDS;
use ant_logic::sched::RunQueue;

use crate::cpu::Cpu;
use crate::endpoints::{self, Endpoint};
use crate::handles::Handle;
use crate::owned::Owned;
use crate::run::Next;
use crate::thread::{BlockReason, Calling, Thread};
use crate::{ipc, mailbox};

const IPC_CALL: u64 = Sysnum::IpcCall as u64;
const IPC_REPLY_RECEIVE: u64 = Sysnum::IpcReplyReceive as u64;

/// Serves the call or the reply with which a thread has ended its run, and which is then in its place.
/// `Err`: nothing has happened, the slow path serves the system call.
#[inline]
pub fn serve(cpu: &mut Cpu, mut thread: Owned<Thread>) -> Result<Next, Owned<Thread>> {
    match exchange(cpu, &mut thread) {
        Some(Exchanged::Done(next)) => {
            cpu.local.put(thread);
            Ok(next)
        }
        Some(Exchanged::Pages(exchange)) => serve_pages(cpu, thread, exchange),
        None => Err(thread),
    }
}

/// What a call or a reply comes to.
enum Exchanged {
    /// It is done.
    Done(Next),
    /// Pages go along: it is still to be done.
    Pages(PagesExchange),
}

/// A call or a reply with pages.
enum PagesExchange {
    Call { flags: u64, calling: Calling },
    ReplyReceive { token: Token, span: Span, lent: Span },
}

#[inline]
fn exchange(cpu: &mut Cpu, thread: &mut Owned<Thread>) -> Option<Exchanged> {
    let (number, [to, timeout, flags]) = thread.context.syscall();
    let (span, handle) = thread.context.span_and_handle();
    if timeout != FOREVER || handle != 0 {
        return None;
    }
    #[cfg(feature = "fault-injection")]
    if crate::fault_injection::is_armed(thread) {
        return None;
    }
    match number {
        IPC_CALL if span == 0 => call(cpu, thread, to, flags).map(Exchanged::Done),
        IPC_CALL => {
            let calling = Calling { handle: to, span: Span(span) };
            Some(Exchanged::Pages(PagesExchange::Call { flags, calling }))
        }
        IPC_REPLY_RECEIVE => {
            let (token, span) = (Token(to), Span(span));
            let lent = cpu.ipc.pages_of(token);
            if span.is_none() && lent.is_none() {
                reply_receive(cpu, thread, token).map(Exchanged::Done)
            } else {
                Some(Exchanged::Pages(PagesExchange::ReplyReceive { token, span, lent }))
            }
        }
        _ => None,
    }
}

/// Serves what comes with pages: these find the threads in their places.
#[inline]
fn serve_pages(
    cpu: &mut Cpu,
    thread: Owned<Thread>,
    exchange: PagesExchange,
) -> Result<Next, Owned<Thread>> {
    let slot = thread.slot();
    cpu.local.put(thread);
    let done = match exchange {
        PagesExchange::Call { flags, calling } => pages::call(cpu, slot, flags, calling),
        PagesExchange::ReplyReceive { token, span, lent } => {
            pages::reply_receive(cpu, slot, token, span, lent)
        }
    };
    done.ok_or_else(|| cpu.local.take(slot).expect("the thread is still this CPU's"))
}

#[inline]
fn call(cpu: &mut Cpu, thread: &mut Owned<Thread>, number: u64, flags: u64) -> Option<Next> {
    let (options, there, server) = resolve_fast(cpu, thread, number, flags)?;
    let calling = Calling { handle: number, span: Span::NONE };
    if there == cpu.index() {
        call_here(cpu, thread, server, options, calling).map(Next::Thread)
    } else {
        call_there(cpu, thread, there, options, calling);
        Some(Next::Packet)
    }
}

/// Where a call through a handle goes: CPU and slot of a server that takes it.
#[inline(always)]
fn resolve_fast(
    cpu: &mut Cpu,
    thread: &Owned<Thread>,
    number: u64,
    flags: u64,
) -> Option<(CallOptions, CpuIndex, ThreadSlot)> {
    let handle = cpu.local.process(thread.process)?.handles.find(number)?;
    let &Handle { endpoint, generation, badge, .. } = handle;
    let (there, server) = handle.receiver()?;
    if !mailbox::has_room(cpu.index(), there) {
        return None;
    }
    let on_restart = ipc::on_restart(flags);
    Some((CallOptions { endpoint, generation, on_restart, badge }, there, server))
}

/// Calls a server of this CPU; it has the words, and is what runs.
#[inline(always)]
fn call_here(
    cpu: &mut Cpu,
    client: &mut Owned<Thread>,
    server: ThreadSlot,
    options: CallOptions,
    calling: Calling,
) -> Option<Owned<Thread>> {
    let (place, queue) = cpu.local.place_and_queue(server)?;
    let priority = can_take(place.as_ref()?, queue)?;
    let token = cpu.ipc.call_directly(client.slot(), options, server, calling.span)?;
    let mut takes = place.take()?;
    block_for_reply(client, calling);
    let (thread, _) = takes.parts();
    let badge = u64::from(options.badge);
    thread.context.set_received(ReceivedKind::Call.into(), token.0, badge);
    queue.pass(server, priority);
    resume(thread, client.context.words());
    Some(takes)
}

/// Calls a server of another CPU.
#[inline(always)]
fn call_there(
    cpu: &mut Cpu,
    client: &mut Owned<Thread>,
    there: CpuIndex,
    options: CallOptions,
    calling: Calling,
) {
    let message = Message { span: calling.span, ..Message::of(client.context.words()) };
    block_for_reply(client, calling);
    let packet = cpu.ipc.call_across(client.slot(), options, there, message);
    leave_cpu(cpu, there, &packet);
}

#[inline]
fn reply_receive(cpu: &mut Cpu, thread: &mut Owned<Thread>, token: Token) -> Option<Next> {
    if token.cpu() == cpu.index() {
        reply_here(cpu, thread, token).map(Next::Thread)
    } else {
        let (there, packet) = reply_there(cpu, thread, token, Span::NONE)?;
        leave_cpu(cpu, there, &packet);
        Some(Next::Packet)
    }
}

/// Replies to a client of this CPU, which has the words, and is what runs.
#[inline(always)]
fn reply_here(cpu: &mut Cpu, server: &mut Owned<Thread>, token: Token) -> Option<Owned<Thread>> {
    let client = token.client();
    let (place, queue) = cpu.local.place_and_queue(client)?;
    let takes = place.as_ref()?;
    if server.migrate_to.is_some() || takes.migrate_to.is_some() {
        return None;
    }
    let priority = can_take(takes, queue)?;
    cpu.ipc.reply_directly(server.slot(), token, has_bits)?;
    let mut takes = place.take()?;
    block_for_message(server);
    queue.pass(client, priority);
    resume(takes.parts().0, server.context.words());
    Some(takes)
}

/// Replies to a client of another CPU; what goes there.
#[inline(always)]
fn reply_there(
    cpu: &mut Cpu,
    server: &mut Owned<Thread>,
    token: Token,
    span: Span,
) -> Option<(CpuIndex, Packet)> {
    if server.migrate_to.is_some() {
        return None;
    }
    let message = Message { span, ..Message::of(server.context.words()) };
    let replied = cpu.ipc.reply_across(server.slot(), token, message, has_bits)?;
    block_for_message(server);
    Some(replied)
}

/// Takes what came out of the ring from CPU `from`. The process that runs then, at once; `None`:
/// nothing has happened.
#[inline]
pub fn take(cpu: &mut Cpu, from: CpuIndex, words: &[u64; PACKET_WORDS]) -> Option<ThreadSlot> {
    let parts = Parts::of(words);
    if parts.request.message.handle != 0 {
        return None;
    }
    match parts.kind {
        Parts::CALL => take_call(cpu, from, &parts),
        Parts::REPLY => take_reply(cpu, &parts),
        _ => None,
    }
}

#[inline]
fn take_call(cpu: &mut Cpu, from: CpuIndex, parts: &Parts) -> Option<ThreadSlot> {
    let Parts { client, sequence, request, .. } = parts;
    let CallRequest { endpoint, generation, badge, message, .. } = request;
    let (there, slot) = Endpoint::numbered(*endpoint).receiver(*generation)?;
    let here = cpu.index();
    if there != here {
        return None;
    }
    let (place, queue) = cpu.local.place_and_queue(slot)?;
    let (server, _) = place.as_mut()?.parts();
    let priority = can_take(server, queue)?;
    let token = cpu.ipc.take_call_directly(slot, from, *client, *sequence, request)?;
    server.context.set_received(ReceivedKind::Call.into(), token.0, u64::from(*badge));
    queue.pass(slot, priority);
    resume(server, message.words);
    if !message.span.is_none() {
        pages::arrive(cpu, slot, message.span, With::Call);
    }
    Some(slot)
}

#[inline]
fn take_reply(cpu: &mut Cpu, parts: &Parts) -> Option<ThreadSlot> {
    let Parts { client: slot, sequence, request: CallRequest { message, .. }, .. } = parts;
    let (place, queue) = cpu.local.place_and_queue(*slot)?;
    let (client, _) = place.as_mut()?.parts();
    let priority = can_take(client, queue)?;
    if client.migrate_to.is_some() {
        return None;
    }
    if !cpu.ipc.take_reply_directly(*slot, *sequence) {
        return None;
    }
    let with_pages = client.calling.span.0 | message.span.0 != 0;
    queue.pass(*slot, priority);
    resume(client, message.words);
    if with_pages {
        pages::replied(cpu, *slot, message.span);
    }
    Some(*slot)
}

/// Whether notification bits wait at an endpoint.
#[inline]
fn has_bits(endpoint: EndpointId) -> bool {
    endpoints::bits(endpoint).any()
}

#[inline]
fn block_for_reply(thread: &mut Owned<Thread>, calling: Calling) {
    let (thread, public) = thread.parts();
    thread.calling = calling;
    thread.blocked_on = BlockReason::Reply;
    public.set_state(ProcessState::Calling);
}

#[inline]
fn block_for_message(thread: &mut Owned<Thread>) {
    let (thread, public) = thread.parts();
    thread.blocked_on = BlockReason::Receive;
    public.set_state(ProcessState::Receiving);
}

/// Sends a packet for the thread that has run, and waits now.
#[inline]
fn leave_cpu(cpu: &mut Cpu, there: CpuIndex, packet: &Packet) {
    cpu.local.queue.block_current();
    ipc::post(cpu.index(), there, packet);
}

/// Whether a thread that waits can run next: it has no deadline that would have to be cleared, and
/// comes before all others. Its priority.
#[inline]
fn can_take(thread: &Thread, queue: &RunQueue) -> Option<Priority> {
    let priority = thread.priority;
    (!thread.has_deadline && queue.can_pass(priority)).then_some(priority)
}

/// Lets a thread that has the CPU run with the words that have come for it.
#[inline]
fn resume(thread: &mut Thread, words: [u64; IPC_WORDS]) {
    thread.blocked_on = BlockReason::Runnable;
    thread.context.set_message(words, 0, 0);
    thread.context.set_result(0);
}
