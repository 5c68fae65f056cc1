//! The ids of a partition's objects, each a type of its own.
//!
//! A [`CpuIndex`] and a [`Priority`] are always below the size of their table, so that indexing with
//! them cannot fail. The tables of the others are as large as the boot block says
//! ([`TableSizes`](crate::boot::TableSizes)): one that a process has passed is looked up, not indexed
//! with.
//!
//! In structures that cross a boundary, ids are fixed-size integers: the party that takes them
//! from the other side checks them by making one of these types.

use core::fmt;
use core::num::NonZero;

use crate::MAX_CPUS;
use crate::boot::TableSizes;
use crate::ipc::PRIORITIES;

/// A number that is no place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

/// What every small id has: from numbers that may be none, and to them.
macro_rules! id_conversions {
    ($name:ident) => {
        impl TryFrom<u64> for $name {
            type Error = OutOfRange;

            #[inline]
            fn try_from(number: u64) -> Result<Self, OutOfRange> {
                usize::try_from(number).ok().and_then(Self::new).ok_or(OutOfRange)
            }
        }

        impl TryFrom<u32> for $name {
            type Error = OutOfRange;

            #[inline]
            fn try_from(number: u32) -> Result<Self, OutOfRange> {
                u64::from(number).try_into()
            }
        }

        impl From<$name> for u32 {
            #[inline]
            fn from(id: $name) -> u32 {
                id.0.into()
            }
        }

        impl From<$name> for u64 {
            #[inline]
            fn from(id: $name) -> u64 {
                id.bits()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// Defines ids that are places in a table of `$count`.
macro_rules! table_id {
    ($( $(#[doc = $doc:literal])* $name:ident($inner:ty) < $count:expr; )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name($inner);

        // Power of two: `from_bits` and `index` reduce by a mask.
        const _: () = assert!($count.is_power_of_two() && $count - 1 <= <$inner>::MAX as usize);

        impl $name {
            /// How many there are.
            pub const COUNT: usize = $count;

            /// The one at this place; `None` if the table has no such place.
            #[inline]
            #[must_use]
            pub const fn new(index: usize) -> Option<Self> {
                if index < Self::COUNT { Some(Self(index as $inner)) } else { None }
            }

            /// Its place in the table.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                // The remainder is the number itself: it tells the compiler that it is in range.
                self.0 as usize % Self::COUNT
            }

            /// As a field of a packed word.
            #[inline]
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0 as u64
            }

            /// From a field of a packed word, which begins at bit 0; what lies above the field has
            /// no meaning.
            #[inline]
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self((bits % Self::COUNT as u64) as $inner)
            }

            /// All, in the order of the table.
            pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
                (0..Self::COUNT).map(|index| Self(index as $inner))
            }
        }

        id_conversions!($name);
    )*};
}

table_id! {
    /// A CPU of the partition: its CPU index. People see Linux's CPU number instead.
    CpuIndex(u8) < MAX_CPUS;
    /// A priority; the higher goes first.
    Priority(u8) < PRIORITIES;
}

/// Defines ids that are places in a table that is as large as the boot block says.
macro_rules! slot_id {
    ($( $(#[doc = $doc:literal])* $name:ident; )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u16);

        impl $name {
            /// The one at this place; `None` if no table has such a place.
            #[inline]
            #[must_use]
            pub const fn new(index: usize) -> Option<Self> {
                if index <= u16::MAX as usize { Some(Self(index as u16)) } else { None }
            }

            /// Its place in the table.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// As a field of a packed word.
            #[inline]
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0 as u64
            }

            /// From a field of a packed word, which begins at bit 0 and is at most 16 bits wide; what
            /// lies above them has no meaning.
            #[inline]
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits as u16)
            }

            /// Those of a table of `count`, in its order.
            pub fn first(count: usize) -> impl DoubleEndedIterator<Item = Self> + Clone {
                (0..count).map(|index| Self(index as u16))
            }
        }

        id_conversions!($name);
    )*};
}

slot_id! {
    /// A place in the process table. It may be reused, unlike a [`Pid`].
    ProcessSlot;
    /// A place in the thread table. It may be reused, unlike a [`Tid`].
    ThreadSlot;
    /// An endpoint. It may be reused: with its first [`Generation`] it identifies the endpoint.
    EndpointId;
    /// An LCA, by its place among those of the partition. It may be reused: with its generation it is one
    /// owner's.
    LcaIndex;
}

const _: () = assert!(TableSizes::MOST.lcas <= 1 << u16::BITS);

