//! The parent's table: which proxy serves which LCA (paper 3.3.3). Pure logic.
//!
//! An LCA is entered when `init` reports its process, and removed when its session ends. In the
//! table, it has a proxy or not. Every proxy is removed by [`Table::proxy_exited`], exactly once,
//! and every exit is reported to AnT once (`ANT_RELEASE`): Linux has no mapping of the page left,
//! and the proxy died or not.

use std::collections::HashMap;

use ant_abi::store::StoreEntry;

use crate::ids::{ProxyId, SessionId};

/// What to do about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRequest {
    /// Unknown raddr: give it a proxy, then [`Table::assign`].
    NewProxy {
        /// The session of the LCA.
        session: SessionId,
    },
    /// Known raddr: wake its proxy.
    Wake {
        /// The proxy.
        proxy: ProxyId,
    },
    /// No session has this LCA: release it, so that a process that waits for a reply ends.
    Unknown,
}

/// How a proxy exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyExitKind {
    /// After a call without continuation.
    OneShot,
    /// After the notice that the process on AnT has ended.
    Ended,
    /// In any other way.
    Died,
}

/// What to do about a proxy that has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// It served no LCA.
    Idle,
    /// Release the LCA; its session goes on, with another proxy when it asks again.
    Continues {
        /// The LCA to release.
        lca: StoreEntry,
        /// The session of the LCA.
        session: SessionId,
    },
    /// Release the LCA; its session ends.
    Over {
        /// The LCA to release.
        lca: StoreEntry,
        /// The session of the LCA.
        session: SessionId,
    },
}

#[derive(Debug)]
struct Owner {
    session: SessionId,
    proxy: Option<ProxyId>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    owners: HashMap<StoreEntry, Owner>,
    serves: HashMap<ProxyId, StoreEntry>,
}

impl Table {
    /// `session` has the LCA `lca` from now on.
    pub fn admit(&mut self, lca: StoreEntry, session: SessionId) {
        let owner = Owner { session, proxy: None };
        if let Some(Owner { proxy: Some(proxy), .. }) = self.owners.insert(lca, owner) {
            // AnT has given away an LCA that Linux still serves. Its old proxy is idle now.
            self.serves.remove(&proxy);
        }
    }

    /// AnT sends a request through `lca`.
    #[must_use]
    pub fn request(&self, lca: StoreEntry) -> OnRequest {
        match self.owners.get(&lca) {
            Some(&Owner { proxy: Some(proxy), .. }) => OnRequest::Wake { proxy },
            Some(&Owner { session, .. }) => OnRequest::NewProxy { session },
            None => OnRequest::Unknown,
        }
    }

    /// `proxy` serves `lca` from now on.
    ///
    /// # Panics
    ///
    /// The LCA is not in the table, or has a proxy.
    pub fn assign(&mut self, lca: StoreEntry, proxy: ProxyId) {
        let owner = self.owners.get_mut(&lca).expect("the LCA is in the table");
        assert!(owner.proxy.is_none(), "the LCA has a proxy");
        owner.proxy = Some(proxy);
        self.serves.insert(proxy, lca);
    }

    /// `proxy` has exited and was reaped.
    pub fn proxy_exited(&mut self, proxy: ProxyId, how: ProxyExitKind) -> OnExit {
        let Some(lca) = self.serves.remove(&proxy) else { return OnExit::Idle };
        let owner = self.owners.get_mut(&lca).expect("a served LCA is in the table");
        let session = owner.session;
        if how == ProxyExitKind::OneShot {
            owner.proxy = None;
            return OnExit::Continues { lca, session };
        }
        self.owners.remove(&lca);
        OnExit::Over { lca, session }
    }

    /// The session ends without a proxy's exit: its LCA, if it is in the table.
    pub fn drop_session(&mut self, session: SessionId) -> Option<StoreEntry> {
        let lca = *self.owners.iter().find(|(_, owner)| owner.session == session)?.0;
        let owner = self.owners.remove(&lca)?;
        if let Some(proxy) = owner.proxy {
            self.serves.remove(&proxy);
        }
        Some(lca)
    }

