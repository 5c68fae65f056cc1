//! The one room with `unsafe`: ioctls and mappings.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use ant_abi::device::Ioctl;
use ant_logic::rings::address::AddressRing;
use ant_logic::rings::log::Log;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::{FromBytes, IntoBytes};

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only loads.
    Read,
    /// Loads and stores.
    ReadWrite,
}

/// Shared memory, mapped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
    access: Access,
}

/// Types of which a shared reference may point into memory that somebody else writes.
///
/// # Safety
///
/// Every bit pattern is a value, and all of it is atomic.
pub unsafe trait Shared {}

// SAFETY: an atomic integer is atomic and has no invalid value.
unsafe impl Shared for AtomicU32 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU64 {}
// SAFETY: a `AddressRing` consists of atomic integers only, its documentation says so.
unsafe impl Shared for AddressRing {}
// SAFETY: a `Log` consists of atomic integers only.
unsafe impl Shared for Log {}
// SAFETY: an array of such is such.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

impl Mapping {
    /// Maps `len` bytes of `file` from `offset`.
    pub fn new(file: impl AsFd, offset: u64, len: usize, access: Access) -> Result<Self, Errno> {
        let length = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        let prot = match access {
            Access::Read => ProtFlags::PROT_READ,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        // SAFETY: a new mapping at an address that the kernel chooses replaces nothing.
        let start =
            unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, file, offset as libc::off_t)? };
        Ok(Self { start: start.cast(), len, access })
    }

    /// The `T` at `offset`.
    ///
    /// # Panics
    ///
    /// It is not inside the mapping, or not aligned; or `T` is to be had from a read-only mapping
    /// through [`Mapping::writable`].
    pub fn at<T: Shared>(&self, offset: usize) -> &T {
        let end = offset.checked_add(size_of::<T>()).expect("offset overflows");
        assert!(end <= self.len && offset.is_multiple_of(align_of::<T>()), "outside the mapping");
        // SAFETY: inside the mapping (just checked), which lives as long as `self` and begins at a
        // page, so the reference is aligned; `Shared` makes concurrent writers harmless.
        unsafe { &*self.start.as_ptr().add(offset).cast::<T>() }
    }

    /// As [`Mapping::at`], for stores.
    pub fn writable<T: Shared>(&self, offset: usize) -> &T {
        assert!(self.access == Access::ReadWrite, "a read-only mapping");
        self.at(offset)
    }

    /// Address of byte `offset`, for pointers that the kernel follows.
    pub fn address(&self, offset: usize) -> u64 {
        assert!(offset <= self.len, "outside the mapping");
        self.start.as_ptr() as u64 + offset as u64
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made exactly this mapping, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(self.start.cast::<c_void>(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Issues one of AnT's ioctls with its structure.
///
/// # Panics
///
/// `T` is not the ioctl's structure, judging by its size.
pub fn ioctl<T: FromBytes + IntoBytes>(
    file: impl AsFd,
    ioctl: &Ioctl,
    argument: &mut T,
) -> Result<(), Errno> {
    assert_eq!(size_of::<T>(), ioctl.size, "{} takes another structure", ioctl.name);
    // SAFETY: the module reads and writes `ioctl.size` bytes at the pointer, as the request number
    // says; `argument` is that large, and any bytes the module writes are a `T`.
    let result = unsafe {
        libc::ioctl(
            file.as_fd().as_raw_fd(),
            u64::from(ioctl.request()),
            std::ptr::from_mut(argument).cast::<c_void>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Issues one of AnT's ioctls that have no structure.
pub fn ioctl_none(file: impl AsFd, ioctl: &Ioctl) -> Result<(), Errno> {
    assert_eq!(ioctl.size, 0, "{} takes a structure", ioctl.name);
    // SAFETY: the module follows no pointer for a request of this kind.
    let result =
        unsafe { libc::ioctl(file.as_fd().as_raw_fd(), u64::from(ioctl.request()), 0usize) };
    Errno::result(result).map(drop)
}

/// Takes a descriptor that `fcntl(F_DUPFD_CLOEXEC)` has just made.
pub fn own(number: i32) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller has just got it from the kernel, and nobody else knows it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(number) }
}
