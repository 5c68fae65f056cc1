//! Pages that several processes have at once.

use ant_abi::ipc::{Span, Transfer};
use ant_abi::{PhysAddr, ProcessSlot};
use ant_logic::ica::{IcaAllocator, IcaTable, PageState};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::thread;

use crate::check;

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