    /// The proxy that serves `lca` now.
    #[must_use]
    pub fn proxy_of(&self, lca: StoreEntry) -> Option<ProxyId> {
        self.owners.get(&lca)?.proxy
    }

    /// Number of proxies that serve an LCA.
    #[must_use]
    pub fn serving(&self) -> usize {
        self.serves.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ant_abi::PhysAddr;
    use proptest::prelude::*;

    fn lca(n: u64) -> StoreEntry {
        StoreEntry::call(PhysAddr::new(0x1_0000_0000 + n * 4096), 1)
    }

    #[test]
    fn fork_for_the_unknown_wake_for_the_known() {
        let mut table = Table::default();
        assert_eq!(table.request(lca(1)), OnRequest::Unknown);
        table.admit(lca(1), SessionId(7));
        assert_eq!(table.request(lca(1)), OnRequest::NewProxy { session: SessionId(7) });
        table.assign(lca(1), ProxyId(3));
        assert_eq!(table.request(lca(1)), OnRequest::Wake { proxy: ProxyId(3) });
        let continues = OnExit::Continues { lca: lca(1), session: SessionId(7) };
        assert_eq!(table.proxy_exited(ProxyId(3), ProxyExitKind::OneShot), continues);
        assert_eq!(table.request(lca(1)), OnRequest::NewProxy { session: SessionId(7) });
    }

    #[test]
    fn another_generation_is_another_lca() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        assert_eq!(table.request(StoreEntry::call(lca(1).raddr(), 2)), OnRequest::Unknown);
    }

