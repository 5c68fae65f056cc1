//! A channel between the kernel that sends, the executor that serves, and the daemon that closes.

use ant_abi::store::{EntryKind, StoreEntry};
use ant_logic::channel::{KernelSide, ModuleSide};
use ant_logic::rings::address::AddressRing;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::check;

const CPU: u32 = 1;

/// What the three share. The module has one lock around its side of it.
struct Shared {
    requests: AddressRing,
    /// Linux's producers hold the lock.
    returns: AddressRing,
    module: Mutex<ModuleSide>,
    /// The executor has the page mapped. Changed under the lock.
    mapped: AtomicBool,
    /// AnT uses the page for something else.
    reused: AtomicBool,
}

fn call() -> StoreEntry {
    StoreEntry(0x1000)
}

impl Shared {
    fn new() -> Self {
        Self {
            requests: AddressRing::new(),
            returns: AddressRing::new(),
            module: Mutex::new(ModuleSide::Unmapped),
            mapped: AtomicBool::new(false),
            reused: AtomicBool::new(false),
        }
    }

    /// The doorbell's handler.
    fn carry(&self) {
        let mut module = self.module.lock().unwrap();
        if self.requests.pop().is_some() {
            // One that was closed meanwhile is dropped.
            let _ = module.post(CPU);
        }
    }

    fn map(&self, module: ModuleSide) {
        if module.may_map() {
            assert!(!self.reused.load(Ordering::Relaxed), "a page of somebody else's");
            self.mapped.store(true, Ordering::Relaxed);
        }
    }

    /// What an executor may do at any time: take a call, map the page, return the call, let go.
    fn execute(&self) {
        let mut module = self.module.lock().unwrap();
        if module.take() {
            self.map(*module);
        }
        drop(module);
        let mut module = self.module.lock().unwrap();
        if module.give_back(CPU).is_ok() {
            self.returns.push(call().0).unwrap();
        }
        drop(module);
        let mut module = self.module.lock().unwrap();
        if module.release().is_ok() {
            self.mapped.store(false, Ordering::Relaxed);
            self.returns.push(call().with_kind(EntryKind::Released).0).unwrap();
        }
        self.map(*module);
    }

    fn close(&self) {
        let mut module = self.module.lock().unwrap();
        module.close();
        self.mapped.store(false, Ordering::Relaxed);
        self.returns.push(call().with_kind(EntryKind::Closed).0).unwrap();
    }

    /// The kernel takes what has come back, and uses the page again when it may.
    fn take_returns(&self, kernel: &mut KernelSide) {
        while let Some(entry) = self.returns.pop() {
            match StoreEntry(entry).kind() {
                Some(EntryKind::Call) => assert!(kernel.returned(), "each call returns once"),
                Some(EntryKind::Released) => assert!(kernel.released(), "after its call"),
                _ => {
                    kernel.close();
                    let _lock = self.module.lock().unwrap();
                    assert!(!self.mapped.load(Ordering::Relaxed), "it is mapped");
                    self.reused.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A call without continuation meets the close of its channel at any moment: the page is used again
/// only when no process has it, and none gets it then.
#[test]
fn a_close_at_any_moment_takes_the_page_from_everybody() {
    check(3, || {
        let shared = Arc::new(Shared::new());
        let executor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.execute())
        };
        let daemon = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.close())
        };
        let mut kernel = KernelSide::Idle;
        assert!(kernel.request().is_ok());
        kernel.sent(false);
        shared.requests.push(call().0).unwrap();
        shared.carry();
        shared.take_returns(&mut kernel);
        executor.join().unwrap();
        daemon.join().unwrap();
        shared.take_returns(&mut kernel);
        assert!(!kernel.is_open());
        // A request that the handler sees only now finds no channel.
        shared.requests.push(call().0).unwrap();
        shared.carry();
        shared.execute();
    });
}
