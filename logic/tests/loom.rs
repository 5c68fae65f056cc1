//! The lock-free structures under a model checker, which tries every order of their steps.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ant-logic --release --test loom`
#![cfg(loom)]

use ant_abi::ipc::{Span, Transfer};
use ant_abi::{PhysAddr, ProcessSlot};
use ant_logic::doorbell::DoorbellSuppression;
use ant_logic::ica::{IcaAllocator, IcaTable, PageState};
use ant_logic::notification::Notification;
use ant_logic::rings::address::{AddressRing, CAPACITY};
use ant_logic::rings::log::{Log, LogItem, LogReader, LogWriter, RECORDS};
use ant_logic::rings::packet::{self, PacketRing, PacketWords};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Tries orders with up to this many unforced switches from one thread to another.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}

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

/// What the writer of these tests writes as record `seq`, in every field.
fn text(seq: u64) -> [u8; 8] {
    (seq * 0x0101_0101_0101_0101).to_le_bytes()
}

/// Reads until there is nothing; returns how many were read and lost, having checked each.
fn drain(log: &Log, reader: &mut LogReader, after: u64) -> u64 {
    let mut at = after;
    while let Some(item) = reader.read(log) {
        match item {
            LogItem::Record(record) => {
                at += 1;
                assert_eq!(record.seq, at, "a record is missing and was not counted as lost");
                assert_eq!(record.tsc, at, "torn");
                assert_eq!(u64::from(record.level), at, "torn");
                assert_eq!(record.text[..8], text(at), "torn");
            }
            LogItem::Lost(count) => at += count,
        }
    }
    at
}

/// A reader while the ring is overrun: nothing torn, and read and lost add up.
#[test]
fn log_reader_never_sees_half_a_record() {
    check(2, || {
        let last = 2 * RECORDS as u64;
        let log = Arc::new(Log::new());
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let mut writer = LogWriter::new();
                for seq in 1..=last {
                    writer.write(&log, seq, seq as u8, &text(seq));
                }
            })
        };
        let mut reader = LogReader::new();
        let at = drain(&log, &mut reader, 0);
        writer.join().unwrap();
        let at = drain(&log, &mut reader, at);
        assert_eq!(at, last, "read and lost do not add up");
        assert_eq!(reader.read(&log), None);
    });
}

/// A reader that comes late gets all that is left and knows the rest.
#[test]
fn log_counts_what_was_lost() {
    check(3, || {
        let log = Log::new();
        let mut writer = LogWriter::new();
        let last = 2 * RECORDS as u64 + 1;
        for seq in 1..=last {
            writer.write(&log, seq, seq as u8, &text(seq));
        }
        let mut reader = LogReader::new();
        assert_eq!(reader.read(&log), Some(LogItem::Lost(last - RECORDS as u64)));
        assert_eq!(drain(&log, &mut reader, last - RECORDS as u64), last);
    });
}

/// What the producer of these tests puts in as packet `n`.
fn packet(n: u64) -> PacketWords {
    [n; packet::PACKET_WORDS]
}

/// Packets while the ring is full and goes round: none lost, torn or twice, all in order.
#[test]
fn packets_arrive_whole_and_in_order() {
    check(2, || {
        let ring = Arc::new(PacketRing::new());
        // All places but one are taken, and the counters have gone half round.
        for n in 0..2 {
            ring.push(&packet(n)).unwrap();
            ring.pop().unwrap();
        }
        for n in 1..packet::CAPACITY as u64 {
            ring.push(&packet(n)).unwrap();
        }
        let producer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                for n in [4, 5] {
                    while ring.push(&packet(n)).is_err() {
                        thread::yield_now();
                    }
                }
            })
        };
        for n in 1..=5 {
            loop {
                if let Some(got) = ring.pop() {
                    assert_eq!(got, packet(n));
                    break;
                }
                thread::yield_now();
            }
        }
        producer.join().unwrap();
        assert!(ring.is_empty());
        assert_eq!(ring.pop(), None);
    });
}

