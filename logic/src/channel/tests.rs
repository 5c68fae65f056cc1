use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

#[test]
fn a_call_with_continuation() {
    let (mut kernel, mut module) = (KernelSide::Idle, ModuleSide::Unmapped);
    for _ in 0..2 {
        assert_eq!(kernel.request(), Ok(Send::Now));
        kernel.sent(true);
        assert_eq!(kernel.request(), Err(Error::Busy));
        module.post(2).unwrap();
        assert!(module.take() && !module.take());
        module.give_back(2).unwrap();
        assert!(kernel.returned() && !kernel.returned());
    }
    assert!(module.may_map());
}

#[test]
fn a_call_without_continuation_is_released() {
    let (mut kernel, mut module) = (KernelSide::Idle, ModuleSide::Unmapped);
    kernel.sent(false);
    module.post(1).unwrap();
    assert!(module.take());
    assert_eq!(module.release(), Err(Error::NoEntry), "the call is under way");
    module.give_back(1).unwrap();
    assert!(kernel.returned());
    assert_eq!(kernel.request(), Ok(Send::AfterRelease));
    module.release().unwrap();
    assert!(!module.may_map());
    assert!(kernel.released());
    assert_eq!(kernel.request(), Ok(Send::Now));
}

#[test]
fn a_result_goes_to_the_cpu_that_waits_once() {
    let mut module = ModuleSide::Unmapped;
    assert_eq!(module.give_back(1), Err(Error::NoEntry));
    module.post(1).unwrap();
    assert_eq!(module.post(2), Err(Error::Busy));
    assert!(module.take());
    assert_eq!(module.give_back(2), Err(Error::NoEntry));
    module.give_back(1).unwrap();
    assert_eq!(module.give_back(1), Err(Error::NoEntry));
}

#[test]
fn what_is_closed_stays_closed() {
    let mut module = ModuleSide::Given(1);
    module.close();
    assert_eq!(module.post(1), Err(Error::PeerGone));
    assert!(!module.take() && !module.may_map());
    assert_eq!(module.give_back(1), Err(Error::NoEntry));
    let mut kernel = KernelSide::Outstanding { continues: true };
    kernel.close();
    assert!(!kernel.returned() && !kernel.released() && !kernel.end() && !kernel.is_open());
    assert_eq!(kernel.request(), Err(Error::Busy));
}

/// What the kernels tell each other; each way keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Call,
    Released,
    Closed,
}

/// Both sides of one channel, what is on its way, and whether a process may have the page.
#[derive(Debug)]
struct World {
    kernel: KernelSide,
    module: ModuleSide,
    cpu: u32,
    requests: VecDeque<u32>,
    returns: VecDeque<Entry>,
    /// An executor has the page mapped.
    mapped: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call { continues: bool },
    Move,
    End,
    Carry,
    Take,
    Return { cpu: u32 },
    Map,
    Release,
    Close,
    TakeReturn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<bool>().prop_map(|continues| Step::Call { continues }),
        1 => Just(Step::Move),
        1 => Just(Step::End),
        4 => Just(Step::Carry),
        4 => Just(Step::Take),
        4 => (0..3u32).prop_map(|cpu| Step::Return { cpu }),
        2 => Just(Step::Map),
        2 => Just(Step::Release),
        1 => Just(Step::Close),
        4 => Just(Step::TakeReturn),
    ];
    proptest::collection::vec(step, 0..60)
}

impl World {
    fn new() -> Self {
        Self {
            kernel: KernelSide::Idle,
            module: ModuleSide::Unmapped,
            cpu: 0,
            requests: VecDeque::new(),
            returns: VecDeque::new(),
            mapped: false,
            ended: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call { continues } => {
                if !self.ended && self.kernel.request() == Ok(Send::Now) {
                    self.kernel.sent(continues);
                    self.requests.push_back(self.cpu);
                }
            }
            // A thread moves while it has no call under way.
            Step::Move if self.kernel == KernelSide::Idle => self.cpu = (self.cpu + 1) % 3,
            Step::Move => {}
            Step::End => {
                self.ended = true;
                self.notice();
            }
            Step::Carry => {
                if let Some(cpu) = self.requests.pop_front() {
                    let posted = self.module.post(cpu);
                    assert_ne!(posted, Err(Error::Busy), "the kernel has one call under way");
                }
            }
            Step::Take => {
                let _ = self.module.take();
            }
            Step::Return { cpu } => {
                if self.module.give_back(cpu).is_ok() {
                    self.returns.push_back(Entry::Call);
                }
            }
            Step::Map => self.mapped |= self.module.may_map(),
            Step::Release => {
                if self.module.release().is_ok() {
                    self.mapped = false;
                    self.returns.push_back(Entry::Released);
                }
            }
            Step::Close => {
                if self.module != ModuleSide::Closed {
                    self.module.close();
                    self.mapped = false;
                    self.returns.push_back(Entry::Closed);
                }
            }
            Step::TakeReturn => self.take_return(),
        }
        self.check();
    }

    fn notice(&mut self) {
        if self.ended && self.kernel.end() {
            self.requests.push_back(self.cpu);
        }
    }

    fn take_return(&mut self) {
        match self.returns.pop_front() {
            Some(Entry::Call) => {
                // The executor may return the exit notice; no thread waits for that.
                let _ = self.kernel.returned();
                self.notice();
            }
            Some(Entry::Released) => {
                let _ = self.kernel.released();
                self.notice();
            }
            Some(Entry::Closed) => self.kernel.close(),
            None => {}
        }
    }

    fn check(&self) {
        if !self.kernel.is_open() {
            assert!(!self.mapped && !self.module.may_map(), "AnT uses the page again");
        }
        assert!(self.requests.len() <= 1 && self.returns.len() <= 3, "{self:?}");
    }
}

proptest! {
    #[test]
    fn no_page_is_used_for_two_things(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        // Whatever has happened, a close ends it.
        world.step(Step::Close);
        for _ in 0..4 {
            world.step(Step::TakeReturn);
        }
        prop_assert!(!world.kernel.is_open() || world.module != ModuleSide::Closed);
    }
}
