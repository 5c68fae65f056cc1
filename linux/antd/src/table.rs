//! The parent's table: which proxy serves which LCA (paper 3.3.3). Pure logic.
//!
//! An LCA gets in when `init` says whose it is, and out when its session is over. While it is in,
//! it has a proxy or not; every proxy leaves by [`Table::left`], exactly once, and every leaving
//! tells AnT once (`ANT_RELEASE`) that Linux holds no mapping of the page any more, and whether the
//! proxy died.

use std::collections::HashMap;

use ant_abi::store::StoreEntry;

/// A session's number. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A proxy's number: not Linux's, which comes again. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u64);

/// What to do about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRequest {
    /// Unknown raddr: give it a proxy, then [`Table::assign`].
    NewProxy {
        /// Whose it is.
        session: SessionId,
    },
    /// Known raddr: wake its proxy.
    Wake {
        /// The proxy.
        proxy: ProxyId,
    },
    /// Nobody's: whoever waits for an answer gets a release.
    Unknown,
}

/// How a proxy left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// After a call without continuation.
    OneShot,
    /// After the notice that the AP process is over.
    Ended,
    /// In any other way.
    Died,
}

/// What to do about a proxy that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLeaving {
    /// It served nobody.
    Idle,
    /// Release the LCA; its session goes on, with another proxy when it asks again.
    Continues {
        /// The LCA to release.
        lca: StoreEntry,
        /// Whose it is.
        session: SessionId,
    },
    /// Release the LCA; its session is over.
    Over {
        /// The LCA to release.
        lca: StoreEntry,
        /// Whose it was.
        session: SessionId,
    },
}

#[derive(Debug)]
struct Tenant {
    session: SessionId,
    proxy: Option<ProxyId>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    tenants: HashMap<StoreEntry, Tenant>,
    serves: HashMap<ProxyId, StoreEntry>,
}

impl Table {
    /// `session` has the LCA `lca` from now on.
    pub fn admit(&mut self, lca: StoreEntry, session: SessionId) {
        let tenant = Tenant { session, proxy: None };
        if let Some(Tenant { proxy: Some(proxy), .. }) = self.tenants.insert(lca, tenant) {
            // AnT gave an LCA away that Linux still serves. Its old proxy serves nobody now.
            self.serves.remove(&proxy);
        }
    }

    /// AnT asks for something through `lca`.
    #[must_use]
    pub fn request(&self, lca: StoreEntry) -> OnRequest {
        match self.tenants.get(&lca) {
            Some(&Tenant { proxy: Some(proxy), .. }) => OnRequest::Wake { proxy },
            Some(&Tenant { session, .. }) => OnRequest::NewProxy { session },
            None => OnRequest::Unknown,
        }
    }

    /// `proxy` serves `lca` from now on.
    ///
    /// # Panics
    ///
    /// The LCA is not in the table, or has a proxy.
    pub fn assign(&mut self, lca: StoreEntry, proxy: ProxyId) {
        let tenant = self.tenants.get_mut(&lca).expect("the LCA is in the table");
        assert!(tenant.proxy.is_none(), "the LCA has a proxy");
        tenant.proxy = Some(proxy);
        self.serves.insert(proxy, lca);
    }

    /// `proxy` has left and was reaped.
    pub fn left(&mut self, proxy: ProxyId, how: Leaving) -> OnLeaving {
        let Some(lca) = self.serves.remove(&proxy) else { return OnLeaving::Idle };
        let tenant = self.tenants.get_mut(&lca).expect("who is served is in the table");
        let session = tenant.session;
        if how == Leaving::OneShot {
            tenant.proxy = None;
            return OnLeaving::Continues { lca, session };
        }
        self.tenants.remove(&lca);
        OnLeaving::Over { lca, session }
    }

    /// The session is over without a proxy's leaving: its LCA, if it is in the table.
    pub fn drop_session(&mut self, session: SessionId) -> Option<StoreEntry> {
        let lca = *self.tenants.iter().find(|(_, tenant)| tenant.session == session)?.0;
        let tenant = self.tenants.remove(&lca)?;
        if let Some(proxy) = tenant.proxy {
            self.serves.remove(&proxy);
        }
        Some(lca)
    }

    /// The proxy that serves `lca` now.
    #[must_use]
    pub fn proxy_of(&self, lca: StoreEntry) -> Option<ProxyId> {
        self.tenants.get(&lca)?.proxy
    }

    /// Proxies that serve somebody.
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
        let continues = OnLeaving::Continues { lca: lca(1), session: SessionId(7) };
        assert_eq!(table.left(ProxyId(3), Leaving::OneShot), continues);
        assert_eq!(table.request(lca(1)), OnRequest::NewProxy { session: SessionId(7) });
    }

    #[test]
    fn another_generation_is_another_lca() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        assert_eq!(table.request(StoreEntry::call(lca(1).raddr(), 2)), OnRequest::Unknown);
    }

    #[test]
    fn without_its_proxy_a_process_is_nobodys() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        table.assign(lca(1), ProxyId(1));
        let over = OnLeaving::Over { lca: lca(1), session: SessionId(1) };
        assert_eq!(table.left(ProxyId(1), Leaving::Died), over);
        assert_eq!(table.request(lca(1)), OnRequest::Unknown);
        table.admit(lca(1), SessionId(2));
        assert_eq!(table.request(lca(1)), OnRequest::NewProxy { session: SessionId(2) });
    }

    #[test]
    fn after_its_end_a_process_is_forgotten() {
        let mut table = Table::default();
        table.admit(lca(1), SessionId(1));
        table.assign(lca(1), ProxyId(1));
        let _ = table.left(ProxyId(1), Leaving::Ended);
        assert_eq!(table.request(lca(1)), OnRequest::Unknown);
        assert_eq!(table.left(ProxyId(1), Leaving::Ended), OnLeaving::Idle);
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

        fn reap(&mut self, n: usize, proxy: ProxyId, how: Leaving) {
            let lca = self.lca(n);
            *self.reaped.entry(proxy).or_default() += 1;
            let released = match self.table.left(proxy, how) {
                OnLeaving::Idle => panic!("it served {lca:?}"),
                OnLeaving::Continues { lca, .. } => {
                    assert_eq!(how, Leaving::OneShot);
                    lca
                }
                OnLeaving::Over { lca, .. } => {
                    assert_ne!(how, Leaving::OneShot);
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
                    self.reap(n, proxy, Leaving::OneShot);
                    self.states[n] = State::Computes { proxy: None };
                }
                (Event::Serve, State::InCall { proxy, one_shot: false }) => {
                    self.states[n] = State::Computes { proxy: Some(proxy) };
                }
                (Event::End, State::Computes { .. }) => {
                    self.call(n, true);
                    let State::InCall { proxy, .. } = self.states[n] else { unreachable!() };
                    self.reap(n, proxy, Leaving::Ended);
                    self.states[n] = State::Gone;
                }
                (
                    Event::KillProxy,
                    State::InCall { proxy, .. } | State::Computes { proxy: Some(proxy) },
                ) => {
                    self.reap(n, proxy, Leaving::Died);
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