/// A sender that finds room for a packet knows that the consumer is done with what was there.
#[test]
fn room_for_a_packet_means_that_the_consumer_is_done() {
    check(3, || {
        let ring = Arc::new(PacketRing::new());
        for n in 0..packet::CAPACITY as u64 {
            ring.push(&packet(n)).unwrap();
        }
        let done = Arc::new(AtomicU32::new(0));
        let consumer = {
            let (ring, done) = (Arc::clone(&ring), Arc::clone(&done));
            thread::spawn(move || {
                done.store(1, Ordering::Relaxed);
                ring.pop()
            })
        };
        let producer = thread::spawn(move || {
            // The second time with what was remembered of the first.
            for _ in 0..2 {
                if ring.push(&packet(9)).is_ok() {
                    assert_eq!(done.load(Ordering::Relaxed), 1);
                }
            }
        });
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), Some(packet(0)));
    });
}

/// Room that the producer keeps in reserve: the limit holds whatever the consumer does meanwhile.
#[test]
fn packets_keep_room_in_reserve() {
    check(3, || {
        let ring = Arc::new(PacketRing::new());
        ring.push(&packet(1)).unwrap();
        let producer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let pushed = ring.push_if_below(&packet(2), 1).is_ok();
                assert_eq!(ring.push_if_below(&packet(3), 3), Ok(()), "there are at most two");
                pushed
            })
        };
        assert_eq!(ring.pop(), Some(packet(1)));
        if producer.join().unwrap() {
            assert_eq!(ring.pop(), Some(packet(2)));
        }
        assert_eq!(ring.pop(), Some(packet(3)));
        assert_eq!(ring.pop(), None);
    });
}

/// A CPU that stops polling while another sends: it finds the packet or hears the doorbell.
#[test]
fn attention_loses_no_packet() {
    check(4, || {
        let shared = Arc::new((PacketRing::new(), DoorbellSuppression::new()));
        shared.1.start_polling();
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                [1, 2].map(|n| {
                    let (ring, attention) = &*shared;
                    ring.push(&packet(n)).unwrap();
                    attention.needs_doorbell()
                })
            })
        };
        let owner = thread::spawn(move || {
            let (ring, attention) = &*shared;
            let mut found = usize::from(ring.pop().is_some());
            attention.stop_polling();
            while ring.pop().is_some() {
                found += 1;
            }
            found
        });
        let rang = sender.join().unwrap();
        let found = owner.join().unwrap();
        assert!(rang[found..].iter().all(|&rang| rang), "found {found}, rang {rang:?}");
    });
}

/// The same when it polls again later: a sender that takes the second time for the first is
/// answered by the second look.
#[test]
fn attention_loses_no_packet_when_polling_comes_and_goes() {
    check(3, || {
        let shared = Arc::new((PacketRing::new(), DoorbellSuppression::new()));
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (ring, attention) = &*shared;
                ring.push(&packet(1)).unwrap();
                attention.needs_doorbell()
            })
        };
        let owner = thread::spawn(move || {
            let (ring, attention) = &*shared;
            (0..2).any(|_| {
                attention.start_polling();
                attention.stop_polling();
                ring.pop().is_some()
            })
        });
        let (rang, found) = (sender.join().unwrap(), owner.join().unwrap());
        assert!(rang || found);
    });
}

const fn process_no(number: usize) -> ProcessSlot {
    ProcessSlot::new(number).expect("a slot")
}

/// Where the frame of the one page of the tests below is.
const FRAME: PhysAddr = PhysAddr::new(0x5000);

/// Memory of a table with one page.
#[derive(Clone)]
struct OnePage(Arc<AtomicU64>);

impl OnePage {
    /// Which process 1 owns.
    fn owned() -> Self {
        let memory = Self(Arc::new(AtomicU64::new(0)));
        let table = memory.table();
        assert_eq!(IcaAllocator::new(table).alloc(1), Some(0));
        table.set_frame(0, FRAME, process_no(1)).unwrap();
        memory
    }

    fn table(&self) -> IcaTable<'_> {
        IcaTable::new(core::slice::from_ref(&*self.0))
    }
}

