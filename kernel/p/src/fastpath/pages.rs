//! The fast path with pages: they go, come and come back as on the slow path ([`crate::ipc`]), which
//! those that are shared take.

use ant_abi::ThreadSlot;
use ant_abi::ipc::{Span, Transfer};
use ant_logic::ica::{Sender, With};
use ant_logic::ipc::{LoanEnd, Token};

use super::{call_here, call_there, leave_cpu, reply_here, reply_there, resolve_fast};
use crate::cpu::Cpu;
use crate::ica;
use crate::owned::Owned;
use crate::run::Next;
use crate::thread::{Calling, Thread};

/// A call with pages.
pub(super) fn call(cpu: &mut Cpu, slot: ThreadSlot, flags: u64, calling: Calling) -> Option<Next> {
    let resolve = |cpu: &mut Cpu, thread: &mut Owned<Thread>| {
        resolve_fast(cpu, thread, calling.handle, flags)
    };
    let (options, there, server) = with_thread(cpu, slot, resolve)?;
    let is_here = there == cpu.index();
    if is_here && !cpu.ipc.is_receiving(server) {
        // Before pages go and come back.
        return None;
    }
    transfer_out(cpu, slot, calling.span, Sender::Waits)?;
    if !is_here {
        with_thread(cpu, slot, |cpu, thread| {
            call_there(cpu, thread, there, options, calling);
            Some(())
        })?;
        return Some(Next::Packet);
    }
    let called = with_thread(cpu, slot, |cpu, thread| {
        let next = call_here(cpu, thread, server, options, calling)?;
        cpu.local.put(next);
        Some(())
    });
    match called {
        Some(()) => arrive(cpu, server, calling.span, With::Call),
        None => come_back(cpu, slot, calling.span),
    }
    called.and_then(|()| cpu.local.take(server)).map(Next::Thread)
}

/// Does something with a thread of this CPU that has to be at hand.
#[inline]
fn with_thread<R>(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    act: impl FnOnce(&mut Cpu, &mut Owned<Thread>) -> Option<R>,
) -> Option<R> {
    let mut thread = cpu.local.take(slot)?;
    let result = act(cpu, &mut thread);
    cpu.local.put(thread);
    result
}

/// A reply with pages, or to a call that came with the pages `lent`.
pub(super) fn reply_receive(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    token: Token,
    span: Span,
    lent: Span,
) -> Option<Next> {
    transfer_out(cpu, slot, span, Sender::GoesOn)?;
    if token.cpu() == cpu.index() {
        let client = with_thread(cpu, slot, |cpu, thread| {
            let next = reply_here(cpu, thread, token)?;
            cpu.local.put(next);
            Some(token.client())
        });
        let Some(client) = client else {
            come_back(cpu, slot, span);
            return None;
        };
        release(cpu, slot, lent);
        replied(cpu, client, span);
        cpu.local.take(client).map(Next::Thread)
    } else {
        let packet = with_thread(cpu, slot, |cpu, thread| reply_there(cpu, thread, token, span));
        let Some((there, packet)) = packet else {
            come_back(cpu, slot, span);
            return None;
        };
        release(cpu, slot, lent);
        leave_cpu(cpu, there, &packet);
        ica::detach(&mut cpu.local, slot, span);
        Some(Next::Packet)
    }
}

/// Lets pages go with a message. What was shared would not be its owner's alone again if the message
/// then took the slow path.
fn transfer_out(cpu: &mut Cpu, slot: ThreadSlot, span: Span, sender: Sender) -> Option<()> {
    if span.transfer() == Some(Transfer::Share) {
        return None;
    }
    ica::transfer_out(&mut cpu.local, slot, span, sender).ok()
}

/// Gives pages that have come with a message to the process that has its words.
pub(super) fn arrive(cpu: &mut Cpu, slot: ThreadSlot, span: Span, with: With) {
    if span.is_none() {
        return;
    }
    let arrived = ica::arrive(&mut cpu.local, slot, span, with);
    if let Some(thread) = cpu.local.thread(slot) {
        thread.context.set_span(arrived.0);
    }
}

/// A client has the words of a reply: it gets back what it had lent, and the pages of the reply.
pub(super) fn replied(cpu: &mut Cpu, client: ThreadSlot, span: Span) {
    if let Some(thread) = cpu.local.thread(client) {
        let gone = core::mem::take(&mut thread.calling).span;
        // What it has handed over the server has received.
        if gone.transfer() != Some(Transfer::HandOver) {
            ica::reclaim(&mut cpu.local, client, gone);
        }
    }
    arrive(cpu, client, span, With::Other);
}

/// A server has replied: pages that went with the reply, or had been lent to it, are not its own.
fn release(cpu: &mut Cpu, server: ThreadSlot, lent: Span) {
    if let Some(thread) = cpu.local.thread(server) {
        thread.context.set_span(0);
    }
    if lent.lends() {
        ica::return_loan(&mut cpu.local, server, lent, LoanEnd::Returned);
    }
}

/// A message was not sent, nor its pages.
#[cold]
fn come_back(cpu: &mut Cpu, slot: ThreadSlot, span: Span) {
    ica::reclaim(&mut cpu.local, slot, span);
}
