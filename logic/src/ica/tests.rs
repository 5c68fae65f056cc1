//! The table against a plain one, over histories in which most of what is asked is nonsense, and
//! over histories of processes that hand each other pages.

use std::collections::BTreeSet;
use std::vec::Vec;
use std::{format, vec};

use ant_abi::boot::TableSizes;
use proptest::prelude::*;

use super::*;
use crate::test_ids::{process_no, processes};

mod processes;

const PAGES: usize = 10;
const PAGE: u64 = 4096;

/// The frame with a number.
fn nth(n: u64) -> PhysAddr {
    PhysAddr::new(n * PAGE)
}
type Table = IcaTable<'static>;

/// A table of free pages. Its memory is given for ever, as at boot.
fn table() -> Table {
    let entries = Vec::from_iter((0..PAGES).map(|_| AtomicU64::new(0)));
    IcaTable::new(entries.leak())
}

const MODES: [Transfer; 4] =
    [Transfer::HandOver, Transfer::LendRead, Transfer::LendWrite, Transfer::Share];

fn span(first: u32, count: u32, transfer: Transfer) -> Span {
    Span::new(first, count, transfer)
}

/// A table with the first `count` pages owned by process 1.
fn owned(count: u32) -> Table {
    let table = table();
    assert_eq!(IcaAllocator::new(table).alloc(count), Some(0));
    for page in 0..count {
        table.set_frame(page, nth(u64::from(page + 1)), process_no(1)).unwrap();
    }
    table
}

#[test]
fn zeros_are_a_table_of_free_pages() {
    let table = table();
    assert_eq!(table.pages(), PAGES as u32);
    assert_eq!(table.state(0), Some(PageState::Free));
    assert_eq!(table.state(PAGES as u32), None);
}

#[test]
fn finds_room_behind_what_it_found_last() {
    let table = table();
    let mut allocator = IcaAllocator::new(table);
    assert_eq!(allocator.alloc(0), None);
    assert_eq!(allocator.alloc(PAGES as u32 + 1), None);
    assert_eq!(allocator.alloc(4), Some(0));
    assert_eq!(allocator.alloc(4), Some(4));
    table.forget(1).unwrap();
    assert_eq!(allocator.alloc(1), Some(8));
    assert_eq!(allocator.alloc(2), None, "they would not be neighbours");
    assert_eq!(allocator.alloc(1), Some(9));
    assert_eq!(allocator.alloc(1), Some(1));
    assert_eq!(allocator.alloc(1), None);
    assert_eq!(table.forget(1), Ok(()));
    assert_eq!(table.forget(1), Err(Error::Fault), "it is free");
}

#[test]
fn a_frame_is_the_address_of_a_page() {
    let last = ProcessSlot::from_bits(u64::from(TableSizes::MOST.processes) - 1);
    let table = table();
    IcaAllocator::new(table).alloc(1).unwrap();
    for phys in [1, PAGE + 8, 1 << 52, u64::MAX] {
        assert_eq!(table.set_frame(0, PhysAddr::new(phys), process_no(1)), Err(Error::Invalid));
    }
    assert_eq!(table.set_frame(1, nth(1), process_no(1)), Err(Error::Fault), "it is not reserved");
    assert_eq!(table.frame(0), None);
    assert_eq!(table.set_frame(0, PhysAddr::new((1 << 52) - PAGE), last), Ok(()));
    assert_eq!(table.frame(0), Some(PhysAddr::new((1 << 52) - PAGE)));
    assert_eq!(table.state(0), Some(PageState::Owned { owner: last }));
    assert_eq!(table.set_frame(0, nth(1), process_no(1)), Err(Error::Fault), "it has one");
}

#[test]
fn pages_are_handed_over() {
    let table = owned(3);
    let handed = span(0, 2, Transfer::HandOver);
    assert_eq!(
        table.begin_transfer(process_no(2), handed),
        Err(Error::Fault),
        "they are not its own"
    );
    table.begin_transfer(process_no(1), handed).unwrap();
    assert_eq!(table.begin_transfer(process_no(1), handed), Err(Error::Fault), "they are gone");
    assert_eq!(table.release(0, process_no(1)), Err(Error::Fault));
    table.complete_hand_over(handed, process_no(2)).unwrap();
    assert_eq!(table.complete_hand_over(handed, process_no(3)), Err(Error::Fault));
    assert_eq!(table.state(1), Some(PageState::Owned { owner: process_no(2) }));
    assert_eq!(table.release(1, process_no(2)), Ok(Some(nth(2))));
    assert_eq!(table.release(1, process_no(2)), Err(Error::Fault));
    assert_eq!(table.state(1), Some(PageState::Reserved));
}

