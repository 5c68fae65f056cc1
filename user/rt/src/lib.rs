//! Run-time library of AnT programs: the way in, AnT's system calls, Linux's system calls.
//!
//! A program is `#![no_std] #![no_main]`, calls [`program!`] with its main function, asks Linux for
//! whatever it needs through [`linux`] and other processes of AnT through [`ipc`]. An OS server is a
//! program that runs a [`server::Service`]. This crate is the only one that issues AnT's system
//! calls. A program has one thread.
//!
//! * [`ipc`]: messages, handles, endpoints; [`ica`]: the pages that go with them.
//! * [`server`]: the loop of an OS server.
//! * [`device`]: the I/O ports and device memory that were granted.
//! * [`ant`]: AnT's other system calls; [`linux`], [`io`]: Linux's.
#![no_std]

pub mod ant;
mod args;
pub mod channel;
pub mod device;
pub mod ica;
pub mod init_calls;
pub mod io;
pub mod ipc;
pub mod linux;
#[cfg(feature = "raw")]
pub mod raw;
#[cfg(not(feature = "raw"))]
mod raw;
pub mod server;
mod start;
pub mod time;

pub use args::Args;

#[doc(hidden)]
pub use start::run;

/// Makes `$main`, a `fn(Args) -> i32`, the program; what it returns is the exit status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn ant_main(stack: *const u64) -> ! {
            // SAFETY: the runtime's first instruction calls this with the stack it began with.
            unsafe { $crate::run(stack, $main) }
        }
    };
}
