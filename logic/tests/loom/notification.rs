//! Notification bits, and the packets that tell of them.

use ant_logic::notification::Notification;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::check;

/// Raises a bit, and sends a packet if one is due.
fn raise(bits: &Notification, bit: u64, packets: &Mutex<u32>) {
    if bits.raise(bit) == 0 && bits.begin_wakeup() {
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
            thread::spawn(move || bits.raise(1) == 0 && receiver.load(Ordering::Acquire) == 1)
        };
        receiver.store(1, Ordering::Release);
        bits.look();
        let sees = bits.any();
        assert!(raises.join().unwrap() || sees);
    });
}
