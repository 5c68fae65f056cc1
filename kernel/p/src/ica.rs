//! The ICA pages of processes: who has them (`ant_core::ica`) and where they are mapped.
//!
//! A page is only ever mapped and unmapped by the core whose process it is, so no core has to flush
//! another's TLB: what leaves a process leaves it on its own core, and where a page was lent to
//! another core, that core takes it out before its message says so.

use ant_abi::Error;
use ant_abi::ipc::{Span, Transfer};
use ant_core::ica::IcaTable;

use crate::arch::paging::{self, Access, AddressSpace};
use crate::locals::Locals;
use crate::mailbox::{self, Message};

/// Whose pages they are.
pub static TABLE: IcaTable = IcaTable::new();

/// Lets pages go with a message of process `slot`; `may_lend`: it waits for a reply.
pub fn send_off(local: &mut Locals, slot: u8, span: Span, may_lend: bool) -> Result<(), Error> {
    if span.is_none() {
        return Ok(());
    }
    let transfer = span.transfer().ok_or(Error::Invalid)?;
    if span.lends() && !may_lend {
        return Err(Error::Invalid);
    }
    has_all(local, slot, span)?;
    if transfer == Transfer::Share {
        return TABLE.begin_share(slot, span);
    }
    TABLE.begin_transfer(slot, span)?;
    match transfer {
        Transfer::LendRead => remap(local, slot, span, Some(Access::Read)),
        _ => remap(local, slot, span, None),
    }
    Ok(())
}

/// Whether a process has all pages of a span, as their owner or as one of those who share them: not
/// on loan, not scratch in their place, not on their way back to the memory manager.
fn has_all(local: &mut Locals, slot: u8, span: Span) -> Result<(), Error> {
    let end = u64::from(span.first()) + u64::from(span.count());
    if span.count() == 0 || end > ant_abi::layout::ICA_PAGES {
        return Err(Error::Fault);
    }
    let space = &local.caller(slot)?.space;
    let has = |page, frame| TABLE.can_give(page, slot, frame);
    space.has_ica(span.first(), span.count(), has).then_some(()).ok_or(Error::Fault)
}

/// Whether a process has this very page mapped.
pub fn is_mapped(space: &AddressSpace, page: u32) -> bool {
    space.has_ica(page, 1, |page, frame| TABLE.frame(page) == Some(frame))
}

/// A message of process `slot` is on its way and nobody waits for it: if the process ends, the pages
/// go on.
pub fn detach(slot: u8, span: Span) {
    if span.transfer() == Some(Transfer::HandOver) {
        for page in pages(span) {
            // It may have been received already.
            let _ = TABLE.orphan(page, slot);
        }
    }
}

/// Gives process `slot` the pages that came with a message; `of_call`: with a request, whose sender
/// ends the message's own part in shared pages when the call is over. Gives what has come: nothing,
/// if the pages are not what the message says.
pub fn arrive(local: &mut Locals, slot: u8, span: Span, of_call: bool) -> Span {
    let (taken, access) = match span.transfer() {
        Some(Transfer::HandOver) => (TABLE.complete_hand_over(span, slot), Access::ReadWrite),
        Some(Transfer::Share) => (take_share(local, slot, span, of_call), Access::ReadWrite),
        Some(Transfer::LendRead) => (Ok(()), Access::Read),
        Some(Transfer::LendWrite) => (Ok(()), Access::ReadWrite),
        None => (Err(Error::Invalid), Access::Read),
    };
    if taken.is_err() {
        return Span::NONE;
    }
    remap(local, slot, span, Some(access));
    span
}

/// Counts process `slot` among those who share pages, unless it is already; the part of a message
/// that is not a request's goes over to it, or ends.
fn take_share(local: &mut Locals, slot: u8, span: Span, of_call: bool) -> Result<(), Error> {
    let space = &local.caller(slot)?.space;
    for page in pages(span) {
        match (is_mapped(space, page), of_call) {
            (false, true) => TABLE.begin_share(slot, Span::new(page, 1, Transfer::Share))?,
            (true, false) => drop(TABLE.release(page, slot)?),
            (false, false) | (true, true) => {}
        }
    }
    Ok(())
}