#[test]
fn what_was_not_received_comes_back() {
    for mode in [Transfer::HandOver, Transfer::LendRead, Transfer::LendWrite] {
        let table = owned(2);
        table.begin_transfer(process_no(1), span(0, 2, mode)).unwrap();
        assert_eq!(
            table.undo_transfer(process_no(2), span(0, 2, mode)),
            Err(Error::Fault),
            "not its own"
        );
        table.undo_transfer(process_no(1), span(0, 2, mode)).unwrap();
        assert_eq!(table.state(1), Some(PageState::Owned { owner: process_no(1) }));
    }
}

#[test]
fn nobody_gets_back_what_one_handed_over_who_has_ended() {
    let table = owned(2);
    let handed = span(0, 2, Transfer::HandOver);
    table.begin_transfer(process_no(1), handed).unwrap();
    assert_eq!(table.orphan(0, process_no(2)), Err(Error::Fault));
    table.orphan(0, process_no(1)).unwrap();
    assert_eq!(
        table.undo_transfer(process_no(1), handed),
        Err(Error::Fault),
        "the slot has another process"
    );
    assert_eq!(
        table.state(1),
        Some(PageState::InTransit { giver: Some(process_no(1)) }),
        "nothing changed"
    );
    assert_eq!(table.discard(0), Ok(nth(1)));
    table.complete_hand_over(span(1, 1, Transfer::HandOver), process_no(3)).unwrap();
    assert_eq!(table.orphan(1, process_no(1)), Err(Error::Fault), "it was received");
}

#[test]
fn a_lent_page_stays_its_owners() {
    let table = owned(1);
    let lent = span(0, 1, Transfer::LendWrite);
    table.begin_transfer(process_no(1), lent).unwrap();
    assert_eq!(
        table.state(0),
        Some(PageState::Lent { owner: process_no(1), access: Access::Write })
    );
    assert_eq!(table.begin_transfer(process_no(1), lent), Err(Error::Fault));
    assert_eq!(table.release(0, process_no(1)), Err(Error::Fault), "somebody uses it");
    assert_eq!(table.end_loan(process_no(2), lent), Err(Error::Fault));
    assert_eq!(table.end_loan(process_no(1), span(0, 1, Transfer::LendRead)), Err(Error::Fault));
    assert_eq!(table.end_loan(process_no(1), span(0, 1, Transfer::HandOver)), Err(Error::Invalid));
    table.end_loan(process_no(1), lent).unwrap();
    assert_eq!(table.release(0, process_no(1)), Ok(Some(nth(1))));
}

#[test]
fn the_last_who_shares_returns_the_frame() {
    let table = owned(2);
    table.begin_transfer(process_no(1), span(0, 1, Transfer::Share)).unwrap();
    // One page is shared already, the other is not.
    let both = span(0, 2, Transfer::Share);
    assert_eq!(table.begin_transfer(process_no(1), both), Err(Error::Fault));
    assert_eq!(
        table.begin_share(process_no(1), span(0, 2, Transfer::HandOver)),
        Err(Error::Invalid)
    );
    table.begin_share(process_no(1), both).unwrap();
    assert_eq!(table.state(0), Some(PageState::Shared { sharers: 3 }));
    assert_eq!(table.state(1), Some(PageState::Shared { sharers: 2 }));
    assert_eq!(table.undo_transfer(process_no(1), both), Err(Error::Invalid));
    assert_eq!(table.release(0, process_no(1)), Ok(None));
    assert_eq!(table.release(0, process_no(2)), Ok(None));
    assert_eq!(table.frame(0), Some(nth(1)));
    assert_eq!(table.release(0, process_no(3)), Ok(Some(nth(1))));
    assert_eq!(table.release(0, process_no(3)), Err(Error::Fault));
    assert_eq!(table.frame(0), None);
}

