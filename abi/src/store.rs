//! The LCA address stores (paper 4.2, Fig. 6): rings that carry real addresses of LCAs.
//!
//! One pair per AnT CPU. *Request*: producer the AnT CPU, consumer Linux. *Return*: producer
//! Linux (serialised by the module), consumer the AnT CPU. The algorithm is in `ant-logic::rings::address`;
//! this is its memory.
//!
//! An entry ([`StoreEntry`]) is the real address of the LCA (*raddr*), its generation in the top 12
//! bits, and a kind in the low 12. To Linux, raddr with generation is the identity of an LCA.
//!
//! # Release
//!
//! Linux lets go of a page by `ANT_RELEASE`, in one of two ways. The module takes the page from every
//! mapping, refuses (`-EBUSY`, try again) while Linux has any reference to it, and puts an entry of the
//! release's kind into the m-kernel's return store; the m-kernel hands it on to the CPU that has the
//! process.
//!
//! - [`EntryKind::Released`], by a file that serves the channel, follows a call without
//!   `CFLAG_CONTINUE`. AnT sends the process's next call then. The page stays the process's.
//! - [`EntryKind::Closed`], by `antd` alone, is for good: no file has the channel any more. The process
//!   ends, whatever it is doing, for its descriptors and its working directory are gone. Only then does
//!   AnT use the page for anything else.
//!
//! A program controls its proxy, so what a proxy does must not decide when a page is used again.

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::PhysAddr;

/// Entries of one store; a power of two. Every process has at most one request and two return
/// entries under way, so a store never fills.
pub const STORE_ENTRIES: usize = 256;

/// What a [`StoreEntry`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u64)]
pub enum EntryKind {
    /// A request, or the return of one.
    Call = 0,
    /// Return store only: no process has the page mapped after a call without continuation.
    Released = 1,
    /// Return store only: Linux has closed the channel.
    Closed = 2,
}

/// Bits of an entry that hold the address of the page.
pub const ENTRY_ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;
/// Bits of an entry that hold its kind.
pub const ENTRY_KIND_MASK: u64 = 0xfff;
/// First bit of the generation.
pub const ENTRY_GENERATION_SHIFT: u32 = 52;

abi_struct! {
    /// Memory of one address store.
    pub struct AddressStore {
        /// Entries ever put in (wraps). Written by the producer, read by the consumer.
        pub tail: u32,
        /// Keeps the two counters on cache lines of their own. Zero.
        pub pad_tail: [u32; 15],
        /// Entries ever taken out (wraps). Written by the consumer, read by the producer.
        pub head: u32,
        /// Zero.
        pub pad_head: [u32; 15],
        /// Entry `n` is at `n % STORE_ENTRIES`.
        pub entries: [u64; STORE_ENTRIES],
    }
}

/// What a store carries: the real address of an LCA, the generation of its owner, and a kind.
///
/// The generation changes each time the page gets a new owner, so a late entry for a process that
/// has ended is never taken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreEntry(pub u64);

impl StoreEntry {
    /// A call through the LCA at `raddr` (page aligned; other bits are dropped).
    #[must_use]
    pub const fn call(raddr: PhysAddr, generation: u16) -> Self {
        Self((raddr.get() & ENTRY_ADDRESS_MASK) | ((generation as u64) << ENTRY_GENERATION_SHIFT))
    }

    /// The same LCA and generation with another kind.
    #[must_use]
    pub const fn with_kind(self, kind: EntryKind) -> Self {
        Self((self.0 & !ENTRY_KIND_MASK) | kind as u64)
    }

    /// Physical address of the LCA.
    #[must_use]
    pub const fn raddr(self) -> PhysAddr {
        PhysAddr::new(self.0 & ENTRY_ADDRESS_MASK)
    }

    /// Generation of the owner, 12 bits.
    #[must_use]
    pub const fn generation(self) -> u16 {
        (self.0 >> ENTRY_GENERATION_SHIFT) as u16
    }

    /// What it means; `None` for a number that means nothing.
    #[inline]
    #[must_use]
    pub fn kind(self) -> Option<EntryKind> {
        EntryKind::try_from(self.0 & ENTRY_KIND_MASK).ok()
    }
}

abi_constants!(
    STORE_ENTRIES,
    KIND_CALL = EntryKind::Call,
    KIND_RELEASED = EntryKind::Released,
    KIND_CLOSED = EntryKind::Closed,
    ENTRY_ADDRESS_MASK,
    ENTRY_KIND_MASK,
    ENTRY_GENERATION_SHIFT
);
