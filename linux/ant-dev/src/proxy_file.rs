//! A proxy file: maps one LCA and returns its calls. What both backends have in common.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ant_abi::store::StoreEntry;
use rustix::io::fcntl_dupfd_cloexec;

use crate::{LcaPage, OperationError};

/// What a backend does for a proxy file.
pub trait ProxyOps: Debug {
    /// Where in the file the LCA is mapped.
    fn offset(&self, lca: StoreEntry) -> u64;

    /// Returns the call in the LCA to the CPU of index `cpu_index`.
    ///
    /// # Errors
    ///
    /// No such CPU, or the partition has stopped.
    fn ret(&self, file: &OwnedFd, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError>;
}

/// A proxy file.
#[derive(Debug)]
pub struct ProxyFile {
    file: OwnedFd,
    lca: StoreEntry,
    ops: Box<dyn ProxyOps>,
}

impl ProxyFile {
    /// The file of the LCA that `file` is bound to.
    #[must_use]
    pub fn new(file: OwnedFd, lca: StoreEntry, ops: impl ProxyOps + 'static) -> Self {
        Self { file, lca, ops: Box::new(ops) }
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
        self.file = fcntl_dupfd_cloexec(&self.file, least)
            .map_err(|errno| OperationError::new("moving a descriptor up", errno))?;
        Ok(())
    }

    /// Maps the LCA.
    ///
    /// # Errors
    ///
    /// The partition has stopped.
    pub fn map(&self) -> Result<LcaPage, OperationError> {
        LcaPage::map(&self.file, self.ops.offset(self.lca), self.lca)
    }

    /// Returns the call in the LCA to the CPU of index `cpu_index`.
    ///
    /// # Errors
    ///
    /// No such CPU, or the partition has stopped.
    pub fn ret(&self, cpu_index: u32) -> Result<(), OperationError> {
        self.ops.ret(&self.file, self.lca, cpu_index)
    }
}
