//! What a thread has of Linux: its LCA, and the state of the call in it.

use ant_abi::store::StoreEntry;

use super::lca::LcaPage;

/// What the LCA of a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LcaState {
    /// The thread may fill it.
    Idle,
    /// With Linux, which shall return it; whether the proxy stays.
    Outstanding {
        /// The call has `CFLAG_CONTINUE`.
        proxy_stays: bool,
    },
    /// Returned for good: Linux is about to release it. The next call waits for that.
    Releasing,
    /// Sent with the exit notice.
    Exiting,
    /// Linux has released it for good: the proxy has ended.
    Released,
}

/// How a thread learns of the return of its call from Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is blocked until then.
    Wake,
    /// By a notification: it goes on meanwhile.
    Notify,
}

/// The delegated calls of one thread.
#[derive(Debug)]
pub struct Delegation {
    /// The LCA; threads of servers have none.
    pub lca: Option<LcaPage>,
    /// What it is doing.
    pub state: LcaState,
    /// How the thread learns of the return of the call under way.
    pub completion: Completion,
}

impl Delegation {
    /// No call under way.
    pub fn new(lca: Option<LcaPage>) -> Self {
        Self { lca, state: LcaState::Idle, completion: Completion::Wake }
    }

    /// What the address stores carry for the LCA, if there is one.
    pub fn entry(&self) -> Option<StoreEntry> {
        self.lca.as_ref().map(LcaPage::entry)
    }

    /// Whether Linux has the LCA, or a part of it, until it releases it.
    pub fn is_held(&self) -> bool {
        self.lca.is_some() && self.state != LcaState::Released
    }
}