/// Sharers that let go at once: one of them has the frame to free, and what all others did to
/// the page has happened by then.
#[test]
fn ica_frame_is_returned_once() {
    check(3, || {
        let memory = OnePage::owned();
        let table = memory.table();
        let span = Span::new(0, 1, Transfer::Share);
        table.begin_share(process_no(1), span).unwrap();
        table.begin_share(process_no(1), span).unwrap();
        let written = Arc::new([0, 1, 2].map(|_| AtomicU32::new(0)));
        let release = |number: usize| {
            let (memory, written) = (memory.clone(), Arc::clone(&written));
            move || {
                written[number].store(1, Ordering::Relaxed);
                let frame = memory.table().release(0, process_no(number)).unwrap();
                if frame.is_some() {
                    assert!(written.iter().all(|written| written.load(Ordering::Relaxed) == 1));
                }
                frame
            }
        };
        let others = [thread::spawn(release(1)), thread::spawn(release(2))];
        let own = release(0)();
        let others = others.map(|other| other.join().unwrap());
        let mut frames: Vec<_> = others.into_iter().chain([own]).flatten().collect();
        assert_eq!(frames.pop(), Some(FRAME));
        assert_eq!(frames, []);
        assert_eq!(table.state(0), Some(PageState::Reserved));
    });
}

/// One lets go while another shares the page again: the count is right.
#[test]
fn ica_sharing_goes_on_while_another_lets_go() {
    check(3, || {
        let memory = OnePage::owned();
        let table = memory.table();
        let span = Span::new(0, 1, Transfer::Share);
        table.begin_share(process_no(1), span).unwrap();
        let other = {
            let memory = memory.clone();
            thread::spawn(move || assert_eq!(memory.table().release(0, process_no(2)), Ok(None)))
        };
        table.begin_share(process_no(1), span).unwrap();
        other.join().unwrap();
        assert_eq!(table.state(0), Some(PageState::Shared { sharers: 2 }));
        assert_eq!(table.frame(0), Some(FRAME));
    });
}

/// The giver ends just when its message is received: the receiver owns the page in any case.
#[test]
fn ica_page_is_received_though_its_giver_ends() {
    check(3, || {
        let memory = OnePage::owned();
        let table = memory.table();
        let span = Span::new(0, 1, Transfer::HandOver);
        table.begin_transfer(process_no(1), span).unwrap();
        let giver = {
            let memory = memory.clone();
            thread::spawn(move || memory.table().orphan(0, process_no(1)))
        };
        table.complete_hand_over(span, process_no(2)).unwrap();
        // An error: it was received already.
        let _ = giver.join().unwrap();
        assert_eq!(table.state(0), Some(PageState::Owned { owner: process_no(2) }));
        assert_eq!(table.frame(0), Some(FRAME));
    });
}

/// Raises a bit, and sends a packet if one is due.
fn raise(bits: &Notification, bit: u64, packets: &Mutex<u32>) {
    if bits.raise(bit) && bits.begin_wakeup() {
        *packets.lock().unwrap() += 1;
    }
}

/// Takes the bits as the CPU does that packets come to.
fn take_packets(bits: &Notification, packets: &Mutex<u32>) -> u64 {
    let mut taken = 0;
    while core::mem::take(&mut *packets.lock().unwrap()) > 0 {
        bits.end_wakeup();
        taken |= bits.take();
    }
    taken
}

/// The receiver takes bits before it is told of them, and those of which a packet tells: all, in the end.
#[test]
fn no_bit_is_forgotten() {
    check(3, || {
        let bits = Arc::new(Notification::new());
        let packets = Arc::new(Mutex::new(0));
        let senders = [[1, 4], [2, 8]].map(|raised| {
            let (bits, packets) = (Arc::clone(&bits), Arc::clone(&packets));
            thread::spawn(move || raised.iter().for_each(|&bit| raise(&bits, bit, &packets)))
        });
        let mut taken = bits.take();
        taken |= take_packets(&bits, &packets);
        taken |= bits.take();
        for sender in senders {
            sender.join().unwrap();
        }
        taken |= take_packets(&bits, &packets);
        assert_eq!(taken, 15);
        assert!(!bits.any() && *packets.lock().unwrap() == 0);
    });
}

/// A bit is raised while another process becomes the receiver: it is told, or looks and sees the
/// bit.
#[test]
fn a_new_receiver_hears_of_what_was_raised() {
    check(3, || {
        let bits = Arc::new(Notification::new());
        let receiver = Arc::new(AtomicU32::new(0));
        let raises = {
            let (bits, receiver) = (Arc::clone(&bits), Arc::clone(&receiver));
            thread::spawn(move || bits.raise(1) && receiver.load(Ordering::Acquire) == 1)
        };
        receiver.store(1, Ordering::Release);
        bits.look();
        let sees = bits.any();
        assert!(raises.join().unwrap() || sees);
    });
}
