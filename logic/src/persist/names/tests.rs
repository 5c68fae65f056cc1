//! Single cases, and long histories in which the service is killed between any two steps.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The owner of the endpoint that a handle of the tests goes to.
const fn owner_of(endpoint: u64) -> u64 {
    endpoint >> 32
}

/// An endpoint of an owner.
const fn endpoint(owner: u64, number: u64) -> u64 {
    owner << 32 | number
}

/// Owners from here on are servers.
const SERVERS: u64 = 1 << 20;

const fn name(number: u64) -> Name {
    [number, 0, 1]
}

/// What outlives the service, and which owners have ended.
#[derive(Clone, Debug, PartialEq)]
struct Left {
    words: Vec<u64>,
    kept: [Option<u64>; NAMES],
    dead: BTreeSet<u64>,
    /// The service is about to be replaced.
    refuses: bool,
}

/// The outside, a handle being the endpoint that it goes to.
struct World {
    left: RefCell<Left>,
    /// What a kill could have left.
    states: RefCell<Vec<Left>>,
    /// Handles that the service has.
    open: RefCell<Vec<u64>>,
}

impl World {
    fn new(left: Left) -> Self {
        let open = left.kept.iter().flatten().copied().collect();
        Self { left: RefCell::new(left), states: RefCell::default(), open: RefCell::new(open) }
    }

    fn step(&self, change: impl FnOnce(&mut Left)) {
        change(&mut self.left.borrow_mut());
        self.states.borrow_mut().push(self.left.borrow().clone());
    }
}

impl PersistentWords for World {
    fn load(&self, index: usize) -> u64 {
        self.left.borrow().words[index]
    }

    fn store(&self, index: usize, value: u64) {
        self.step(|left| left.words[index] = value);
    }
}

impl NameHost for World {
    type Handle = u64;

    fn keep(&mut self, slot: usize, handle: u64) -> Result<(), Error> {
        if self.left.borrow().refuses {
            return Err(Error::Again);
        }
        self.step(|left| left.kept[slot] = Some(handle));
        Ok(())
    }

    fn forget(&mut self, slot: usize) {
        if !self.left.borrow().refuses {
            self.step(|left| left.kept[slot] = None);
        }
    }

    fn close(&mut self, handle: u64) {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|&open| open == handle).expect("it is open");
        open.swap_remove(at);
    }

    fn is_dead(&self, handle: u64) -> bool {
        self.left.borrow().dead.contains(&owner_of(handle))
    }

    fn is_server(&self, owner: u64) -> bool {
        owner >= SERVERS
    }
}

fn fresh() -> Names<World> {
    restored(&Left {
        words: vec![0; WORDS],
        kept: [None; NAMES],
        dead: BTreeSet::new(),
        refuses: false,
    })
}

/// As the service's successor finds it.
fn restored(left: &Left) -> Names<World> {
    let kept: Vec<_> = left.kept.iter().enumerate().collect();
    let kept = kept.into_iter().filter_map(|(slot, kept)| Some((slot, (*kept)?)));
    let names = Names::restore(World::new(left.clone()), kept, |name| name[2] == 1);
    names.host.states.borrow_mut().clear();
    names
}

impl Names<World> {
    fn registers(&mut self, name: Name, endpoint: u64) -> Result<(), Error> {
        self.host.open.borrow_mut().push(endpoint);
        self.register(name, owner_of(endpoint), endpoint)
    }

    /// The names of the living.
    fn living(&self) -> BTreeMap<Name, u64> {
        let entries = self.entries.iter().flatten();
        let living = entries.filter(|entry| !self.host.is_dead(entry.handle));
        living.map(|entry| (entry.name, entry.handle)).collect()
    }

    fn left(&self) -> Left {
        self.host.left.borrow().clone()
    }

    /// What a kill could have left since this was asked last, the oldest first.
    fn states(&self) -> Vec<Left> {
        self.host.states.take()
    }

