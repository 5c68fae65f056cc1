//! Packets between two CPUs.

use ant_logic::rings::packet::{self, PacketRing, PacketWords};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::check;

/// What the producer of these tests puts in as packet `n`.
pub fn packet(n: u64) -> PacketWords {
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
