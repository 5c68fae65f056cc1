//! Arguments of the calls that AnT's processes make.

use ant_abi::PAGE_SIZE;
use ant_abi::lca::{ARG_BUFFER, Arg};
use ant_logic::lca::Builder;
use rustix::io::Errno;

/// The current directory, as a directory descriptor.
pub const AT_FDCWD: u64 = -100i64 as u64;
/// Result of a call that names no open descriptor.
pub const BADF: i64 = -(Errno::BADF.raw_os_error() as i64);

/// Of a `read` of at most `len` bytes.
pub fn reading(file: u64, len: usize) -> impl FnOnce(&mut Builder<'_>) {
    move |builder| {
        builder.value(file).output(len).unwrap();
        builder.value(len as u64);
    }
}

/// Of a `write`.
pub fn writing(file: u64, bytes: &[u8]) -> impl FnOnce(&mut Builder<'_>) {
    move |builder| {
        builder.value(file).input(bytes).unwrap();
        builder.value(bytes.len() as u64);
    }
}

/// Of an `openat` of a file (ended by NUL), to read.
pub fn opening(path: &[u8]) -> impl FnOnce(&mut Builder<'_>) {
    move |builder| {
        builder.value(AT_FDCWD).input(path).unwrap();
        builder.value(0).value(0);
    }
}

/// An argument of a kind and place of one's own.
pub fn odd_argument(kind: u8, value: u64, len: u32) -> Arg {
    Arg { kind, reserved: [0; 3], len, value }
}

/// Builds nothing.
pub fn no_arguments(_: &mut Builder<'_>) {}

const _: () = assert!(ARG_BUFFER == 1 && PAGE_SIZE == 4096);