    /// Fails if it has lost a handle, or has one that no name needs.
    fn check(&self) {
        let mut open = self.host.open.borrow().clone();
        let mut used: Vec<u64> = self.entries.iter().flatten().map(|entry| entry.handle).collect();
        open.sort_unstable();
        used.sort_unstable();
        assert_eq!(open, used);
        for entry in self.entries.iter().flatten() {
            assert_eq!(owner_of(entry.handle), entry.owner, "another owner's handle");
        }
    }
}

#[test]
fn a_name_is_its_owners() {
    let mut names = fresh();
    assert_eq!(names.registers(name(1), endpoint(1, 1)), Ok(()));
    assert_eq!(names.registers(name(1), endpoint(2, 1)), Err(Error::Busy));
    assert_eq!(names.registers(name(1), endpoint(1, 2)), Ok(()));
    assert_eq!(names.lookup(name(1)), Some(endpoint(1, 2)));
    assert_eq!(names.lookup(name(2)), None);
    names.check();
}

#[test]
fn a_name_of_the_dead_is_anybodys() {
    let mut names = fresh();
    names.registers(name(1), endpoint(1, 1)).unwrap();
    names.registers(name(2), endpoint(1, 1)).unwrap();
    names.host.left.borrow_mut().dead.insert(1);
    assert_eq!(names.registers(name(1), endpoint(2, 1)), Ok(()));
    assert_eq!(names.lookup(name(1)), Some(endpoint(2, 1)));
    assert_eq!(names.lookup(name(2)), None);
    assert_eq!(names.name(0), Some(name(1)));
    assert_eq!(names.name(1), None);
    names.check();
}

#[test]
fn a_servers_name_is_a_servers() {
    let (server, other) = (SERVERS, SERVERS + 1);
    let mut names = fresh();
    names.registers(name(1), endpoint(server, 1)).unwrap();
    names.host.left.borrow_mut().dead.insert(server);
    // No server serves, and no other process is taken for it.
    assert_eq!(names.lookup(name(1)), None);
    assert_eq!(names.name(0), None);
    assert_eq!(names.registers(name(1), endpoint(1, 1)), Err(Error::Busy));
    assert_eq!(names.registers(name(1), endpoint(other, 1)), Ok(()));
    // Its owner of before does not keep it.
    names.registers(name(2), endpoint(1, 1)).unwrap();
    assert_eq!(names.registers(name(2), endpoint(other, 1)), Ok(()));
    assert_eq!(names.lookup(name(2)), Some(endpoint(other, 1)));
    names.check();
}

#[test]
fn nobody_has_more_names_than_its_share() {
    let mut names = fresh();
    names.registers(name(0), endpoint(1, 1)).unwrap();
    names.host.left.borrow_mut().dead.insert(1);
    for number in 1..=NAMES_EACH as u64 {
        names.registers(name(number), endpoint(2, 1)).unwrap();
    }
    // Not even a name of the dead.
    assert_eq!(names.registers(name(0), endpoint(2, 1)), Err(Error::OverQuota));
    assert_eq!(names.registers(name(1), endpoint(2, 2)), Ok(()));
    for owner in 3..=5 {
        for number in 0..NAMES_EACH as u64 {
            names.registers(name(owner << 8 | number), endpoint(owner, 1)).unwrap();
        }
    }
    assert_eq!(names.registers(name(9), endpoint(6, 1)), Err(Error::NoMemory));
    names.host.left.borrow_mut().dead.insert(4);
    assert_eq!(names.registers(name(9), endpoint(6, 1)), Ok(()));
    names.check();
}

#[test]
fn nothing_changes_while_the_service_is_being_replaced() {
    let mut names = fresh();
    names.registers(name(1), endpoint(1, 1)).unwrap();
    names.host.left.borrow_mut().refuses = true;
    let before = names.left();
    assert_eq!(names.registers(name(1), endpoint(1, 2)), Err(Error::Again));
    assert_eq!(names.registers(name(2), endpoint(2, 1)), Err(Error::Again));
    assert_eq!(names.lookup(name(1)), Some(endpoint(1, 1)));
    assert_eq!(names.left(), before);
    names.check();
}