    #[test]
    fn without_its_proxy_an_lca_is_unknown() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        table.assign(lca(1), ProxyId(1));
        let over = OnExit::Over { lca: lca(1), session: SessionId(1) };
        assert_eq!(table.proxy_exited(ProxyId(1), ProxyExitKind::Died), over);
        assert_eq!(table.request(lca(1)), OnRequest::Unknown);
        table.admit(lca(1), SessionId(2));
        assert_eq!(table.request(lca(1)), OnRequest::NewProxy { session: SessionId(2) });
    }

    #[test]
    fn after_its_end_a_process_is_forgotten() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        table.assign(lca(1), ProxyId(1));
        let _ = table.proxy_exited(ProxyId(1), ProxyExitKind::Ended);
        assert_eq!(table.request(lca(1)), OnRequest::Unknown);
        assert_eq!(table.proxy_exited(ProxyId(1), ProxyExitKind::Ended), OnExit::Idle);
    }

    /// One thing that happens to process `n` of the model.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Spawn,
        Call { one_shot: bool },
        Serve,
        End,
        KillProxy,
        Foreign,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => Just(Event::Spawn),
            6 => any::<bool>().prop_map(|one_shot| Event::Call { one_shot }),
            8 => Just(Event::Serve),
            1 => Just(Event::End),
            2 => Just(Event::KillProxy),
            1 => Just(Event::Foreign),
        ]
    }

    /// What AnT and the proxy know of one process: the model.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum State {
        Gone,
        /// No call under way; it may have a proxy that waits.
        Computes {
            proxy: Option<ProxyId>,
        },
        /// A call that a proxy has been given.
        InCall {
            proxy: ProxyId,
            one_shot: bool,
        },
    }

    struct World {
        table: Table,
        states: Vec<State>,
        generations: Vec<u16>,
        next: u64,
        releases: HashMap<StoreEntry, u32>,
        reaped: HashMap<ProxyId, u32>,
        forked: u64,
    }

    impl World {
        fn lca(&self, n: usize) -> StoreEntry {
            StoreEntry::call(PhysAddr::new(0x1_0000_0000 + n as u64 * 4096), self.generations[n])
        }

        fn number(&mut self) -> u64 {
            self.next += 1;
            self.next
        }

        /// AnT sends a request; the parent must give it to exactly one living proxy.
        fn call(&mut self, n: usize, one_shot: bool) {
            let State::Computes { proxy } = self.states[n] else { return };
            let lca = self.lca(n);
            let served_by = match self.table.request(lca) {
                OnRequest::Wake { proxy: woken } => {
                    assert_eq!(Some(woken), proxy, "the proxy that waits is woken");
                    woken
                }
                OnRequest::NewProxy { .. } => {
                    assert_eq!(proxy, None, "no second proxy");
                    let fresh = ProxyId(self.number());
                    self.forked += 1;
                    self.table.assign(lca, fresh);
                    fresh
                }
                lost => panic!("request lost: {lost:?}"),
            };
            self.states[n] = State::InCall { proxy: served_by, one_shot };
        }

        fn reap(&mut self, n: usize, proxy: ProxyId, how: ProxyExitKind) {
            let lca = self.lca(n);
            *self.reaped.entry(proxy).or_default() += 1;
            let released = match self.table.proxy_exited(proxy, how) {
                OnExit::Idle => panic!("it served {lca:?}"),
                OnExit::Continues { lca, .. } => {
                    assert_eq!(how, ProxyExitKind::OneShot);
                    lca
                }
                OnExit::Over { lca, .. } => {
                    assert_ne!(how, ProxyExitKind::OneShot);
                    lca
                }
            };
            assert_eq!(released, lca);
            *self.releases.entry(lca).or_default() += 1;
        }

        fn step(&mut self, n: usize, event: Event) {
            match (event, self.states[n]) {
                (Event::Spawn, State::Gone) => {
                    self.generations[n] += 1;
                    let session = SessionId(self.number());
                    self.table.admit(self.lca(n), session);
                    self.states[n] = State::Computes { proxy: None };
                }
                (Event::Call { one_shot }, _) => self.call(n, one_shot),
                (Event::Serve, State::InCall { proxy, one_shot: true }) => {
                    self.reap(n, proxy, ProxyExitKind::OneShot);
                    self.states[n] = State::Computes { proxy: None };
                }
                (Event::Serve, State::InCall { proxy, one_shot: false }) => {
                    self.states[n] = State::Computes { proxy: Some(proxy) };
                }
                (Event::End, State::Computes { .. }) => {
                    self.call(n, true);
                    let State::InCall { proxy, .. } = self.states[n] else { unreachable!() };
                    self.reap(n, proxy, ProxyExitKind::Ended);
                    self.states[n] = State::Gone;
                }
                (
                    Event::KillProxy,
                    State::InCall { proxy, .. } | State::Computes { proxy: Some(proxy) },
                ) => {
                    self.reap(n, proxy, ProxyExitKind::Died);
                    let lca = self.lca(n);
                    assert_eq!(self.table.request(lca), OnRequest::Unknown);
                    self.states[n] = State::Gone;
                }
                (Event::Foreign, _) => {
                    let foreign =
                        StoreEntry::call(PhysAddr::new(0x9_0000_0000 + n as u64 * 4096), 1);
                    assert_eq!(self.table.request(foreign), OnRequest::Unknown);
                }
                _ => {}
            }
        }
    }

    proptest! {
        /// Whatever happens in whatever order: no request is lost or goes to two proxies, each
        /// proxy is reaped once, and each reaping releases once.
        #[test]
        fn any_history(history in proptest::collection::vec((0usize..4, event()), 0..400)) {
            let mut world = World {
                table: Table::default(),
                states: vec![State::Gone; 4],
                generations: vec![0; 4],
                next: 0,
                releases: HashMap::new(),
                reaped: HashMap::new(),
                forked: 0,
            };
            for (n, event) in history {
                world.step(n, event);
            }
            let alive = world.states.iter().filter(|state| matches!(
                state,
                State::InCall { .. } | State::Computes { proxy: Some(_) }
            )).count();
            prop_assert_eq!(world.table.serving(), alive);
            prop_assert!(world.reaped.values().all(|&times| times == 1));
            prop_assert_eq!(world.reaped.len() as u64 + alive as u64, world.forked);
            prop_assert_eq!(
                world.releases.values().sum::<u32>() as usize,
                world.reaped.len()
            );
        }
    }
}
