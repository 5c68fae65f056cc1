//! Quotas against a plain list of what each process has taken.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::test_ids::{process_no, processes};

const PAGES: usize = 12;

/// Of few pages and processes.
fn new() -> Quotas {
    Quotas::new([None; PAGES].into(), [Account::default(); 4].into())
}

fn limit(most: u32, promised: u32) -> Limit {
    Limit { most, promised }
}

#[test]
fn nobody_takes_more_than_its_limit() {
    let mut quotas = new();
    assert_eq!(quotas.check(process_no(3), 1), Err(Error::OverQuota), "there is no such process");
    quotas.open(process_no(3), limit(4, 0));
    assert_eq!(quotas.check(process_no(3), 5), Err(Error::OverQuota));
    assert_eq!(quotas.check(process_no(3), u32::MAX), Err(Error::OverQuota));
    assert_eq!(quotas.check(process_no(3), 4), Ok(()));
    quotas.take(process_no(3), 0, 4);
    assert_eq!(quotas.check(process_no(3), 1), Err(Error::OverQuota));
    // Whichever process had it.
    quotas.free(2);
    assert_eq!(quotas.check(process_no(3), 2), Err(Error::OverQuota));
    assert_eq!(quotas.check(process_no(3), 1), Ok(()));
}

#[test]
fn what_the_dead_have_left_is_not_their_successors() {
    let mut quotas = new();
    quotas.open(process_no(3), limit(4, 4));
    quotas.take(process_no(3), 0, 4);
    quotas.close(process_no(3));
    quotas.open(process_no(3), limit(4, 0));
    assert_eq!(quotas.check(process_no(3), 4), Ok(()));
    quotas.take(process_no(3), 4, 4);
    quotas.free(0);
    assert_eq!(quotas.check(process_no(3), 1), Err(Error::OverQuota), "that was not its own");
}

#[test]
fn others_do_not_get_what_was_promised() {
    let mut quotas = new();
    quotas.take_for_nobody(0, 2);
    quotas.open(process_no(0), limit(4, 3));
    quotas.open(process_no(1), limit(12, 0));
    assert_eq!(quotas.check(process_no(1), 8), Err(Error::NoMemory));
    assert_eq!(quotas.check(process_no(1), 7), Ok(()));
    quotas.take(process_no(1), 2, 7);
    assert_eq!(quotas.check(process_no(0), 4), Err(Error::NoMemory), "only three were promised");
    assert_eq!(quotas.check(process_no(0), 3), Ok(()));
    // They are kept for the process that is promised as many again.
    quotas.close(process_no(0));
    assert_eq!(quotas.check(process_no(1), 1), Err(Error::NoMemory));
    quotas.open(process_no(2), limit(4, 3));
    assert_eq!(quotas.check(process_no(1), 1), Err(Error::NoMemory));
    assert_eq!(quotas.check(process_no(2), 3), Ok(()));
}

#[test]
fn what_was_promised_has_a_place_of_its_own() {
    let mut quotas = new();
    quotas.open(process_no(0), limit(12, 0));
    assert_eq!(quotas.places(process_no(0), 1), [0..12, 0..0]);
    quotas.open(process_no(1), limit(2, 2));
    quotas.open(process_no(2), limit(3, 3));
    assert_eq!(quotas.places(process_no(0), 1), [0..7, 0..0]);
    assert_eq!(quotas.places(process_no(1), 2), [7..12, 0..12]);
    // It stays, for a process that is restarted.
    quotas.close(process_no(1));
    assert_eq!(quotas.places(process_no(0), 1), [0..7, 0..0]);
    assert_eq!(quotas.places(process_no(2), 3), [7..12, 0..12]);
    // What is more than was promised does not take the place of what others were promised.
    quotas.take(process_no(2), 7, 2);
    assert_eq!(quotas.places(process_no(2), 2), [0..7, 0..12]);
}

