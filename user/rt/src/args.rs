//! The arguments of the program, and its environment: the handles that it was given, by name.

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The environment's first entry; a null pointer ends them. Written before the program's main function
/// begins; the process has one thread.
static ENVIRONMENT: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// The arguments, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    argv: &'static [*const c_char],
}

impl Args {
    /// Reads the stack as the kernel has laid it out: argc, argv, a null pointer, the environment, a null
    /// pointer.
    ///
    /// # Safety
    /// `stack` is that stack.
    pub(crate) unsafe fn new(stack: *const u64) -> Self {
        // SAFETY: the caller's promise; the stack lives as long as the process.
        let argv = unsafe {
            let argc = *stack as usize;
            ENVIRONMENT.store(stack.add(argc + 2).cast_mut().cast(), Ordering::Relaxed);
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

/// What the environment has under this name.
pub(crate) fn variable(name: &str) -> Option<&'static str> {
    let mut entry = ENVIRONMENT.load(Ordering::Relaxed);
    // A panic may come before there is one.
    while !entry.is_null() {
        // SAFETY: `Args::new` set it; the kernel ends the entries with a null pointer, which ends the loop.
        let string = unsafe { *entry };
        if string.is_null() {
            break;
        }
        // SAFETY: the kernel ends every string with NUL; the stack lives as long as the process.
        let string = unsafe { CStr::from_ptr(string) };
        let value =
            string.to_str().ok().and_then(|text| text.strip_prefix(name)?.strip_prefix('='));
        if value.is_some() {
            return value;
        }
        // SAFETY: not the last.
        entry = unsafe { entry.add(1) };
    }
    None
}
