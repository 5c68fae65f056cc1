//! The allocator against a set of addresses, over long histories.

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Address of page `page`.
fn at(page: u64) -> PhysAddr {
    PhysAddr::new(page * PAGE)
}

/// Number of the page at an address.
fn number(page: PhysAddr) -> u64 {
    page.get() / PAGE
}

fn extent(page: u64, pages: u64) -> Extent {
    Extent { start: at(page), len: pages * PAGE }
}

fn storage(extents: &[Extent]) -> Vec<u64> {
    // What was in it before must not matter.
    vec![0xdead_beef_dead_beef; PageAllocator::storage_words(extents)]
}

#[test]
fn gives_every_page_once() {
    let extents = [extent(1000, 70), extent(10, 3)];
    let mut storage = storage(&extents);
    let mut pages = PageAllocator::new(&extents, &mut storage);
    assert_eq!((pages.total_pages(), pages.free_pages()), (73, 73));
    let given: BTreeSet<PhysAddr> = std::iter::from_fn(|| pages.alloc()).collect();
    let all: BTreeSet<PhysAddr> = (10..13).chain(1000..1070).map(at).collect();
    assert_eq!(given, all);
    assert_eq!(pages.free_pages(), 0);
    assert_eq!(pages.alloc(), None);
    assert_eq!(pages.alloc_contiguous(1), None);
}

#[test]
fn refuses_what_is_not_allocated() {
    let extents = [extent(10, 4), extent(20, 4)];
    let mut storage = storage(&extents);
    let mut pages = PageAllocator::new(&extents, &mut storage);
    let page = pages.alloc().unwrap();
    assert_eq!(pages.free(page + 8), Err(FreeError::Unaligned));
    for page in [0, 9, 14, 19, 24, 1 << 40] {
        assert_eq!(pages.free(at(page)), Err(FreeError::Outside));
    }
    assert_eq!(pages.free(PhysAddr::new(!(PAGE - 1))), Err(FreeError::Outside));
    assert_eq!(pages.free(page), Ok(()));
    assert_eq!(pages.free(page), Err(FreeError::NotAllocated));
    assert_eq!(pages.free_pages(), 8);
}

#[test]
fn reserved_pages_are_never_given() {
    let extents = [extent(10, 4), extent(20, 4)];
    let mut storage = storage(&extents);
    let mut pages = PageAllocator::new(&extents, &mut storage);
    // From the last byte of page 12 to the first of page 21, what is between them included.
    pages.reserve(at(13) - 1, 8 * PAGE + 2);
    pages.reserve(at(13) - 1, 0);
    assert_eq!((pages.total_pages(), pages.free_pages()), (8, 4));
    let given: BTreeSet<u64> = std::iter::from_fn(|| pages.alloc()).map(number).collect();
    assert_eq!(given, BTreeSet::from([10, 11, 22, 23]));
    pages.reserve(at(0), u64::MAX);
    assert_eq!(pages.free_pages(), 0);
}

#[test]
fn contiguous_pages_are_neighbours_in_memory() {
    // The first two are neighbours in memory, the third only in the bitmap.
    let extents = [extent(300, 100), extent(400, 100), extent(600, 100)];
    let mut storage = storage(&extents);
    let mut pages = PageAllocator::new(&extents, &mut storage);
    assert_eq!(pages.alloc_contiguous(0), None);
    assert_eq!(pages.alloc_contiguous(201), None);
    assert_eq!(pages.alloc_contiguous(usize::MAX), None);
    assert_eq!(pages.alloc_contiguous(200), Some(at(300)));
    assert_eq!(pages.alloc_contiguous(99), Some(at(600)));
    assert_eq!(pages.alloc_contiguous(2), None);
    assert_eq!(pages.alloc_contiguous(1), Some(at(699)));
    pages.free(at(399)).unwrap();
    pages.free(at(400)).unwrap();
    assert_eq!(pages.alloc_contiguous(2), Some(at(399)));
}

