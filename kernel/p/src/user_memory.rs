//! Reading and writing the memory of a process, checked page by page against its page tables.

use ant_abi::layout::DEVICE_START;
use ant_abi::{Error, PAGE_SIZE};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arch::paging::{Access, AddressSpace, phys_to_virt};

/// Copies out of the process.
pub fn read(space: &AddressSpace, virt: u64, out: &mut [u8]) -> Result<(), Error> {
    let mut done = 0;
    while done < out.len() {
        let (from, len) = piece(space, virt, done, out.len(), Access::Read)?;
        // SAFETY: `piece` lies within a page of the process, which the direct map has; `out` is the
        // kernel's. Who shares the page, or has it on loan, may write meanwhile, on another CPU or in
        // Linux: what is read is any bytes then, and is read once.
        unsafe { from.copy_to_nonoverlapping(out[done..].as_mut_ptr(), len) };
        done += len;
    }
    Ok(())
}

/// Copies into the process, where it could write itself.
pub fn write(space: &AddressSpace, virt: u64, data: &[u8]) -> Result<(), Error> {
    copy_in(space, virt, data, Access::ReadWrite)
}

/// Copies into the process wherever it could read: for the loader, which fills pages that the
/// process may not write.
pub fn fill(space: &AddressSpace, virt: u64, data: &[u8]) -> Result<(), Error> {
    copy_in(space, virt, data, Access::Read)
}

/// A value out of the process.
pub fn read_value<T: FromBytes + IntoBytes>(space: &AddressSpace, virt: u64) -> Result<T, Error> {
    let mut value = T::new_zeroed();
    read(space, virt, value.as_mut_bytes())?;
    Ok(value)
}

/// A value into the process.
pub fn write_value<T: IntoBytes + Immutable>(
    space: &AddressSpace,
    virt: u64,
    value: &T,
) -> Result<(), Error> {
    write(space, virt, value.as_bytes())
}

fn copy_in(space: &AddressSpace, virt: u64, data: &[u8], access: Access) -> Result<(), Error> {
    let mut done = 0;
    while done < data.len() {
        let (to, len) = piece(space, virt, done, data.len(), access)?;
        // SAFETY: as in `read`.
        unsafe { to.copy_from_nonoverlapping(data[done..].as_ptr(), len) };
        done += len;
    }
    Ok(())
}

/// Where byte `done` of a range is in the direct map, and how many bytes follow in its page.
fn piece(
    space: &AddressSpace,
    virt: u64,
    done: usize,
    total: usize,
    access: Access,
) -> Result<(*mut u8, usize), Error> {
    let virt = virt.checked_add(done as u64).ok_or(Error::Fault)?;
    if virt >= DEVICE_START {
        // Device memory is not in the direct map.
        return Err(Error::Fault);
    }
    let phys = space.translate(virt, access).ok_or(Error::Fault)?;
    let in_page = PAGE_SIZE - virt as usize % PAGE_SIZE;
    Ok((phys_to_virt(phys), in_page.min(total - done)))
}