#[test]
fn more_can_be_promised_than_there_is() {
    let mut quotas = new();
    quotas.open(process_no(0), limit(12, 0));
    quotas.take(process_no(0), 0, 10);
    quotas.open(process_no(1), limit(4, 4));
    assert_eq!(quotas.check(process_no(0), 1), Err(Error::NoMemory));
    assert_eq!(quotas.check(process_no(1), 3), Err(Error::NoMemory), "there are two");
    assert_eq!(quotas.check(process_no(1), 2), Ok(()));
}

#[derive(Clone, Debug)]
enum Step {
    Open(ProcessSlot, Limit),
    Close(ProcessSlot),
    Take(ProcessSlot, u32),
    Free(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || processes(0..3);
    let most = (0..8_u32, 0..8_u32).prop_map(|(most, promised)| limit(most, promised.min(most)));
    prop_oneof![
        1 => (slot(), most).prop_map(|(slot, limit)| Step::Open(slot, limit)),
        1 => slot().prop_map(Step::Close),
        4 => (slot(), 1..6_u32).prop_map(|(slot, count)| Step::Take(slot, count)),
        2 => any::<prop::sample::Index>().prop_map(Step::Free),
    ]
}

/// The plain version.
struct Model {
    /// The process that has taken each page: `None` for a free page, `Some(None)` for one of a
    /// process that is over.
    pages: Vec<Option<Option<ProcessSlot>>>,
    limits: [Option<Limit>; 3],
    /// The most that was promised at a time.
    most_promised: u32,
}

impl Model {
    fn paid(&self, slot: ProcessSlot) -> u32 {
        self.pages.iter().filter(|page| **page == Some(Some(slot))).count() as u32
    }

    fn owed(&self, slot: ProcessSlot) -> u32 {
        let promised = self.limits[slot.index()].map_or(0, |limit| limit.promised);
        promised.saturating_sub(self.paid(slot))
    }

    fn promised(&self) -> u32 {
        self.limits.iter().flatten().map(|limit| limit.promised).sum()
    }

    fn check(&self, slot: ProcessSlot, count: u32) -> Result<(), Error> {
        let most = self.limits[slot.index()].map_or(0, |limit| limit.most);
        if self.paid(slot) + count > most {
            return Err(Error::OverQuota);
        }
        let free = self.pages.iter().filter(|page| page.is_none()).count() as u32;
        let others = ProcessSlot::first(3).filter(|other| *other != slot);
        let others: u32 = others.map(|other| self.owed(other)).sum();
        let kept = self.most_promised - self.promised();
        let fits = count <= free && (count <= self.owed(slot) || count + others + kept <= free);
        fits.then_some(()).ok_or(Error::NoMemory)
    }
}

proptest! {
    #[test]
    fn behaves_like_a_plain_list(steps in prop::collection::vec(step(), 0..200)) {
        let mut quotas = new();
        let mut model = Model { pages: vec![None; PAGES], limits: [None; 3], most_promised: 0 };
        for step in steps {
            match step {
                Step::Open(slot, limit) if model.limits[slot.index()].is_none() => {
                    quotas.open(slot, limit);
                    model.limits[slot.index()] = Some(limit);
                    model.most_promised = model.most_promised.max(model.promised());
                }
                Step::Close(slot) => {
                    quotas.close(slot);
                    model.limits[slot.index()] = None;
                    for page in &mut model.pages {
                        if *page == Some(Some(slot)) {
                            *page = Some(None);
                        }
                    }
                }
                Step::Take(slot, count) => {
                    let room = |at: usize| {
                        let pages = model.pages.get(at..at + count as usize);
                        pages.is_some_and(|pages| pages.iter().all(Option::is_none))
                    };
                    if let (Ok(()), Some(at)) = (quotas.check(slot, count), (0..PAGES).find(|at| room(*at))) {
                        quotas.take(slot, at as u32, count);
                        model.pages[at..at + count as usize].fill(Some(Some(slot)));
                    }
                }
                Step::Free(index) => {
                    let page = index.index(PAGES);
                    if model.pages[page].take().is_some() {
                        quotas.free(page as u32);
                    }
                }
                Step::Open(..) => {}
            }
            for slot in ProcessSlot::first(3) {
                for count in 1..=PAGES as u32 {
                    prop_assert_eq!(quotas.check(slot, count), model.check(slot, count));
                }
            }
        }
    }
}
