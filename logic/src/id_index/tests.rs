//! Random histories against a plain map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SLOTS: usize = 8;

fn memory() -> [AtomicU32; buckets(SLOTS)] {
    [const { AtomicU32::new(0) }; buckets(SLOTS)]
}

#[test]
fn zero_is_no_id() {
    let memory = memory();
    let index = IdIndex::new(&memory);
    assert_eq!(index.allocate(u32::MAX, 3), 1);
    assert_eq!(index.slot(1), Some(3));
    assert_eq!(index.slot(0), None);
}

proptest! {
    /// Objects come and go in any order: each living id leads to its slot, no other id does, and ids
    /// only rise.
    #[test]
    fn each_living_id_leads_to_its_slot(steps in prop::collection::vec(0..SLOTS, 1..200)) {
        let memory = memory();
        let index = IdIndex::new(&memory);
        let mut slots = [None; SLOTS];
        let mut last = 0;
        for slot in steps {
            match slots[slot].take() {
                Some(id) => index.free(id),
                None => {
                    let id = index.allocate(last, slot);
                    prop_assert!(id > last);
                    last = id;
                    slots[slot] = Some(id);
                }
            }
            let living: BTreeMap<u32, usize> =
                slots.iter().enumerate().filter_map(|(slot, id)| id.map(|id| (id, slot))).collect();
            for (&id, &slot) in &living {
                prop_assert_eq!(index.slot(id), Some(slot));
            }
            let found = (1..=2 * SLOTS as u32).filter(|&id| index.slot(id).is_some()).count();
            prop_assert_eq!(found, living.len());
        }
    }
}
