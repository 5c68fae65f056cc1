//! Boots a stock Linux in QEMU with everything of this repository installed in it.
//!
//! Used by `xtask` (`./ant vm`, `./ant demo`) and by the tests in `tests/`. It builds nothing of
//! the product and knows nothing about it but where `./ant build` puts the files to install.
//!
//! COM1 carries Linux's log and nothing else; commands go through a virtio-serial port to the
//! guest agent (`vm/agent`); COM2 is left free.

pub mod accel;
pub mod agent;
mod cpio;
pub mod guest;
pub mod image;
pub mod kernels;
pub mod linux_log;
pub mod machine;
mod modules;
pub mod paths;
mod qemu;
pub mod terminal;

pub use ant_agent::{Start, TermSize};