#[test]
fn not_more_share_than_can_be_counted() {
    let table = owned(2);
    for _ in 1..SHARERS_MAX {
        table.begin_share(process_no(1), span(1, 1, Transfer::Share)).unwrap();
    }
    assert_eq!(table.state(1), Some(PageState::Shared { sharers: SHARERS_MAX }));
    assert_eq!(table.begin_share(process_no(1), span(0, 2, Transfer::Share)), Err(Error::Busy));
    assert_eq!(table.state(0), Some(PageState::Owned { owner: process_no(1) }), "nothing changed");
    for _ in 1..SHARERS_MAX {
        assert_eq!(table.release(1, process_no(1)), Ok(None));
    }
    assert_eq!(table.release(1, process_no(1)), Ok(Some(nth(2))));
}

#[test]
fn spans_that_say_nothing_or_lead_out() {
    let table = owned(PAGES as u32);
    assert_eq!(table.begin_transfer(process_no(1), Span::NONE), Err(Error::Invalid));
    assert_eq!(table.begin_transfer(process_no(1), Span(7 << 48 | 1 << 24)), Err(Error::Invalid));
    for mode in MODES {
        assert_eq!(table.begin_transfer(process_no(1), span(0, 0, mode)), Err(Error::Invalid));
        for (first, count) in [(0, 11), (10, 1), (9, 2), (0xff_ffff, 0xff_ffff)] {
            assert_eq!(
                table.begin_transfer(process_no(1), span(first, count, mode)),
                Err(Error::Fault)
            );
        }
    }
    for page in [10, u32::MAX] {
        assert_eq!(table.release(page, process_no(1)), Err(Error::Fault));
        assert_eq!(table.discard(page), Err(Error::Fault));
        assert_eq!(table.set_frame(page, nth(1), process_no(1)), Err(Error::Fault));
        assert_eq!(table.frame(page), None);
    }
}

#[test]
fn what_is_left_of_a_process_that_ends_is_freed() {
    let table = owned(6);
    table.begin_transfer(process_no(1), span(0, 1, Transfer::HandOver)).unwrap();
    table.begin_transfer(process_no(1), span(1, 1, Transfer::LendRead)).unwrap();
    table.begin_transfer(process_no(1), span(2, 1, Transfer::Share)).unwrap();
    table.begin_transfer(process_no(1), span(3, 1, Transfer::HandOver)).unwrap();
    table.complete_hand_over(span(3, 1, Transfer::HandOver), process_no(2)).unwrap();
    table.release(4, process_no(1)).unwrap();
    let mut freed = Vec::new();
    // It has page 2 mapped no more.
    table.free_all(process_no(1), &Nothing, Span::NONE, |page, _| freed.push(page));
    assert_eq!(freed, [0, 1, 5]);
    assert_eq!(table.state(3), Some(PageState::Owned { owner: process_no(2) }));
}

/// Page tables in which nothing is mapped.
struct Nothing;

impl Space for Nothing {
    fn has(&self, _: Span, _: impl Fn(u32, PhysAddr) -> bool) -> bool {
        false
    }

    fn set(&mut self, _: Span, _: Access, _: impl Fn(u32) -> Option<PhysAddr>) {}
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u32),
    SetFrame(u32, ProcessSlot),
    Forget(u32),
    BeginTransfer(ProcessSlot, Span),
    BeginShare(ProcessSlot, Span),
    Complete(Span, ProcessSlot),
    Undo(ProcessSlot, Span),
    EndLoan(ProcessSlot, Span),
    Release(u32, ProcessSlot),
    Orphan(u32, ProcessSlot),
    Discard(u32),
}

fn step() -> impl Strategy<Value = Step> {
    // One page more than there is; few processes, so that they meet.
    let page = || 0..=PAGES as u32;
    let slot = || processes(0..2);
    let any_span = || {
        let count = prop_oneof![6 => Just(1_u32), 3 => Just(2), 1 => 0..12_u32];
        (page(), count, prop::sample::select(&MODES[..]))
            .prop_map(|(first, count, mode)| span(first, count, mode))
    };
    prop_oneof![
        2 => (0..4_u32).prop_map(Step::Alloc),
        6 => (page(), slot()).prop_map(|(page, slot)| Step::SetFrame(page, slot)),
        2 => page().prop_map(Step::Forget),
        8 => (slot(), any_span()).prop_map(|(slot, span)| Step::BeginTransfer(slot, span)),
        3 => (slot(), any_span()).prop_map(|(slot, span)| Step::BeginShare(slot, span)),
        4 => (any_span(), slot()).prop_map(|(span, slot)| Step::Complete(span, slot)),
        3 => (slot(), any_span()).prop_map(|(slot, span)| Step::Undo(slot, span)),
        3 => (slot(), any_span()).prop_map(|(slot, span)| Step::EndLoan(slot, span)),
        4 => (page(), slot()).prop_map(|(page, slot)| Step::Release(page, slot)),
        1 => (page(), slot()).prop_map(|(page, slot)| Step::Orphan(page, slot)),
        2 => page().prop_map(Step::Discard),
    ]
}

