//! Proxy files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use ant_abi::store::StoreEntry;
use ant_dev::{Binder, OperationError, ProxyFile, ProxyOps};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::memory::Memory;

/// Makes proxy files: further descriptors of the memory file.
#[derive(Clone, Debug)]
pub struct LoopbackBinder {
    memory: Rc<Memory>,
}

impl LoopbackBinder {
    /// Binds LCAs in `memory`.
    pub fn new(memory: Rc<Memory>) -> Self {
        Self { memory }
    }
}

impl Binder for LoopbackBinder {
    fn keeps(&self) -> Option<BorrowedFd<'_>> {
        Some(self.memory.file.as_fd())
    }

    fn bind(&self, lca: StoreEntry) -> Result<ProxyFile, OperationError> {
        if self.memory.offset_of(lca).is_none() {
            return Err(OperationError::new(format!("binding {:#x}", lca.0), Errno::INVAL));
        }
        let file = fcntl_dupfd_cloexec(&self.memory.file, 0)
            .map_err(|errno| OperationError::new("opening a proxy file", errno))?;
        Ok(ProxyFile::new(file, lca, self.clone()))
    }
}

impl ProxyOps for LoopbackBinder {
    fn offset(&self, lca: StoreEntry) -> u64 {
        self.memory.offset_of(lca).expect("checked by bind")
    }

    fn ret(&self, file: &OwnedFd, lca: StoreEntry, cpu_index: u32) -> Result<(), OperationError> {
        self.memory.give(file, lca, cpu_index, "returning")
    }
}