#[test]
fn odd_extents_do_no_harm() {
    let extents = [
        Extent { start: at(10) + 1, len: 3 * PAGE },
        extent(11, 3),
        Extent { start: at(50), len: 100 },
        Extent { start: PhysAddr::new(u64::MAX - 10), len: 100 },
        extent(5, 0),
    ];
    let mut storage = storage(&extents);
    let pages = PageAllocator::new(&extents, &mut storage);
    assert_eq!(pages.total_pages(), 3);
    let mut nothing = [];
    let mut pages = PageAllocator::new(&[], &mut nothing);
    assert_eq!((pages.total_pages(), pages.alloc()), (0, None));
    assert_eq!(pages.free(at(0)), Err(FreeError::Outside));
}

#[derive(Clone, Debug)]
enum Step {
    Alloc,
    Contiguous(usize),
    Reserve(u64, u64),
    /// Frees one of those that are allocated.
    Free(prop::sample::Index),
    /// Frees any page.
    FreeAny(u64),
}

/// Pages of the model are below this.
const END: u64 = 700;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Alloc),
        2 => (0..150_usize).prop_map(Step::Contiguous),
        1 => (0..END, 0..5_u64).prop_map(|(page, pages)| Step::Reserve(page, pages)),
        7 => any::<prop::sample::Index>().prop_map(Step::Free),
        2 => (0..END).prop_map(Step::FreeAny),
    ]
}

fn extents() -> impl Strategy<Value = Vec<Extent>> {
    let one = (0..END - 130, 0..130_u64).prop_map(|(page, pages)| extent(page, pages));
    prop::collection::vec(one, 1..6)
}

/// First page of the first `count` neighbours.
fn first_of(free: &BTreeSet<u64>, count: u64) -> Option<u64> {
    free.iter().copied().find(|&page| (page..page + count).all(|page| free.contains(&page)))
}

proptest! {
    #[test]
    fn behaves_like_a_set(extents in extents(), steps in prop::collection::vec(step(), 0..800)) {
        let mut storage = storage(&extents);
        let mut pages = PageAllocator::new(&extents, &mut storage);
        let all: BTreeSet<u64> = extents
            .iter()
            .flat_map(|extent| number(extent.start)..number(extent.start + extent.len))
            .collect();
        let mut free = all.clone();
        prop_assert_eq!(pages.total_pages(), all.len() as u64);
        for step in steps {
            match step {
                Step::Alloc => match pages.alloc() {
                    Some(page) => {
                        prop_assert!(page.is_page_aligned() && free.remove(&number(page)))
                    }
                    None => prop_assert!(free.is_empty()),
                },
                Step::Contiguous(count) => {
                    let expected = if count == 0 { None } else { first_of(&free, count as u64) };
                    let found = pages.alloc_contiguous(count).map(number);
                    prop_assert_eq!(found, expected);
                    if let Some(first) = found {
                        (first..first + count as u64).for_each(|page| { free.remove(&page); });
                    }
                }
                Step::Reserve(page, count) => {
                    pages.reserve(at(page), count * PAGE);
                    (page..page + count).for_each(|page| { free.remove(&page); });
                }
                Step::Free(index) => {
                    let taken: Vec<u64> = all.difference(&free).copied().collect();
                    if !taken.is_empty() {
                        let page = *index.get(&taken);
                        prop_assert_eq!(pages.free(at(page)), Ok(()));
                        free.insert(page);
                    }
                }
                Step::FreeAny(page) => {
                    let expected = if !all.contains(&page) {
                        Err(FreeError::Outside)
                    } else if free.insert(page) {
                        Ok(())
                    } else {
                        Err(FreeError::NotAllocated)
                    };
                    prop_assert_eq!(pages.free(at(page)), expected);
                }
            }
            prop_assert_eq!(pages.free_pages(), free.len() as u64);
        }
    }
}
