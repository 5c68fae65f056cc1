//! Reading and writing the memory of a process, checked page by page against its page tables.
//!
//! What a process passes as an address is an allegation: a [`UserRange`] or a [`UserPtr`], which only
//! this module turns into bytes.

use core::marker::PhantomData;

use ant_abi::layout::DEVICE_START;
use ant_abi::{Error, PAGE_SIZE, UserVirt};
use ant_arch::paging::{Access, AddressSpace, phys_to_virt};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Memory as a process names it, by address and length. Nothing about it is checked.
#[derive(Clone, Copy, Debug)]
pub struct UserRange {
    start: u64,
    len: u64,
}

impl UserRange {
    /// `len` bytes from `start` on.
    pub fn new(start: u64, len: u64) -> Self {
        Self { start, len }
    }

    /// How many bytes it is said to have.
    pub fn bytes(self) -> u64 {
        self.len
    }

    /// The `len` bytes of it from byte `offset` on, if it has them.
    pub fn part(self, offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then_some(Self { start: self.start.wrapping_add(offset), len })
    }
}

/// Where a process says that a `T` of its is. Nothing about it is checked.
#[derive(Debug)]
pub struct UserPtr<T> {
    address: u64,
    target: PhantomData<T>,
}

impl<T> UserPtr<T> {
    /// A `T` at `address`.
    pub fn new(address: u64) -> Self {
        Self { address, target: PhantomData }
    }

    /// The `len` bytes behind the `T`.
    pub fn behind(self, len: u64) -> UserRange {
        UserRange::new(self.address.wrapping_add(size_of::<T>() as u64), len)
    }
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

/// Copies a range out of the process into the first bytes of `buffer`, which it gives back.
/// `TooLong`: the range does not fit.
pub fn read<'a>(
    space: &AddressSpace,
    range: UserRange,
    buffer: &'a mut [u8],
) -> Result<&'a mut [u8], Error> {
    let len = usize::try_from(range.len).map_err(|_| Error::TooLong)?;
    let out = buffer.get_mut(..len).ok_or(Error::TooLong)?;
    copy_out(space, range.start, out)?;
    Ok(out)
}

/// A value out of the process.
pub fn read_value<T: FromBytes + IntoBytes>(
    space: &AddressSpace,
    at: UserPtr<T>,
) -> Result<T, Error> {
    let mut value = T::new_zeroed();
    copy_out(space, at.address, value.as_mut_bytes())?;
    Ok(value)
}

/// A value into the process, where it could write itself.
pub fn write_value<T: IntoBytes + Immutable>(
    space: &AddressSpace,
    at: UserPtr<T>,
    value: &T,
) -> Result<(), Error> {
    copy_in(space, at.address, value.as_bytes(), Access::ReadWrite)
}

/// Copies into the first bytes of a range of the process, where it could write itself. `TooLong`: the
/// range has no room for it.
pub fn write(space: &AddressSpace, range: UserRange, data: &[u8]) -> Result<(), Error> {
    if data.len() as u64 > range.len {
        return Err(Error::TooLong);
    }
    copy_in(space, range.start, data, Access::ReadWrite)
}

/// Copies into the process wherever it could read: for the loader, which fills pages that the
/// process may not write.
pub fn fill(space: &AddressSpace, start: UserVirt, data: &[u8]) -> Result<(), Error> {
    copy_in(space, start.get(), data, Access::Read)
}

fn copy_out(space: &AddressSpace, start: u64, out: &mut [u8]) -> Result<(), Error> {
    let mut done = 0;
    while done < out.len() {
        let (from, len) = piece(space, start, done, out.len(), Access::Read)?;
        // SAFETY: `piece` lies within a page of the process, which the direct map has; `out` is the
        // kernel's. A process that shares the page, or has it on loan, may write meanwhile, on another
        // CPU, and so may Linux: what is read is any bytes then, and is read once.
        unsafe { from.copy_to_nonoverlapping(out[done..].as_mut_ptr(), len) };
        done += len;
    }
    Ok(())
}

fn copy_in(space: &AddressSpace, start: u64, data: &[u8], access: Access) -> Result<(), Error> {
    let mut done = 0;
    while done < data.len() {
        let (to, len) = piece(space, start, done, data.len(), access)?;
        // SAFETY: as in `copy_out`.
        unsafe { to.copy_from_nonoverlapping(data[done..].as_ptr(), len) };
        done += len;
    }
    Ok(())
}

/// Where byte `done` of `total` from `start` on is in the direct map, and how many bytes follow in its
/// page.
fn piece(
    space: &AddressSpace,
    start: u64,
    done: usize,
    total: usize,
    access: Access,
) -> Result<(*mut u8, usize), Error> {
    let address = start.checked_add(done as u64);
    // Device memory, which is above all else, is not in the direct map.
    let address = address.filter(|&address| address < DEVICE_START);
    let virt = address.and_then(UserVirt::new).ok_or(Error::Fault)?;
    let phys = space.translate(virt, access).ok_or(Error::Fault)?;
    let in_page = PAGE_SIZE - virt.page_offset();
    Ok((phys_to_virt(phys), in_page.min(total - done)))
}