/// The plain version: a step is tried on a copy, which is kept only if all went well.
#[derive(Clone)]
struct Model {
    /// PageState, and the frame it had last.
    pages: Vec<(PageState, PhysAddr)>,
}

impl Model {
    /// Changes one page; its frame if it has none any more.
    fn one(
        &mut self,
        page: u32,
        rule: &dyn Fn(PageState) -> Option<PageState>,
    ) -> Option<Option<PhysAddr>> {
        let (state, frame) = self.pages.get_mut(page as usize)?;
        let before = *state;
        *state = rule(before)?;
        let had = !matches!(before, PageState::Free | PageState::Reserved);
        Some((*state == PageState::Reserved && had).then_some(*frame))
    }

    fn all(&mut self, span: Span, rule: &dyn Fn(PageState) -> Option<PageState>) -> bool {
        let mut copy = self.clone();
        let pages = span.first()..span.first() + span.count();
        let done = span.count() > 0 && { pages }.all(|page| copy.one(page, rule).is_some());
        if done {
            *self = copy;
        }
        done
    }

    fn begin(&mut self, slot: ProcessSlot, span: Span, shared_too: bool) -> bool {
        self.all(span, &|state| match (state, span.transfer()?) {
            (PageState::Owned { owner }, mode) if owner == slot => Some(match mode {
                Transfer::HandOver => PageState::InTransit { giver: Some(slot) },
                Transfer::LendRead => PageState::Lent { owner, access: Access::Read },
                Transfer::LendWrite => PageState::Lent { owner, access: Access::Write },
                Transfer::Share => PageState::Shared { sharers: 2 },
            }),
            (PageState::Shared { sharers }, Transfer::Share) if shared_too => {
                Some(PageState::Shared { sharers: sharers + 1 })
            }
            _ => None,
        })
    }

    fn back(&mut self, slot: ProcessSlot, span: Span, handed_over_too: bool) -> bool {
        self.all(span, &|state| match (state, span.transfer()?) {
            (PageState::Lent { owner, access: Access::Read }, Transfer::LendRead)
            | (PageState::Lent { owner, access: Access::Write }, Transfer::LendWrite)
                if owner == slot =>
            {
                Some(PageState::Owned { owner })
            }
            (PageState::InTransit { giver: Some(owner) }, Transfer::HandOver)
                if handed_over_too && owner == slot =>
            {
                Some(PageState::Owned { owner })
            }
            _ => None,
        })
    }

    fn release(&mut self, page: u32, slot: ProcessSlot) -> Option<Option<PhysAddr>> {
        self.one(page, &|state| match state {
            PageState::Owned { owner } if owner == slot => Some(PageState::Reserved),
            PageState::Shared { sharers: 1 } => Some(PageState::Reserved),
            PageState::Shared { sharers } => Some(PageState::Shared { sharers: sharers - 1 }),
            _ => None,
        })
    }
}

/// Frames that have no owner.
struct Frames(BTreeSet<PhysAddr>);

impl Frames {
    fn give_back(&mut self, frame: PhysAddr) {
        assert!(self.0.insert(frame), "frame {frame:#x} was returned twice");
    }
}

