//! Processes that hand each other pages, and end at any time, as the kernel lets them: what [`Holder`]
//! and the memory manager do, with page tables and messages that are plain lists.

use std::collections::BTreeMap;

use super::*;

/// Processes at a time.
const SLOTS: usize = 3;
/// Frames of the machine, and what stands in for pages that were taken back.
const FRAMES: u64 = 8;
const SCRATCH: PhysAddr = PhysAddr::new(99 * PAGE);

/// Page tables of one process.
#[derive(Clone, Debug, Default)]
struct Tables(BTreeMap<u32, (PhysAddr, Access)>);

impl Space for &mut Tables {
    fn has(&self, span: Span, fits: impl Fn(u32, PhysAddr) -> bool) -> bool {
        pages(span).all(|page| self.0.get(&page).is_some_and(|&(frame, _)| fits(page, frame)))
    }

    fn set(&mut self, span: Span, access: Access, frame_of: impl Fn(u32) -> Option<PhysAddr>) {
        for page in pages(span) {
            match frame_of(page) {
                Some(frame) => self.0.insert(page, (frame, access)),
                None => self.0.remove(&page),
            };
        }
    }
}

/// What is on its way.
#[derive(Clone, Copy, Debug)]
enum Message {
    /// A call; its sender waits.
    Call { from: ProcessSlot, to: ProcessSlot, span: Span },
    /// A message without a reply, or a reply to another CPU.
    Sent { to: ProcessSlot, span: Span },
    /// Pages that the process with this slot and number has let go of.
    Freed { slot: ProcessSlot, pid: u32, span: Span },
    /// Pages that no process receives.
    Dropped { span: Span },
    /// A process that is over.
    Over { slot: ProcessSlot },
}

/// A call that its server has received.
#[derive(Clone, Copy, Debug)]
struct Call {
    from: ProcessSlot,
    to: ProcessSlot,
    span: Span,
}

#[derive(Clone, Debug, Default)]
struct Process {
    pid: u32,
    tables: Tables,
    /// It calls; what went along.
    calling: Option<Span>,
    /// It is over, and the memory manager has not heard of it yet.
    over: bool,
}

struct World {
    table: Table,
    allocator: IcaAllocator<'static>,
    frames: Frames,
    processes: [Process; SLOTS],
    /// To processes in their order; to the memory manager in any, as from different CPUs.
    messages: Vec<Message>,
    calls: Vec<Call>,
}

impl World {
    fn new() -> Self {
        let table = table();
        Self {
            table,
            allocator: IcaAllocator::new(table),
            frames: Frames((1..=FRAMES).map(nth).collect()),
            processes: Default::default(),
            messages: Vec::new(),
            calls: Vec::new(),
        }
    }

    fn process(&mut self, slot: ProcessSlot) -> &mut Process {
        &mut self.processes[slot.index()]
    }

