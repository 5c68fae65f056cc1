//! The one module with `unsafe`: ioctls and mappings.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use ant_abi::device::Ioctl;
use ant_logic::rings::address::AddressRing;
use ant_logic::rings::log::Log;
use rustix::io::Errno;
use rustix::ioctl::{IoctlOutput, Opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
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

/// Types of which a shared reference may point into memory that another kernel or process writes.
///
/// # Safety
///
/// Every bit pattern is a value, and all of it is atomic.
pub unsafe trait Shared {}

// SAFETY: an atomic integer is atomic and has no invalid value.
unsafe impl Shared for AtomicU32 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an `AddressRing` consists of atomic integers only, its documentation says so.
unsafe impl Shared for AddressRing {}
// SAFETY: a `Log` consists of atomic integers only.
unsafe impl Shared for Log {}
// SAFETY: an array of such is such.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

impl Mapping {
    /// Maps `len` bytes of `file` from `offset`.
    ///
    /// # Errors
    ///
    /// Those of `mmap`.
    pub fn new(file: impl AsFd, offset: u64, len: usize, access: Access) -> Result<Self, Errno> {
        let prot = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a new mapping at an address that the kernel chooses replaces nothing.
        let start = unsafe { mmap(null_mut(), len, prot, MapFlags::SHARED, file, offset)? };
        let start = NonNull::new(start.cast()).ok_or(Errno::FAULT)?;
        Ok(Self { start, len, access })
    }

    /// The `T` at `offset`.
    ///
    /// # Panics
    ///
    /// It is not inside the mapping, or not aligned.
    #[must_use]
    pub fn at<T: Shared>(&self, offset: usize) -> &T {
        let end = offset.checked_add(size_of::<T>()).expect("offset overflows");
        assert!(end <= self.len && offset.is_multiple_of(align_of::<T>()), "outside the mapping");
        // SAFETY: inside the mapping (just checked), which lives as long as `self` and begins at a
        // page, so the reference is aligned; `Shared` makes concurrent writers harmless.
        unsafe { &*self.start.as_ptr().add(offset).cast::<T>() }
    }

    /// As [`Mapping::at`], for stores.
    ///
    /// # Panics
    ///
    /// As [`Mapping::at`], or the mapping is read-only.
    #[must_use]
    pub fn writable<T: Shared>(&self, offset: usize) -> &T {
        assert!(self.access == Access::ReadWrite, "a read-only mapping");
        self.at(offset)
    }

    /// Copies words out of shared memory, each once.
    ///
    /// # Panics
    ///
    /// They are not inside the mapping, or not aligned.
    pub fn copy_words(&self, offset: usize, words: &mut [u64]) {
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.at::<AtomicU64>(offset + index * 8).load(Ordering::Relaxed);
        }
        // Acquire: what follows is not done before the copy.
        fence(Ordering::Acquire);
    }

    /// Stores bytes into shared memory, word by word; zeros fill up the last one.
    ///
    /// # Panics
    ///
    /// They are not inside the mapping, or not aligned, or the mapping is read-only.
    pub fn store_bytes(&self, offset: usize, bytes: &[u8]) {
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_ne_bytes(word);
            self.writable::<AtomicU64>(offset + index * 8).store(word, Ordering::Relaxed);
        }
    }

    /// Address of byte `offset`, for pointers that the kernel follows.
    ///
    /// # Panics
    ///
    /// It is not inside the mapping.
    #[must_use]
    pub fn address(&self, offset: usize) -> u64 {
        assert!(offset <= self.len, "outside the mapping");
        self.start.as_ptr() as u64 + offset as u64
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made exactly this mapping, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// One of AnT's ioctls with the pointer to its structure, or NULL for one without.
struct Request {
    opcode: Opcode,
    structure: *mut c_void,
}

// SAFETY: the request number is the interface's, which says how large the structure is; `ioctl` and
// `ioctl_none` see to it that the pointer fits it. Nothing is read through the pointer here.
unsafe impl rustix::ioctl::Ioctl for Request {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.structure
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> Result<(), Errno> {
        Ok(())
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
    let structure = std::ptr::from_mut(argument).cast();
    // SAFETY: the module reads and writes `ioctl.size` bytes at the pointer, as the request number
    // says; `argument` is that large, and any bytes the module writes are a `T`.
    unsafe { rustix::ioctl::ioctl(file, Request { opcode: ioctl.request(), structure }) }
}

/// Issues one of AnT's ioctls that have no structure.
///
/// # Panics
///
/// The ioctl has one.
pub fn ioctl_none(file: impl AsFd, ioctl: &Ioctl) -> Result<(), Errno> {
    assert_eq!(ioctl.size, 0, "{} takes a structure", ioctl.name);
    let structure = null_mut();
    // SAFETY: the module follows no pointer for a request of this kind.
    unsafe { rustix::ioctl::ioctl(file, Request { opcode: ioctl.request(), structure }) }
}
