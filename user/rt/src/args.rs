//! The arguments of the program.

use core::ffi::{CStr, c_char};

/// The arguments, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    argv: &'static [*const c_char],
}

impl Args {
    /// Reads the stack as the kernel has laid it out: argc, then argv.
    ///
    /// # Safety
    /// `stack` is that stack.
    pub(crate) unsafe fn new(stack: *const u64) -> Self {
        // SAFETY: the caller's promise; the stack lives as long as the process.
        let argv = unsafe {
            let argc = *stack as usize;
            core::slice::from_raw_parts(stack.add(1).cast(), argc)
        };
        Self { argv }
    }

    /// How many, the program's name included.
    pub fn len(self) -> usize {
        self.argv.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(self) -> bool {
        self.argv.is_empty()
    }

    /// Argument `index`.
    pub fn get(self, index: usize) -> Option<&'static CStr> {
        // SAFETY: the kernel ends every argument with NUL.
        self.argv.get(index).map(|&arg| unsafe { CStr::from_ptr(arg) })
    }

    /// Argument `index` as text; `None` too if it is not UTF-8.
    pub fn text(self, index: usize) -> Option<&'static str> {
        self.get(index)?.to_str().ok()
    }
}