impl LcaIndex {
    /// The ICA page that it lies in: the first ones are the LCAs.
    #[inline]
    #[must_use]
    pub const fn ica_page(self) -> u32 {
        self.0 as u32
    }
}

impl CpuIndex {
    /// The m-kernel's CPU.
    pub const M_KERNEL: Self = Self(0);
}

impl Priority {
    /// No process has a lower one.
    pub const LOWEST: Self = Self(0);
    /// A program's that was not given another.
    pub const USUAL: Self = Self(2);
    /// No process has a higher one.
    pub const HIGHEST: Self = Self(PRIORITIES as u8 - 1);
}

macro_rules! unique_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZero<u32>);

        impl $name {
            /// That of the first, `init`'s.
            pub const FIRST: Self = Self(NonZero::<u32>::MIN);

            /// The one with this number; `None` for 0.
            #[inline]
            #[must_use]
            pub const fn new(number: u32) -> Option<Self> {
                match NonZero::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// Its number.
            #[inline]
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl TryFrom<u64> for $name {
            type Error = OutOfRange;

            fn try_from(number: u64) -> Result<Self, OutOfRange> {
                u32::try_from(number).ok().and_then(Self::new).ok_or(OutOfRange)
            }
        }

        impl From<$name> for u32 {
            fn from(id: $name) -> u32 {
                id.get()
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> u64 {
                id.get().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

unique_id! {
    /// A process. Never reused, never 0.
    Pid;
    /// A thread. Never reused, never 0. As on Linux, threads and processes have one sequence of numbers,
    /// and the first thread of a process has the process's.
    Tid;
}

impl Tid {
    /// The first thread of a process.
    #[inline]
    #[must_use]
    pub const fn first_of(pid: Pid) -> Self {
        Self(pid.0)
    }
}

impl Pid {
    /// The process that begins with this thread.
    #[inline]
    #[must_use]
    pub const fn beginning_with(tid: Tid) -> Self {
        Self(tid.0)
    }
}

/// Which receiver an endpoint has: raised whenever one goes, and when the endpoint's number is used
/// for another endpoint. Numbered in a circle that leaves out 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Generation(u32);

impl Generation {
    /// Of a handle until its process has heard of a generation; no endpoint's.
    pub const UNKNOWN: Self = Self(0);

    /// The generation with this number.
    #[inline]
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one that follows.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            next => Self(next),
        }
    }

    /// Whether it comes before `other`: of the two ways round the circle, the shorter one counts.
    #[inline]
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// The low half of its number.
    #[inline]
    #[must_use]
    pub const fn low(self) -> u16 {
        self.0 as u16
    }

    /// The latest generation, up to this one, that has `low` as its low half.
    #[inline]
    #[must_use]
    pub const fn latest_with_low(self, low: u16) -> Self {
        Self(self.0.wrapping_sub(self.low().wrapping_sub(low) as u32))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_below_the_size_of_their_table() {
        assert_eq!(CpuIndex::new(MAX_CPUS), None);
        assert_eq!(Priority::try_from(u32::MAX), Err(OutOfRange));
        let last = Priority::new(PRIORITIES - 1).expect("the last one");
        assert_eq!((last.index(), Priority::all().next_back()), (PRIORITIES - 1, Some(last)));
        assert_eq!(Priority::from_bits(last.bits() | 1 << 40), last);
    }

    #[test]
    fn slots_have_16_bits() {
        assert_eq!(ThreadSlot::try_from(1_u64 << 16), Err(OutOfRange));
        assert_eq!(ThreadSlot::from_bits(1 << 16 | 5), ThreadSlot::new(5).unwrap());
        let last = EndpointId::new(63).expect("the last one");
        assert_eq!(EndpointId::first(64).next_back(), Some(last));
    }

    #[test]
    fn lcas_are_the_first_pages_of_the_ica() {
        let most = TableSizes::MOST.lcas;
        let last = LcaIndex::new(most as usize - 1).expect("the last one");
        assert_eq!((last.index(), last.ica_page()), (most as usize - 1, most - 1));
    }

    #[test]
    fn generations_go_round_in_a_circle() {
        let last = Generation::new(u32::MAX);
        assert_eq!(last.next(), Generation::new(1));
        assert!(last.is_before(last.next()) && !last.next().is_before(last));
        assert!(!last.is_before(last));
        let early = Generation::new(0x1_0002);
        assert_eq!(early.latest_with_low(2), early);
        assert_eq!(early.latest_with_low(0xffff), Generation::new(0xffff));
    }
}