/// It was killed when a dead owner's name was about to be another's.
#[test]
fn a_name_that_passes_on_is_not_lost_to_both() {
    let mut names = fresh();
    names.registers(name(1), endpoint(1, 1)).unwrap();
    names.host.left.borrow_mut().dead.insert(1);
    names.states();
    names.registers(name(1), endpoint(2, 1)).unwrap();
    for left in names.states() {
        let mut successor = restored(&left);
        successor.check();
        assert_eq!(successor.registers(name(1), endpoint(2, 1)), Ok(()), "{left:?}");
        assert_eq!(successor.lookup(name(1)), Some(endpoint(2, 1)));
    }
}

#[test]
fn what_another_program_has_left_is_no_name() {
    let mut left = fresh().left();
    left.words.fill(u64::MAX);
    left.kept[0] = Some(endpoint(1, 1));
    let mut names = restored(&left);
    names.check();
    assert_eq!(names.name(0), None);
    names.registers(name(1), endpoint(1, 1)).unwrap();
    for left in names.states() {
        restored(&left).check();
    }
}

#[derive(Clone, Debug)]
enum Event {
    Registers {
        name: u64,
        owner: u64,
    },
    LooksUp(u64),
    Lists,
    Dies(u64),
    /// A replacement begins, or fails.
    Refuses(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..20u64, 1..7u64).prop_map(|(name, owner)| Event::Registers { name, owner }),
        2 => (0..20u64).prop_map(Event::LooksUp),
        1 => Just(Event::Lists),
        2 => (1..7u64).prop_map(Event::Dies),
        1 => any::<bool>().prop_map(Event::Refuses),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    #[test]
    fn a_kill_loses_no_name(events in events()) {
        let mut names = fresh();
        // Its generation: an owner that has ended comes back as another one.
        let rank = |owner: u64| if owner > 4 { SERVERS } else { 0 };
        let mut lives: BTreeMap<u64, u64> = (1..7).map(|owner| (owner, rank(owner) + owner)).collect();
        for (number, event) in (0..).zip(events) {
            let before = names.living();
            let mut registered = None;
            match event {
                Event::Registers { name: text, owner } => {
                    let endpoint = endpoint(lives[&owner], number);
                    let result = names.registers(name(text), endpoint);
                    registered = Some((name(text), endpoint, result));
                    let now = names.living().get(&name(text)).copied();
                    prop_assert_eq!(result.is_ok(), now == Some(endpoint));
                }
                Event::LooksUp(text) => {
                    prop_assert_eq!(names.lookup(name(text)), before.get(&name(text)).copied());
                }
                Event::Lists => {
                    let mut index = 0;
                    while let Some(name) = names.name(index) {
                        prop_assert!(before.contains_key(&name));
                        index += 1;
                    }
                    prop_assert_eq!(index, before.len());
                }
                Event::Dies(owner) => {
                    names.host.left.borrow_mut().dead.insert(lives[&owner]);
                    lives.insert(owner, rank(owner) + 100 + number);
                }
                Event::Refuses(refuses) => names.host.left.borrow_mut().refuses = refuses,
            }
            names.check();
            let mut after = names.living();
            if let Some((name, ..)) = registered {
                prop_assert!(before.iter().all(|(old, at)| *old == name || after[old] == *at));
            }
            for left in names.states() {
                let mut successor = restored(&left);
                successor.check();
                // The client registers again, and gets the same answer.
                if let Some((name, endpoint, result)) = registered {
                    let found = successor.living().get(&name).copied();
                    let is_found = [before.get(&name), Some(&endpoint)].contains(&found.as_ref());
                    // A program has to give it up before a server has it.
                    let passes_on = found.is_none() && owner_of(endpoint) >= SERVERS;
                    prop_assert!(is_found || passes_on);
                    prop_assert_eq!(successor.registers(name, endpoint), result);
                }
                prop_assert_eq!(successor.living(), after.clone());
            }
            // The service goes on, or its successor does.
            if number % 2 == 0 {
                let left = names.left();
                names = restored(&left);
                names.check();
                after = names.living();
            }
            prop_assert_eq!(after, names.living());
        }
    }
}