/// Does one step on both; whether it went well.
fn step_both(
    step: &Step,
    table: Table,
    allocator: &mut IcaAllocator<'_>,
    model: &mut Model,
    frames: &mut Frames,
) -> Result<bool, TestCaseError> {
    let (was, expected) = match *step {
        Step::Alloc(count) => {
            let first = allocator.alloc(count);
            let free = |page: usize| model.pages[page].0 == PageState::Free;
            let fits = |first: usize| (first..first + count as usize).all(free);
            let possible = count > 0 && (0..=PAGES - count as usize).any(fits);
            if let Some(first) = first {
                prop_assert!(count > 0 && fits(first as usize));
                model.all(span(first, count, Transfer::HandOver), &|_| Some(PageState::Reserved));
            }
            (first.is_some(), possible)
        }
        Step::SetFrame(page, owner) => {
            let Some(&frame) = frames.0.first() else { return Ok(false) };
            let expected = model.one(page, &|state| {
                (state == PageState::Reserved).then_some(PageState::Owned { owner })
            });
            if expected.is_some() {
                model.pages[page as usize].1 = frame;
                frames.0.remove(&frame);
            }
            (table.set_frame(page, frame, owner).is_ok(), expected.is_some())
        }
        Step::Forget(page) => {
            let rule = |state| (state == PageState::Reserved).then_some(PageState::Free);
            (table.forget(page).is_ok(), model.one(page, &rule).is_some())
        }
        Step::BeginTransfer(slot, span) => {
            (table.begin_transfer(slot, span).is_ok(), model.begin(slot, span, false))
        }
        Step::BeginShare(slot, span) => {
            let expected =
                span.transfer() == Some(Transfer::Share) && model.begin(slot, span, true);
            (table.begin_share(slot, span).is_ok(), expected)
        }
        Step::Complete(span, to) => {
            let expected = model.all(span, &|state| {
                let handed_over = span.transfer() == Some(Transfer::HandOver);
                let in_transit = matches!(state, PageState::InTransit { .. });
                (handed_over && in_transit).then_some(PageState::Owned { owner: to })
            });
            (table.complete_hand_over(span, to).is_ok(), expected)
        }
        Step::Undo(slot, span) => {
            (table.undo_transfer(slot, span).is_ok(), model.back(slot, span, true))
        }
        Step::EndLoan(slot, span) => {
            (table.end_loan(slot, span).is_ok(), model.back(slot, span, false))
        }
        Step::Release(page, slot) => {
            let returned = table.release(page, slot);
            prop_assert_eq!(returned.ok(), model.release(page, slot));
            if let Ok(Some(frame)) = returned {
                frames.give_back(frame);
            }
            return Ok(returned.is_ok());
        }
        Step::Orphan(page, giver) => {
            let own = PageState::InTransit { giver: Some(giver) };
            let rule = |state| (state == own).then_some(PageState::InTransit { giver: None });
            (table.orphan(page, giver).is_ok(), model.one(page, &rule).is_some())
        }
        Step::Discard(page) => {
            let returned = table.discard(page);
            let rule = |state| match state {
                PageState::InTransit { .. } => Some(PageState::Reserved),
                _ => None,
            };
            prop_assert_eq!(returned.ok(), model.one(page, &rule).flatten());
            if let Ok(frame) = returned {
                frames.give_back(frame);
            }
            return Ok(returned.is_ok());
        }
    };
    prop_assert_eq!(was, expected);
    Ok(was)
}

/// Every frame is free or with exactly one page, and no page has lost its own.
fn check_frames(table: Table, frames: &Frames, total: usize) {
    let held: Vec<_> = (0..PAGES as u32).filter_map(|page| table.frame(page)).collect();
    let all: BTreeSet<_> = held.iter().chain(&frames.0).collect();
    assert_eq!(all.len(), total, "a frame is lost");
    assert_eq!(held.len() + frames.0.len(), total, "a frame is in two places");
}

proptest! {
    #[test]
    fn behaves_like_a_plain_table(steps in prop::collection::vec(step(), 0..300)) {
        let table = table();
        let mut allocator = IcaAllocator::new(table);
        let mut model = Model { pages: vec![(PageState::Free, nth(0)); PAGES] };
        let mut frames = Frames((1..=8).map(nth).collect());
        for step in steps {
            let text = format!("{step:?}");
            step_both(&step, table, &mut allocator, &mut model, &mut frames)?;
            for page in 0..PAGES as u32 {
                let (state, frame) = model.pages[page as usize];
                prop_assert_eq!(table.state(page), Some(state), "page {} after {}", page, text);
                let none = matches!(state, PageState::Free | PageState::Reserved);
                prop_assert_eq!(table.frame(page), (!none).then_some(frame));
            }
            check_frames(table, &frames, 8);
        }
    }
}
