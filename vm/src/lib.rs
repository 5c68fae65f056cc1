//! Boots a stock Linux in QEMU with everything of this repository installed in it.
//!
//! Used by `xtask` (`./ant vm`, `./ant demo`) and by the tests in `tests/`. It builds nothing of
//! the product and knows nothing about it but where `./ant build` puts the files to install.

pub mod kernels;
pub mod paths;