/// A message of process `slot` is over, or was not sent: what of its pages is still, or again, the
/// process's.
pub fn take_back(local: &mut Locals, slot: u8, span: Span) -> Span {
    let back = match span.transfer() {
        Some(Transfer::Share) => {
            // The message's part ends. It is not the last, the process has them.
            for page in pages(span) {
                let _ = TABLE.release(page, slot);
            }
            return span;
        }
        Some(_) => TABLE.undo_transfer(slot, span),
        None => return Span::NONE,
    };
    if back.is_err() {
        return Span::NONE;
    }
    remap(local, slot, span, Some(Access::ReadWrite));
    span
}

/// Takes pages out of process `slot`, which it had been lent. If they were revoked, scratch stands
/// in their place: the process may touch them in good faith.
pub fn return_loan(local: &mut Locals, slot: u8, span: Span, revoked: bool) {
    let Some(process) = local.process(slot) else { return };
    if revoked && process.ending.is_none() {
        let scratch = process.scratch;
        process.space.set_ica(span.first(), span.count(), Access::ReadWrite, |_| Some(scratch));
        flush(local, slot, span);
    } else {
        remap(local, slot, span, None);
    }
}

/// Nobody receives a message: its pages go to the memory manager, unless they were lent.
pub fn drop_span(local: &Locals, span: Span) {
    if matches!(span.transfer(), Some(Transfer::HandOver | Transfer::Share)) {
        let _ = mailbox::send(local.index(), 0, Message::Dropped(span));
    }
}

/// Takes pages out of process `slot`, which gives them back: the memory manager must be told.
pub fn free(local: &mut Locals, slot: u8, span: Span) -> Result<(), Error> {
    has_all(local, slot, span)?;
    remap(local, slot, span, None);
    Ok(())
}

/// Takes pages out of process `slot`, which takes them for gone, and tells the memory manager.
pub fn give_up(local: &mut Locals, slot: u8, span: Span) {
    // Without room for the message, the pages stay its own until it ends.
    if span.transfer() == Some(Transfer::HandOver)
        && mailbox::has_room(local.index(), 0)
        && free(local, slot, span).is_ok()
        && let Some(process) = local.process(slot)
    {
        let pid = process.pid;
        let _ = mailbox::send(local.index(), 0, Message::Freed { slot, pid, span });
    }
}

/// Gives process `slot` pages that the memory manager has just made its own, cleared; the number of
/// the first.
pub fn take_fresh(local: &mut Locals, slot: u8, first: u32, count: u32) -> i64 {
    let span = Span::new(first, count, Transfer::HandOver);
    pages(span).filter_map(|page| TABLE.frame(page)).for_each(paging::clear);
    remap(local, slot, span, Some(Access::ReadWrite));
    i64::from(first)
}

/// Maps pages in a process so, or not at all.
fn remap(local: &mut Locals, slot: u8, span: Span, access: Option<Access>) {
    let Some(process) = local.process(slot) else { return };
    let (first, count) = (span.first(), span.count());
    let more = match access {
        Some(access) => process.space.set_ica(first, count, access, |page| TABLE.frame(page)),
        None => process.space.set_ica(first, count, Access::Read, |_| None),
    };
    process.used_ica |= access.is_some();
    process.public().add_pages(more);
    flush(local, slot, span);
}

fn flush(local: &Locals, slot: u8, span: Span) {
    // Tables that are not loaded are not remembered either: loading them forgets everything.
    if local.is_loaded(slot) {
        paging::flush_ica(span.first(), span.count());
    }
}

/// The pages of a span.
pub fn pages(span: Span) -> core::ops::Range<u32> {
    span.first()..span.first() + span.count()
}
