//! Address stores: one, several with one consumer, and one with several producers behind a lock.

use ant_logic::rings::address::{AddressRing, CAPACITY};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::check;

/// Puts an entry in, letting others run while the store is full.
fn push(store: &AddressRing, entry: u64) {
    while store.push(entry).is_err() {
        thread::yield_now();
    }
}

/// Takes `count` entries out, letting others run while the store is empty.
fn pop(store: &AddressRing, count: usize) -> Vec<u64> {
    let mut entries = Vec::new();
    while entries.len() < count {
        match store.pop() {
            Some(entry) => entries.push(entry),
            None => thread::yield_now(),
        }
    }
    entries
}

/// The ring is full and goes round: nothing is overwritten before it was read.
#[test]
fn one_producer() {
    check(3, || {
        let store = Arc::new(AddressRing::new());
        // All places but one are taken.
        for entry in 1..CAPACITY as u64 {
            store.push(entry).unwrap();
        }
        let producer = {
            let store = Arc::clone(&store);
            thread::spawn(move || [4, 5].iter().for_each(|&entry| push(&store, entry)))
        };
        let entries = pop(&store, 5);
        producer.join().unwrap();
        assert_eq!(entries, [1, 2, 3, 4, 5]);
        assert!(store.is_empty());
        assert_eq!(store.pop(), None);
    });
}

/// A producer that finds room knows that the consumer is done with what was there: all the consumer
/// did before it took the entry out is seen.
#[test]
fn room_means_that_the_consumer_is_done() {
    check(3, || {
        let store = Arc::new(AddressRing::new());
        for entry in 0..CAPACITY as u64 {
            store.push(entry).unwrap();
        }
        let done = Arc::new(AtomicU32::new(0));
        let consumer = {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            thread::spawn(move || {
                done.store(1, Ordering::Relaxed);
                store.pop()
            })
        };
        // A thread of its own, and no waiting: only so does the checker try the orders that matter.
        let producer = thread::spawn(move || {
            if store.push(9).is_ok() {
                assert_eq!(done.load(Ordering::Relaxed), 1);
            }
        });
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), Some(0));
    });
}

/// The module's side of a return store: several proxies put entries in, behind one lock.
#[test]
fn several_producers_behind_a_lock() {
    check(2, || {
        let store = Arc::new(AddressRing::new());
        let lock = Arc::new(Mutex::new(()));
        let producers = [10, 20].map(|name| {
            let (store, lock) = (Arc::clone(&store), Arc::clone(&lock));
            thread::spawn(move || {
                for entry in [name, name + 1] {
                    let _held = lock.lock().unwrap();
                    store.push(entry).unwrap();
                }
            })
        });
        let mut entries = pop(&store, 1);
        for producer in producers {
            producer.join().unwrap();
        }
        entries.extend(pop(&store, 3));
        for name in [10, 20] {
            let own: Vec<_> = entries.iter().filter(|&&entry| entry / 10 * 10 == name).collect();
            assert_eq!(own, [&name, &(name + 1)], "of {entries:?}");
        }
        assert!(store.is_empty());
    });
}

/// Linux's side of the request stores: one consumer goes round them.
#[test]
fn two_stores_with_one_consumer() {
    check(2, || {
        let stores = [10, 20].map(|name| (name, Arc::new(AddressRing::new())));
        let producers = stores.clone().map(|(name, store)| {
            thread::spawn(move || [name, name + 1].iter().for_each(|&entry| push(&store, entry)))
        });
        let mut entries = [vec![], vec![]];
        while entries.iter().any(|entries| entries.len() < 2) {
            let mut idle = true;
            for ((_, store), entries) in stores.iter().zip(&mut entries) {
                if let Some(entry) = store.pop() {
                    entries.push(entry);
                    idle = false;
                }
            }
            if idle {
                thread::yield_now();
            }
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(entries, [[10, 11], [20, 21]]);
        assert!(stores.iter().all(|(_, store)| store.is_empty()));
    });
}
