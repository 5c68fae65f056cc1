//! The ICA pages of processes: their owners (`ant_logic::ica`) and where they are mapped.
//!
//! Only a process's own CPU maps and unmaps its pages, so no CPU has to flush another's TLB: what
//! leaves a process leaves it on its own CPU, and where a page was lent to another CPU, that CPU
//! takes it out before its message says so.

use core::sync::atomic::AtomicU64;

use ant_abi::ipc::{Span, Transfer};
use ant_abi::{CpuIndex, Error, PhysAddr, ThreadSlot};
use ant_logic::ica::{Access, Holder, IcaTable, Sender, Space, With, pages};

use crate::locals::Locals;
use crate::mailbox::{self, Message};
use crate::owned::Owned;
use crate::process::Process;
use crate::table::Table;
use ant_arch::paging;
use ant_logic::ipc::LoanEnd;

/// A word for each page; [`IcaTable`] says which CPU changes it when.
pub static ENTRIES: Table<AtomicU64> = Table::empty();

/// The owner of each page.
#[inline]
pub fn table() -> IcaTable<'static> {
    IcaTable::new(ENTRIES.all())
}

/// A process of this CPU, and whether its page tables are loaded.
pub struct Local<'a> {
    process: &'a mut Owned<Process>,
    is_loaded: bool,
}

/// A process of this CPU with its pages.
pub type LocalHolder<'a> = Holder<'static, Local<'a>>;

/// The process of thread `slot`, with its pages.
pub fn holder(local: &mut Locals, slot: ThreadSlot) -> Result<LocalHolder<'_>, Error> {
    let (process, is_loaded) = local.process_and_loaded(slot)?;
    let slot = process.slot();
    Ok(Holder { table: table(), slot, space: Local { process, is_loaded } })
}

/// Pages that went with a message of the process of thread `slot`, if there are any, are the receiver's: the
/// sender takes none back.
#[inline]
pub fn detach(local: &mut Locals, slot: ThreadSlot, span: Span) {
    if !span.is_none()
        && let Some(thread) = local.thread(slot)
    {
        table().detach(thread.process, span);
    }
}

impl Space for Local<'_> {
    #[inline]
    fn has(&self, span: Span, fits: impl Fn(u32, PhysAddr) -> bool) -> bool {
        self.process.space.has_ica(span, fits)
    }

    #[inline]
    fn set(&mut self, span: Span, access: Access, frame_of: impl Fn(u32) -> Option<PhysAddr>) {
        let more = self.process.space.set_ica(span, access, frame_of);
        self.process.used_ica |= more > 0;
        self.process.public().add_pages(more);
        // The CPU remembers only what was mapped, and of tables that are not loaded nothing: loading them
        // forgets everything.
        let all_new = more == i64::from(span.count());
        if self.is_loaded && !all_new {
            paging::flush_ica(span.first(), span.count());
        }
    }
}

/// Lets pages go with a message of the process of thread `slot`, if there are any.
#[inline]
pub fn transfer_out(
    local: &mut Locals,
    slot: ThreadSlot,
    span: Span,
    sender: Sender,
) -> Result<(), Error> {
    if span.is_none() { Ok(()) } else { let_go(local, slot, span, sender) }
}

fn let_go(local: &mut Locals, slot: ThreadSlot, span: Span, sender: Sender) -> Result<(), Error> {
    holder(local, slot)?.transfer_out(span, sender)
}

/// Gives the process of thread `slot` the pages that came with a message; what has come.
pub fn arrive(local: &mut Locals, slot: ThreadSlot, span: Span, with: With) -> Span {
    holder(local, slot).map_or(Span::NONE, |mut holder| holder.arrive(span, with))
}

/// A message of the process of thread `slot` is over, or was not sent: what of its pages is still, or again, the
/// process's.
pub fn reclaim(local: &mut Locals, slot: ThreadSlot, span: Span) -> Span {
    if span.is_none() {
        return Span::NONE;
    }
    holder(local, slot).map_or(Span::NONE, |mut holder| holder.reclaim(span))
}

/// Takes pages out of the process of thread `slot`, which it had been lent.
pub fn return_loan(local: &mut Locals, slot: ThreadSlot, span: Span, how: LoanEnd) {
    let Ok(mut holder) = holder(local, slot) else { return };
    let scratch = holder.space.process.scratch;
    if how == LoanEnd::Revoked && holder.space.process.exit.is_none() {
        holder.revoke_loan(span, scratch);
    } else {
        holder.end_loan(span);
    }
}

/// A message is not received: its pages go to the memory manager, unless they were lent.
pub fn drop_span(local: &Locals, span: Span) {
    if matches!(span.transfer(), Some(Transfer::HandOver | Transfer::Share)) {
        let _ = mailbox::send(local.index(), CpuIndex::M_KERNEL, Message::Dropped(span));
    }
}

/// Takes pages out of the process of thread `slot`, which takes them for gone, and tells the memory manager.
pub fn give_up(local: &mut Locals, slot: ThreadSlot, span: Span) {
    // Without room for the message, the pages stay its own until it ends.
    if span.transfer() == Some(Transfer::HandOver)
        && mailbox::has_room(local.index(), CpuIndex::M_KERNEL)
        && let Ok(mut holder) = holder(local, slot)
        && holder.release(span).is_ok()
    {
        let (slot, pid) = (holder.slot, holder.space.process.pid);
        let _ =
            mailbox::send(local.index(), CpuIndex::M_KERNEL, Message::Freed { slot, pid, span });
    }
}

/// Gives the process of thread `slot` pages that the memory manager has just made its own, cleared; the number of
/// the first.
pub fn take_fresh(local: &mut Locals, slot: ThreadSlot, first: u32, count: u32) -> i64 {
    let span = Span::new(first, count, Transfer::HandOver);
    let table = table();
    pages(span).filter_map(|page| table.frame(page)).for_each(paging::clear);
    if let Ok(mut holder) = holder(local, slot) {
        holder.take_fresh(span);
    }
    i64::from(first)
}