    fn holder(&mut self, slot: ProcessSlot) -> Holder<'_, &mut Tables> {
        let space = &mut self.processes[slot.index()].tables;
        Holder { table: self.table, slot, space }
    }

    /// Whether a process can do something.
    fn runs(&self, slot: ProcessSlot) -> bool {
        let process = &self.processes[slot.index()];
        !process.over && process.calling.is_none()
    }

    fn alloc(&mut self, slot: ProcessSlot, count: u32) {
        if self.frames.0.len() < count as usize {
            return;
        }
        let Some(first) = self.allocator.alloc(count) else { return };
        for page in first..first + count {
            let frame = self.frames.0.pop_first().unwrap();
            self.table.set_frame(page, frame, slot).unwrap();
        }
        self.holder(slot).take_fresh(span(first, count, Transfer::HandOver));
    }

    fn call(&mut self, from: ProcessSlot, to: ProcessSlot, span: Span) {
        if span.is_none() || self.holder(from).transfer_out(span, Sender::Waits).is_ok() {
            self.process(from).calling = Some(span);
            self.messages.push(Message::Call { from, to, span });
        }
    }

    fn send(&mut self, from: ProcessSlot, to: ProcessSlot, span: Span) {
        if self.holder(from).transfer_out(span, Sender::GoesOn).is_ok() {
            self.messages.push(Message::Sent { to, span });
            self.table.detach(from, span);
        }
    }

    /// Takes the first message for a process.
    fn receive(&mut self, slot: ProcessSlot) {
        let is_for = |message: &Message| match *message {
            Message::Call { to, .. } | Message::Sent { to, .. } => to == slot,
            _ => false,
        };
        let Some(at) = self.messages.iter().position(is_for) else { return };
        match self.messages.remove(at) {
            Message::Call { from, to, span } => {
                assert_eq!(self.holder(to).arrive(span, With::Call), span);
                self.calls.push(Call { from, to, span });
            }
            Message::Sent { to, span } if !span.is_none() => {
                assert_eq!(self.holder(to).arrive(span, With::Other), span);
            }
            Message::Sent { .. } => {}
            _ => unreachable!(),
        }
    }

    /// A server replies to a call, with pages.
    fn reply(&mut self, at: usize, span: Span) {
        let Call { from, to, span: lent } = self.calls[at];
        if !span.is_none() && self.holder(to).transfer_out(span, Sender::GoesOn).is_err() {
            return;
        }
        self.calls.remove(at);
        self.end_loan(to, lent);
        self.over_with(from);
        self.messages.push(Message::Sent { to: from, span });
        self.table.detach(to, span);
    }

    /// A client takes its call back, received or not; or it ends, and wants nothing back.
    fn withdraw(&mut self, client: ProcessSlot) {
        let queued =
            |message: &Message| matches!(message, Message::Call { from, .. } if *from == client);
        if let Some(at) = self.messages.iter().position(queued) {
            self.messages.remove(at);
        }
        if let Some(at) = self.calls.iter().position(|call| call.from == client) {
            let Call { to, span, .. } = self.calls.remove(at);
            if span.lends() {
                self.holder(to).revoke_loan(span, SCRATCH);
            }
        }
    }

    fn end_loan(&mut self, server: ProcessSlot, span: Span) {
        if span.lends() {
            self.holder(server).end_loan(span);
        }
    }

    /// The call of a client is over: it has back what is still its own.
    fn over_with(&mut self, client: ProcessSlot) {
        if let Some(span) = self.process(client).calling.take() {
            self.holder(client).reclaim(span);
        }
    }

    fn release(&mut self, slot: ProcessSlot, span: Span) {
        if self.holder(slot).release(span).is_ok() {
            let pid = self.process(slot).pid;
            self.messages.push(Message::Freed { slot, pid, span });
        }
    }

    /// A process ends. First of all its own call, then those of others, as in `IpcCpu::leave`.
    fn end(&mut self, slot: ProcessSlot) {
        self.withdraw(slot);
        for message in core::mem::take(&mut self.messages) {
            match message {
                Message::Call { from, to, .. } if to == slot => self.over_with(from),
                Message::Sent { to, span } if to == slot => {
                    self.messages.push(Message::Dropped { span });
                }
                other => self.messages.push(other),
            }
        }
        for call in core::mem::take(&mut self.calls) {
            if call.to == slot {
                self.end_loan(slot, call.span);
                self.over_with(call.from);
            } else {
                self.calls.push(call);
            }
        }
        self.process(slot).over = true;
        self.messages.push(Message::Over { slot });
    }

    /// The memory manager takes a message; another process has the slot of one that is over then.
    fn manage(&mut self, number: usize) {
        let is_its =
            |message: &&Message| !matches!(message, Message::Call { .. } | Message::Sent { .. });
        let its = self.messages.iter().filter(is_its).count();
        let Some(nth) = number.checked_rem(its) else { return };
        let mut places = (0..self.messages.len()).filter(|&at| is_its(&&self.messages[at]));
        let message = self.messages.remove(places.nth(nth).unwrap());
        let Self { table, frames, processes, .. } = self;
        let give_back = |page, frame| {
            frames.give_back(frame);
            table.forget(page).unwrap();
        };
        match message {
            Message::Freed { slot, pid, span } => {
                if processes[slot.index()].pid == pid {
                    table.free(span, slot, give_back);
                }
            }
            Message::Dropped { span } => table.free_dropped(span, give_back),
            Message::Over { slot } => {
                let process = &mut processes[slot.index()];
                let calling = process.calling.unwrap_or(Span::NONE);
                table.free_all(slot, &&mut process.tables, calling, give_back);
                *process = Process { pid: process.pid + 1, ..Process::default() };
            }
            Message::Call { .. } | Message::Sent { .. } => unreachable!(),
        }
    }

    /// The processes that have a page mapped, and how.
    fn having(&self, page: u32, frame: PhysAddr) -> Vec<(ProcessSlot, Access)> {
        let has = |slot: ProcessSlot| {
            let mapped = self.processes[slot.index()].tables.0.get(&page)?;
            (mapped.0 == frame).then_some((slot, mapped.1))
        };
        ProcessSlot::first(SLOTS).filter_map(has).collect()
    }

    /// A page is writable in one place only, unless it is shared, and no frame is mapped that is
    /// another process's page or no process's.
    fn check(&self) {
        check_frames(self.table, &self.frames, FRAMES as usize);
        for page in 0..PAGES as u32 {
            let frame = self.table.frame(page).unwrap_or(PhysAddr::new(0));
            let having = self.having(page, frame);
            let state = self.table.state(page).unwrap();
            let seen = std::format!("page {page} is {state:?}, mapped in {having:?}");
            match state {
                PageState::Free
                | PageState::Reserved
                | PageState::InTransit { .. }
                | PageState::Returning { .. } => {
                    assert!(having.is_empty(), "{seen}");
                }
                // On its way back, it is mapped nowhere.
                PageState::Owned { owner } => {
                    assert!(having.is_empty() || having == [(owner, Access::Write)], "{seen}");
                }
                PageState::Lent { access: Access::Write, owner } => {
                    assert!(
                        having.len() <= 1 && having.iter().all(|&(slot, _)| slot != owner),
                        "{seen}"
                    );
                }
                PageState::Lent { access: Access::Read, owner } => {
                    let reads = |&(_, access): &(ProcessSlot, Access)| access == Access::Read;
                    assert!(having.iter().all(reads) && having.len() <= 2, "{seen}");
                    assert!(having.iter().any(|&(slot, _)| slot == owner), "{seen}");
                }
                PageState::Shared { sharers } => {
                    assert!(having.len() <= usize::from(sharers), "{seen}")
                }
            }
        }
        let mapped = self.processes.iter().flat_map(|process| &process.tables.0);
        for (&page, &(frame, _)) in mapped {
            let is_its = self.table.frame(page) == Some(frame);
            assert!(is_its || frame == SCRATCH, "page {page} shows frame {frame:#x}");
        }
    }

    /// Does step `what` (any number) with these.
    fn step(&mut self, what: u8, slot: ProcessSlot, page: u32, count: u32, mode: Transfer) {
        let to = process_no((slot.index() + 1 + page as usize % 2) % SLOTS);
        let pages = span(page, count, mode);
        match what {
            0..=1 if self.runs(slot) => self.alloc(slot, count),
            2..=4 if self.runs(slot) && !self.process(to).over => self.call(slot, to, pages),
            5..=6 if self.runs(slot) && !self.process(to).over => self.send(slot, to, pages),
            7..=9 if self.runs(slot) => self.receive(slot),
            10..=11 => {
                let Some(at) = self.calls.iter().position(|call| call.to == slot) else { return };
                if self.runs(slot) {
                    self.reply(at, if page.is_multiple_of(3) { Span::NONE } else { pages });
                }
            }
            12 => {
                self.withdraw(slot);
                self.over_with(slot);
            }
            13..=14 if self.runs(slot) => self.release(slot, pages),
            15..=17 => self.manage(page as usize),
            18 if !self.process(slot).over => self.end(slot),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 100_000, ..ProptestConfig::default() })]
    /// Whatever processes hand to each other and whichever of them end: a page that is not shared
    /// is in one place, nothing is mapped that is not its process's, and in the end all frames are
    /// back.
    #[test]
    fn nothing_is_lost_between_processes(
        steps in prop::collection::vec(
            (0..19_u8, processes(0..SLOTS), 0..PAGES as u32, 1..4_u32, prop::sample::select(&MODES[..])),
            0..400,
        ),
    ) {
        let mut world = World::new();
        for (what, slot, page, count, mode) in steps {
            world.step(what, slot, page, count, mode);
            world.check();
        }
        for slot in ProcessSlot::first(SLOTS) {
            if !world.process(slot).over {
                world.end(slot);
            }
        }
        while !world.messages.is_empty() {
            world.manage(0);
            world.check();
        }
        prop_assert_eq!(world.frames.0.len(), FRAMES as usize);
        prop_assert!((0..PAGES as u32).all(|page| world.table.state(page) == Some(PageState::Free)));
    }
}

