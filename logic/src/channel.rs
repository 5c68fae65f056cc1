//! A channel: an LCA, and the protocol on it, seen from each side.
//!
//! * [`KernelSide`]: AnT's kernel, which sends calls for a thread.
//! * [`ModuleSide`]: Linux's module, which hands each call to the file that serves the channel, and its
//!   result back. `linux/module/channels.c` is the same machine in C.
//!
//! The *executor* is what has that file. It takes a call, has it executed and returns it; after one
//! without continuation the page is *released*, and mapped afresh for the next call. Only the daemon
//! *closes* a channel, for good: AnT uses the page for nothing else before, and Linux maps it never
//! again. So neither a program nor its proxy, which it controls, can have the other side use the page
//! for two things.
//!
//! Deliberately absent: which way a call goes (doorbells, polling), what it means, and locks: each
//! side has one of its own.

use ant_abi::Error;

/// A channel as AnT's kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelSide {
    /// The thread may fill the LCA.
    Idle,
    /// A call is with Linux, which shall return it.
    Outstanding {
        /// With continuation: the next call needs no release.
        continues: bool,
    },
    /// A call without continuation is back: the next one waits for the release of the page.
    Releasing,
    /// The exit notice is with Linux: nothing returns, the channel will be closed.
    Ending,
    /// Linux has closed it: the page is AnT's alone.
    Closed,
}

/// What becomes of a call that a thread wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// It goes to Linux now.
    Now,
    /// When the page is released.
    AfterRelease,
}

impl KernelSide {
    /// A thread wants to send a call.
    ///
    /// # Errors
    ///
    /// `Busy`: another is under way, or there will be none any more.
    pub fn request(self) -> Result<Send, Error> {
        match self {
            Self::Idle => Ok(Send::Now),
            Self::Releasing => Ok(Send::AfterRelease),
            Self::Outstanding { .. } | Self::Ending | Self::Closed => Err(Error::Busy),
        }
    }

    /// The call goes to Linux.
    pub fn sent(&mut self, continues: bool) {
        *self = Self::Outstanding { continues };
    }

    /// A call has returned. Whether one was outstanding.
    #[must_use]
    pub fn returned(&mut self) -> bool {
        let Self::Outstanding { continues } = *self else { return false };
        *self = if continues { Self::Idle } else { Self::Releasing };
        true
    }

    /// Linux has released the page after a call without continuation. Whether that was outstanding: an
    /// executor may release what it likes.
    #[must_use]
    pub fn released(&mut self) -> bool {
        let expected = *self == Self::Releasing;
        if expected {
            *self = Self::Idle;
        }
        expected
    }

    /// The thread has ended: whether its exit notice goes to Linux now. If not, it does when the call that is
    /// under way is over, or never.
    #[must_use]
    pub fn end(&mut self) -> bool {
        let now = *self == Self::Idle;
        if now {
            *self = Self::Ending;
        }
        now
    }

    /// Linux has closed the channel.
    pub fn close(&mut self) {
        *self = Self::Closed;
    }

    /// Whether Linux may still have the page.
    #[must_use]
    pub fn is_open(self) -> bool {
        self != Self::Closed
    }
}

/// A channel as Linux's module sees it. CPUs are indices in the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleSide {
    /// No call is under way, and no process has the page.
    Unmapped,
    /// A CPU has sent a call; it waits for the executor.
    Posted(u32),
    /// The executor has the call of this CPU.
    Given(u32),
    /// The call has been returned; the executor keeps the page.
    Returned,
    /// Closed, for good.
    Closed,
}

impl ModuleSide {
    /// A CPU sends a call.
    ///
    /// # Errors
    ///
    /// `Busy`: one is under way. `PeerGone`: the channel is closed.
    pub fn post(&mut self, cpu: u32) -> Result<(), Error> {
        match self {
            Self::Unmapped | Self::Returned => *self = Self::Posted(cpu),
            Self::Posted(_) | Self::Given(_) => return Err(Error::Busy),
            Self::Closed => return Err(Error::PeerGone),
        }
        Ok(())
    }

    /// The executor asks for a call. Whether there is one, which is its from now on.
    #[must_use]
    pub fn take(&mut self) -> bool {
        let Self::Posted(cpu) = *self else { return false };
        *self = Self::Given(cpu);
        true
    }

    /// The executor returns a call to a CPU.
    ///
    /// # Errors
    ///
    /// `NoEntry`: it has no call of that CPU.
    pub fn give_back(&mut self, cpu: u32) -> Result<(), Error> {
        if *self != Self::Given(cpu) {
            return Err(Error::NoEntry);
        }
        *self = Self::Returned;
        Ok(())
    }

    /// The executor has unmapped the page after a call without continuation.
    ///
    /// # Errors
    ///
    /// `NoEntry`: no call has been returned.
    pub fn release(&mut self) -> Result<(), Error> {
        if *self != Self::Returned {
            return Err(Error::NoEntry);
        }
        *self = Self::Unmapped;
        Ok(())
    }

    /// The daemon closes the channel.
    pub fn close(&mut self) {
        *self = Self::Closed;
    }

    /// Whether a process may map the page: not before the first call, nor after a release.
    #[must_use]
    pub fn may_map(self) -> bool {
        matches!(self, Self::Posted(_) | Self::Given(_) | Self::Returned)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
