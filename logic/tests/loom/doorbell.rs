//! Doorbell suppression beside packets.

use ant_logic::doorbell::DoorbellSuppression;
use ant_logic::rings::packet::PacketRing;
use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::packet::packet;

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
