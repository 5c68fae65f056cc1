//! Addresses, a type for each way to get from one to memory.
//!
//! What a process, or Linux, merely says is an address is a number until it was checked.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

use crate::PAGE_SIZE;
use crate::boot::TableSizes;
use crate::layout::{
    BUNDLE_SPAN, BUNDLE_START, DEVICE_END, DEVICE_START, ICA_START, PROCESS_END, PROCESS_START,
};

const PAGE: u64 = PAGE_SIZE as u64;

/// What all kinds of addresses have.
macro_rules! address {
    ($( $(#[$doc:meta])* $name:ident; )*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        )]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address as a number.
            #[inline]
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The highest multiple of `alignment`, a power of two, that is not above.
            #[inline]
            #[must_use]
            pub const fn align_down(self, alignment: u64) -> Self {
                debug_assert!(alignment.is_power_of_two());
                Self(self.0 & !(alignment - 1))
            }

            /// First byte of the page that the address lies in.
            #[inline]
            #[must_use]
            pub const fn page(self) -> Self {
                self.align_down(PAGE)
            }

            /// Bytes from the start of its page.
            #[inline]
            #[must_use]
            pub const fn page_offset(self) -> usize {
                (self.0 & (PAGE - 1)) as usize
            }

            /// Whether it is the first byte of a page.
            #[inline]
            #[must_use]
            pub const fn is_page_aligned(self) -> bool {
                self.page_offset() == 0
            }

            /// The addresses of the pages in which the `len` bytes from here on lie.
            pub fn pages(self, len: u64) -> impl Iterator<Item = Self> {
                let end = if len == 0 { self.page().0 } else { self.0 + len };
                (self.page().0..end).step_by(PAGE_SIZE).map(Self)
            }
        }

        impl Add<u64> for $name {
            type Output = Self;

            #[inline]
            fn add(self, bytes: u64) -> Self {
                Self(self.0 + bytes)
            }
        }

        impl AddAssign<u64> for $name {
            #[inline]
            fn add_assign(&mut self, bytes: u64) {
                self.0 += bytes;
            }
        }

        impl Sub<u64> for $name {
            type Output = Self;

            #[inline]
            fn sub(self, bytes: u64) -> Self {
                Self(self.0 - bytes)
            }
        }

        impl Sub for $name {
            type Output = u64;

            #[inline]
            fn sub(self, start: Self) -> u64 {
                self.0 - start.0
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    )*};
}

address! {
    /// Physical (real) address.
    PhysAddr;
    /// Virtual address in the lower half, which is a process's. What is mapped there depends on the
    /// process.
    UserVirt;
    /// Virtual address in the kernel's half, the same on every CPU.
    KernelVirt;
}

impl PhysAddr {
    /// The physical address `address`.
    #[inline]
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }
}

impl UserVirt {
    /// End (exclusive) of the lower half.
    const END: u64 = 1 << 47;

    /// The address `address`, if it is one of the lower half.
    #[inline]
    #[must_use]
    pub const fn new(address: u64) -> Option<Self> {
        if address < Self::END { Some(Self(address)) } else { None }
    }

    /// As [`UserVirt::new`], for addresses that the layout fixes.
    pub(crate) const fn of_layout(address: u64) -> Self {
        assert!(address < Self::END);
        Self(address)
    }

    /// The address `address`, if it is one of the process region.
    #[must_use]
    pub const fn in_process(address: u64) -> Option<Self> {
        if PROCESS_START <= address && address < PROCESS_END { Some(Self(address)) } else { None }
    }

    /// Where ICA page `page` is in every process.
    #[inline]
    #[must_use]
    pub const fn of_ica_page(page: u32) -> Self {
        debug_assert!(page < TableSizes::MOST.ica_pages);
        Self(ICA_START + page as u64 * PAGE)
    }

    /// Where `init` has byte `offset` of the bundle, if it can have so many.
    #[must_use]
    pub const fn of_bundle(offset: u64) -> Option<Self> {
        if offset < BUNDLE_SPAN { Some(Self(BUNDLE_START + offset)) } else { None }
    }

    /// Where device memory at `phys` is in the processes that it was granted to, if it can be.
    #[must_use]
    pub const fn of_device(phys: PhysAddr) -> Option<Self> {
        if phys.0 < DEVICE_END - DEVICE_START { Some(Self(DEVICE_START + phys.0)) } else { None }
    }
}

impl KernelVirt {
    /// The kernel's address `address`, canonical.
    #[inline]
    #[must_use]
    pub const fn new(address: u64) -> Self {
        debug_assert!(address >= 0xffff_8000_0000_0000);
        Self(address)
    }

    /// As a pointer.
    #[inline]
    #[must_use]
    pub const fn as_ptr<T>(self) -> *mut T {
        self.0 as *mut T
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_process_has_the_lower_half() {
        assert_eq!(UserVirt::new(UserVirt::END - 1).map(UserVirt::get), Some(UserVirt::END - 1));
        assert_eq!(UserVirt::new(UserVirt::END), None);
        assert_eq!(UserVirt::new(u64::MAX), None);
        assert_eq!(UserVirt::in_process(PROCESS_START - 1), None);
        assert!(UserVirt::in_process(PROCESS_START).is_some());
        assert_eq!(UserVirt::in_process(PROCESS_END), None);
    }

    #[test]
    fn device_memory_beyond_its_region_has_no_place() {
        let span = DEVICE_END - DEVICE_START;
        let last = UserVirt::of_device(PhysAddr::new(span - 1));
        assert_eq!(last.map(UserVirt::get), Some(DEVICE_END - 1));
        assert_eq!(UserVirt::of_device(PhysAddr::new(span)), None);
    }

    #[test]
    fn pages_are_those_with_a_byte() {
        let pages = |start, len| PhysAddr::new(start).pages(len).map(PhysAddr::get).collect();
        let all: [Vec<u64>; 4] =
            [pages(PAGE, 0), pages(1, 0), pages(PAGE - 1, 2), pages(PAGE, PAGE)];
        assert_eq!(all, [Vec::new(), Vec::new(), [0, PAGE].into(), [PAGE].into()]);
    }
}
