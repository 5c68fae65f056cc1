//! Whole-system tests in QEMU
