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
use ant_abi::{CpuIndex, EndpointId, ThreadSlot};
use ant_logic::ica::With;
use ant_logic::ipc::{CallOptions, CallRequest, Message, Packet, Parts, Token};
use ant_logic::rings::packet::PACKET_WORDS;
use ant_logic::sched::RunQueue;

use crate::cpu::Cpu;
use crate::endpoints;
use crate::handles::Handle;
use crate::locals::Locals;
use crate::owned::Owned;
use crate::thread::{BlockReason, Calling, Thread};
use crate::{ipc, mailbox};
use ant_arch::context::VECTOR_SYSCALL;

const IPC_CALL: u64 = Sysnum::IpcCall as u64;
const IPC_REPLY_RECEIVE: u64 = Sysnum::IpcReplyReceive as u64;

/// What came of a thread's run.
pub enum Next {
    /// This thread runs.
    Thread(ThreadSlot),
    /// The thread waits for another CPU.
    Packet,
    /// Nothing has happened: the loop serves what the thread asks for.
    SlowPath,
}

/// Serves the call or the reply that has ended the run of thread `slot`.
#[inline]
pub fn serve(cpu: &mut Cpu, slot: ThreadSlot, vector: u64) -> Next {
    if vector != VECTOR_SYSCALL {
        return Next::SlowPath;
    }
    exchange(cpu, slot).unwrap_or(Next::SlowPath)
}

#[inline]
fn exchange(cpu: &mut Cpu, slot: ThreadSlot) -> Option<Next> {
    let thread = cpu.local.thread(slot)?;
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
        IPC_CALL if span == 0 => call(cpu, slot, to, flags),
        IPC_CALL => pages::call(cpu, slot, flags, Calling { handle: to, span: Span(span) }),
        IPC_REPLY_RECEIVE => {
            let token = Token(to);
            let lent = cpu.ipc.pages_of(token);
            if span == 0 && lent.is_none() {
                reply_receive(cpu, slot, token)
            } else {
                pages::reply_receive(cpu, slot, token, Span(span), lent)
            }
        }
        _ => None,
    }
}

#[inline]
fn call(cpu: &mut Cpu, slot: ThreadSlot, number: u64, flags: u64) -> Option<Next> {
    let (options, there, server) = resolve_fast(cpu, slot, number, flags)?;
    let calling = Calling { handle: number, span: Span::NONE };
    if there == cpu.index() {
        call_here(cpu, slot, server, options, calling)
    } else {
        call_there(cpu, slot, there, options, calling)
    }
}

/// Where a call through a handle goes: CPU and slot of a server that takes it.
#[inline(always)]
fn resolve_fast(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    number: u64,
    flags: u64,
) -> Option<(CallOptions, CpuIndex, ThreadSlot)> {
    let process = cpu.local.caller(slot).ok()?.process;
    let Handle { endpoint, generation, badge, .. } = process.handles.get(number).ok()?;
    let (there, server) = endpoints::receiver(endpoint, generation)?;
    if !mailbox::has_room(cpu.index(), there) {
        return None;
    }
    let on_restart = ipc::on_restart(flags);
    Some((CallOptions { endpoint, generation, on_restart, badge }, there, server))
}

/// Calls a server of this CPU; it has the words.
#[inline(always)]
fn call_here(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    server: ThreadSlot,
    options: CallOptions,
    calling: Calling,
) -> Option<Next> {
    let Pair { leaves: client, takes, queue } = pair(&mut cpu.local, slot, server)?;
    let token = cpu.ipc.call_directly(slot, options, server, calling.span)?;
    client.block_for_reply(calling);
    takes.context.set_received(ReceivedKind::Call.into(), token.0, u64::from(options.badge));
    pass_cpu(queue, server, takes, client.context.words());
    Some(Next::Thread(server))
}

/// Calls a server of another CPU.
#[inline(always)]
fn call_there(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    there: CpuIndex,
    options: CallOptions,
    calling: Calling,
) -> Option<Next> {
    let client = cpu.local.thread(slot)?;
    let message = Message { span: calling.span, ..Message::of(client.context.words()) };
    client.block_for_reply(calling);
    let packet = cpu.ipc.call_across(slot, options, there, message);
    Some(leave_cpu(cpu, there, &packet))
}

