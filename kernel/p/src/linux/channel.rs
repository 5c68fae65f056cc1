//! The channels of a thread: what it has of Linux.

use ant_abi::control::INIT_CHANNELS;
use ant_abi::store::StoreEntry;
use ant_logic::channel::KernelSide;
use arrayvec::ArrayVec;

use super::lca::LcaPage;

/// How a thread learns of the return of its call from Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is blocked until then.
    Wake,
    /// By a notification: it goes on meanwhile.
    Notify,
}

/// One channel.
#[derive(Debug)]
pub struct Channel {
    /// Its page.
    pub lca: LcaPage,
    /// The protocol on it.
    pub state: KernelSide,
    /// How the thread learns of the return of the call under way.
    pub completion: Completion,
}

/// All channels of a thread: those of servers have none, those of programs one.
#[derive(Debug, Default)]
pub struct Channels(ArrayVec<Channel, INIT_CHANNELS>);

impl Channels {
    /// A channel more, with this page.
    ///
    /// # Panics
    ///
    /// The thread has as many as it can.
    pub fn add(&mut self, lca: LcaPage) {
        self.0.push(Channel { lca, state: KernelSide::Idle, completion: Completion::Wake });
    }

    /// All of them.
    pub fn all(&self) -> &[Channel] {
        &self.0
    }

    /// A channel.
    pub fn get(&mut self, index: usize) -> Option<&mut Channel> {
        self.0.get_mut(index)
    }

    /// The only channel of a program.
    pub fn first(&mut self) -> Option<&mut Channel> {
        self.0.first_mut()
    }

    /// What the address stores carry for the first one, if there is one.
    pub fn first_entry(&self) -> Option<StoreEntry> {
        self.0.first().map(|channel| channel.lca.entry())
    }

    /// The channel that has a page.
    pub fn position(&self, is_it: impl Fn(&LcaPage) -> bool) -> Option<usize> {
        self.0.iter().position(|channel| is_it(&channel.lca))
    }

    /// Whether Linux has one of the pages, or may have.
    pub fn are_open(&self) -> bool {
        self.0.iter().any(|channel| channel.state.is_open())
    }

    /// Whether no call is under way.
    pub fn are_idle(&self) -> bool {
        self.0.iter().all(|channel| channel.state == KernelSide::Idle)
    }
}
