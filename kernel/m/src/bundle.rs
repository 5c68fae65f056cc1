//! The bundle that the module has loaded into the partition's memory: `init` is started from it, and reads
//! the servers out of it.

use ant_abi::boot::Extent;
use ant_arch::paging::phys_to_virt;
use ant_logic::bundle::{self, Bundle, BundleError};
use ant_p::shared;

/// Checks the bundle; where it lies, and what is in it. The direct map has to be there.
pub fn take() -> Result<(Extent, Bundle<'static>), BundleError> {
    let extent = bundle::extent(shared::boot())?;
    // SAFETY: it lies in an extent of the partition, which the direct map has for the life of the kernel.
    // The module wrote it before this CPU started; the memory manager gives none of it away, and no process
    // can write it, so it never changes.
    let bytes =
        unsafe { core::slice::from_raw_parts(phys_to_virt(extent.start), extent.len as usize) };
    Bundle::parse(bytes, shared::tables().ica_pages).map(|bundle| (extent, bundle))
}
