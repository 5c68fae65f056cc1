//! A proxy file: it may map one LCA and give its calls back. What both backends have in common.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ant_abi::PAGE_SIZE;
use ant_abi::store::StoreEntry;
use nix::fcntl::{FcntlArg, fcntl};

use crate::raw::{self, Access, Mapping};
use crate::{LcaPage, OperationError};

/// What differs between the backends.
pub(crate) trait Way: Debug {
    /// Where in the file the LCA is mapped.
    fn offset(&self, lca: StoreEntry) -> u64;

    /// Gives the result in the LCA back to CPU `cpu`.
    fn ret(&self, file: &OwnedFd, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError>;
}

/// A proxy file.
#[derive(Debug)]
pub struct ProxyFile {
    file: OwnedFd,
    lca: StoreEntry,
    way: Box<dyn Way>,
}

impl ProxyFile {
    /// The file of the LCA that `file` is bound to.
    pub(crate) fn new(file: OwnedFd, lca: StoreEntry, way: impl Way + 'static) -> Self {
        Self { file, lca, way: Box::new(way) }
    }

    /// The descriptor.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Gives the file a descriptor of at least `least` in place of the one it has.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn raise(&mut self, least: i32) -> Result<(), OperationError> {
        self.file = duplicate_above(&self.file, least)?;
        Ok(())
    }

    /// Maps the LCA.
    ///
    /// # Errors
    ///
    /// The partition has stopped.
    pub fn map(&self) -> Result<LcaPage, OperationError> {
        Mapping::new(&self.file, self.way.offset(self.lca), PAGE_SIZE, Access::ReadWrite)
            .map(LcaPage::new)
            .map_err(|errno| OperationError::new(format!("mapping {:#x}", self.lca.0), errno))
    }

    /// Gives the result in the LCA back to CPU `cpu`.
    ///
    /// # Errors
    ///
    /// No such CPU, or the partition has stopped.
    pub fn ret(&self, cpu_index: u32) -> Result<(), OperationError> {
        self.way.ret(&self.file, self.lca, cpu_index)
    }
}

/// A duplicate of `file` with a number of at least `least`, not inherited by programs.
pub(crate) fn duplicate_above(file: &OwnedFd, least: i32) -> Result<OwnedFd, OperationError> {
    let number = fcntl(file, FcntlArg::F_DUPFD_CLOEXEC(least))
        .map_err(|errno| OperationError::new("moving a descriptor up", errno))?;
    Ok(raw::own(number))
}