#[inline]
fn reply_receive(cpu: &mut Cpu, slot: ThreadSlot, token: Token) -> Option<Next> {
    if token.cpu() == cpu.index() {
        reply_here(cpu, slot, token).map(Next::Thread)
    } else {
        let (there, packet) = reply_there(cpu, slot, token, Span::NONE)?;
        Some(leave_cpu(cpu, there, &packet))
    }
}

/// Replies to a client of this CPU, which has the words; the client.
#[inline(always)]
fn reply_here(cpu: &mut Cpu, slot: ThreadSlot, token: Token) -> Option<ThreadSlot> {
    let Pair { leaves: server, takes, queue } = pair(&mut cpu.local, slot, token.client())?;
    if server.migrate_to.is_some() || takes.migrate_to.is_some() {
        return None;
    }
    let client = cpu.ipc.reply_directly(slot, token, has_bits)?;
    server.block_for_message();
    pass_cpu(queue, client, takes, server.context.words());
    Some(client)
}

/// Replies to a client of another CPU; what goes there.
#[inline(always)]
fn reply_there(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    token: Token,
    span: Span,
) -> Option<(CpuIndex, Packet)> {
    let server = cpu.local.thread(slot).filter(|server| server.migrate_to.is_none())?;
    let message = Message { span, ..Message::of(server.context.words()) };
    let replied = cpu.ipc.reply_across(slot, token, message, has_bits)?;
    server.block_for_message();
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
    let (there, slot) = endpoints::receiver(*endpoint, *generation)?;
    let here = cpu.index();
    let (server, queue) = cpu.local.one_without_deadline(slot)?;
    if there != here || !queue.can_pass(server.priority) {
        return None;
    }
    let token = cpu.ipc.take_call_directly(slot, from, *client, *sequence, request)?;
    server.context.set_received(ReceivedKind::Call.into(), token.0, u64::from(*badge));
    pass_cpu(queue, slot, server, message.words);
    if !message.span.is_none() {
        pages::arrive(cpu, slot, message.span, With::Call);
    }
    Some(slot)
}

#[inline]
fn take_reply(cpu: &mut Cpu, parts: &Parts) -> Option<ThreadSlot> {
    let Parts { client: slot, sequence, request: CallRequest { message, .. }, .. } = parts;
    let (client, queue) = cpu.local.one_without_deadline(*slot)?;
    if !queue.can_pass(client.priority) || client.migrate_to.is_some() {
        return None;
    }
    if !cpu.ipc.take_reply_directly(*slot, *sequence) {
        return None;
    }
    let with_pages = client.calling.span.0 | message.span.0 != 0;
    pass_cpu(queue, *slot, client, message.words);
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

impl Owned<Thread> {
    #[inline]
    fn block_for_reply(&mut self, calling: Calling) {
        self.calling = calling;
        self.blocked_on = BlockReason::Reply;
        self.set_state(ProcessState::Calling);
    }

    #[inline]
    fn block_for_message(&mut self) {
        self.blocked_on = BlockReason::Receive;
        self.set_state(ProcessState::Receiving);
    }
}

/// Sends a packet for the process that has run, and waits now.
#[inline]
fn leave_cpu(cpu: &mut Cpu, there: CpuIndex, packet: &Packet) -> Next {
    cpu.local.queue.block_current();
    ipc::post(cpu.index(), there, packet);
    Next::Packet
}

/// A process that blocks, and the one that runs in its place.
struct Pair<'a> {
    leaves: &'a mut Owned<Thread>,
    takes: &'a mut Owned<Thread>,
    queue: &'a mut RunQueue,
}

/// The two processes, if the second, which waits, can run instead of the first.
#[inline]
fn pair(local: &mut Locals, leaves: ThreadSlot, takes: ThreadSlot) -> Option<Pair<'_>> {
    let ([leaves, takes], queue) = local.two_without_deadline(leaves, takes)?;
    queue.can_pass(takes.priority).then_some(Pair { leaves, takes, queue })
}

/// Lets a process that can take the CPU run with the words that have come for it.
#[inline]
fn pass_cpu(
    queue: &mut RunQueue,
    slot: ThreadSlot,
    takes: &mut Owned<Thread>,
    words: [u64; IPC_WORDS],
) {
    queue.pass(slot, takes.priority);
    takes.blocked_on = BlockReason::Runnable;
    takes.context.set_message(words, 0, 0);
    takes.context.set_result(0);
}
