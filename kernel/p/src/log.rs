//! The kernel log: formatted text into the CPU's ring in the shared area.

use core::cell::UnsafeCell;
use core::fmt::{self, Write};

pub use ant_abi::log::{LEVEL_ERROR, LEVEL_INFO, LEVEL_WARN};

use ant_abi::MAX_CPUS;
use ant_logic::rings::log::LogWriter;
use arrayvec::ArrayString;

use crate::shared;
use ant_arch::clock;

/// Longest message; what is longer is cut.
const MESSAGE_MAX: usize = 400;

/// One writer per CPU, used only by that CPU.
struct Writers([UnsafeCell<LogWriter>; MAX_CPUS]);

// SAFETY: element `n` is only touched by CPU `n` (see `write`).
unsafe impl Sync for Writers {}

static WRITERS: Writers = Writers([const { UnsafeCell::new(LogWriter::new()) }; MAX_CPUS]);

/// Writes one message at a level of `ant_abi::log`.
pub fn write(level: u8, args: fmt::Arguments<'_>) {
    let text = cut::<MESSAGE_MAX>(args);
    let cpu = shared::this_cpu();
    // SAFETY: only this CPU uses its writer, and the kernel runs with interrupts off: the only
    // way to get here while a write is under way is a panic inside it; its message may garble
    // the record that was being written, and nothing else.
    let writer = unsafe { &mut *WRITERS.0[cpu.index()].get() };
    writer.write(shared::log(cpu), clock::now(), level, text.as_bytes());
}

/// The text that `args` make, cut to what fits.
pub fn cut<const N: usize>(args: fmt::Arguments<'_>) -> ArrayString<N> {
    let mut text = Cut(ArrayString::new());
    // `Cut` never fails; a value's own formatting could, and leaves what came before.
    let _ = text.write_fmt(args);
    text.0
}

/// Takes what fits and drops the rest.
struct Cut<const N: usize>(ArrayString<N>);

impl<const N: usize> Write for Cut<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.floor_char_boundary(self.0.remaining_capacity());
        self.0.push_str(text.get(..room).unwrap_or_default());
        Ok(())
    }
}

/// Something no longer works.
#[doc(hidden)]
#[macro_export]
macro_rules! log_error {
    ($($arg:tt)*) => { $crate::log::write($crate::log::LEVEL_ERROR, format_args!($($arg)*)) };
}

/// Something unexpected that AnT dealt with.
#[doc(hidden)]
#[macro_export]
macro_rules! log_warning {
    ($($arg:tt)*) => { $crate::log::write($crate::log::LEVEL_WARN, format_args!($($arg)*)) };
}

/// A change an administrator would look for.
#[doc(hidden)]
#[macro_export]
macro_rules! log_info {
    ($($arg:tt)*) => { $crate::log::write($crate::log::LEVEL_INFO, format_args!($($arg)*)) };
}

pub use {log_error as error, log_info as info, log_warning as warning};
