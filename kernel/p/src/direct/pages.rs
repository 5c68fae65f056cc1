//! The short way with pages: they go, come and come back as [`crate::ipc`] would have it. Those that
//! are shared take the long way.

use ant_abi::ipc::{Span, Transfer};
use ant_core::ica::{Sender, With};
use ant_core::ipc::Token;

use super::{Next, aim, call_here, call_there, leave_core, reply_here, reply_there};
use crate::core_loop::Core;
use crate::ica;
use crate::process::Calling;

/// A call with pages.
pub(super) fn call(core: &mut Core, slot: u8, flags: u64, calling: Calling) -> Option<Next> {
    let (options, there, server) = aim(core, slot, calling.handle, flags)?;
    let is_here = usize::from(there) == core.index();
    if is_here && !core.station.is_receiving(server) {
        // Before pages go and come back.
        return None;
    }
    send_off(core, slot, calling.span, Sender::Waits)?;
    if !is_here {
        return call_there(core, slot, (there, server), options, calling);
    }
    let next = call_here(core, slot, server, options, calling);
    match next {
        Some(_) => arrive(core, server, calling.span, With::Call),
        None => come_back(core, slot, calling.span),
    }
    next
}

/// A reply with pages, or to a call that came with the pages `lent`.
pub(super) fn reply_receive(
    core: &mut Core,
    slot: u8,
    token: Token,
    span: Span,
    lent: Span,
) -> Option<Next> {
    send_off(core, slot, span, Sender::GoesOn)?;
    if usize::from(token.core()) == core.index() {
        let Some(client) = reply_here(core, slot, token) else {
            come_back(core, slot, span);
            return None;
        };
        let_go(core, slot, lent);
        replied(core, client, span);
        Some(Next::Process(client))
    } else {
        let Some((there, packet)) = reply_there(core, slot, token, span) else {
            come_back(core, slot, span);
            return None;
        };
        let_go(core, slot, lent);
        let next = leave_core(core, there, &packet);
        ica::TABLE.detach(slot, span);
        Some(next)
    }
}

/// Lets pages go with a message. What was shared would not be its owner's alone again if the short way
/// turned out not to go.
fn send_off(core: &mut Core, slot: u8, span: Span, sender: Sender) -> Option<()> {
    if span.transfer() == Some(Transfer::Share) {
        return None;
    }
    ica::send_off(&mut core.local, slot, span, sender).ok()
}

/// Gives pages that have come with a message to who has its words.
pub(super) fn arrive(core: &mut Core, slot: u8, span: Span, with: With) {
    if span.is_none() {
        return;
    }
    let arrived = ica::arrive(&mut core.local, slot, span, with);
    if let Some(process) = core.local.process(slot) {
        process.context.set_span(arrived.0);
    }
}

/// A client has the words of a reply: it gets back what it had lent, and the pages of the reply.
pub(super) fn replied(core: &mut Core, client: u8, span: Span) {
    if let Some(process) = core.local.process(client) {
        let lent = core::mem::take(&mut process.calling).span;
        ica::take_back(&mut core.local, client, lent);
    }
    arrive(core, client, span, With::Other);
}

/// A server has replied: pages that went with the reply, or had been lent to it, are not its own.
fn let_go(core: &mut Core, server: u8, lent: Span) {
    if let Some(process) = core.local.process(server) {
        process.context.set_span(0);
    }
    if lent.lends() {
        ica::return_loan(&mut core.local, server, lent, false);
    }
}

/// A message was not sent, nor its pages.
#[cold]
fn come_back(core: &mut Core, slot: u8, span: Span) {
    ica::take_back(&mut core.local, slot, span);
}