/// Its message to the memory manager is overtaken by its end.
#[test]
fn who_lets_go_of_a_shared_page_and_ends_leaves_nothing() {
    for last in [false, true] {
        let mut world = World::new();
        world.alloc(process_no(0), 1);
        world.send(process_no(0), process_no(1), span(0, 1, Transfer::Share));
        world.receive(process_no(1));
        if last {
            world.release(process_no(0), span(0, 1, Transfer::Share));
            world.manage(0);
        }
        world.release(process_no(1), span(0, 1, Transfer::Share));
        world.end(process_no(1));
        world.manage(1);
        world.manage(0);
        world.check();
        let left = if last { PageState::Free } else { PageState::Shared { sharers: 1 } };
        assert_eq!(world.table.state(0), Some(left));
    }
}

/// Its receiver gets none of them, and is counted for none.
#[test]
fn pages_that_too_many_share_do_not_come() {
    let mut world = World::new();
    world.alloc(process_no(0), 2);
    let both = span(0, 2, Transfer::Share);
    world.call(process_no(0), process_no(1), both);
    for _ in 2..SHARERS_MAX {
        world.table.begin_share(process_no(0), span(1, 1, Transfer::Share)).unwrap();
    }
    assert_eq!(world.holder(process_no(1)).arrive(both, With::Call), Span::NONE);
    assert_eq!(world.table.state(0), Some(PageState::Shared { sharers: 2 }));
    assert_eq!(world.table.state(1), Some(PageState::Shared { sharers: SHARERS_MAX }));
}

/// That it has let go of shared pages, the memory manager hears when another process has freed them, and
/// the process has one of their numbers again.
#[test]
fn what_has_come_again_is_not_freed_with_what_was_let_go() {
    let (one, other) = (process_no(0), process_no(1));
    let mut world = World::new();
    world.alloc(one, PAGES as u32 - 2);
    world.call(one, other, span(0, 1, Transfer::Share));
    world.receive(other);
    world.end(one);
    world.release(other, span(0, 1, Transfer::HandOver));
    world.manage(0);
    assert_eq!(world.table.state(0), Some(PageState::Free));
    world.alloc(other, 2);
    world.alloc(other, 1);
    world.manage(0);
    world.check();
    assert_eq!(world.table.state(0), Some(PageState::Owned { owner: other }));
}
