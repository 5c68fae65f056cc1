//! The one table of Linux system calls that AnT carries to Linux: where their arguments point.
//!
//! Only AnT's side needs it ([`crate::lca::encode`]); a proxy executes a request without knowing
//! any system call, except which ones it refuses ([`must_not_delegate`]). Numbers and sizes are those of
//! the x86-64 system call interface, not of a C library, from the crate `linux-raw-sys`. To carry one
//! more call, add its line.
//!
//! Deliberately absent: what a call does.

mod local;
mod table;

pub use local::{NOT_DELEGATED, closes, must_not_delegate};
pub use table::{CALLS, nr};

/// Where Linux's table of calls ends: every call's number is below. Linux gives some of those beyond
/// another meaning (the x32 interface; it looks at the lower half of the register only).
const END: usize = 512;

/// A Linux system call that can be carried.
#[derive(Debug)]
pub struct Call {
    /// Its name, as in section 2 of the manual.
    pub name: &'static str,
    /// Its number.
    pub nr: u64,
    /// Its arguments; those beyond are zero.
    pub args: &'static [ArgKind],
}

/// Where an argument points. A pointer may always be NULL: what that means is Linux's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// Nowhere.
    Value,
    /// To bytes that end with the first NUL; read by the call.
    Text,
    /// To data.
    Data(Data),
    /// To segments (`struct iovec`); another argument has their number. A short count is legal.
    Vector {
        /// Whether the call reads or writes what the segments point to.
        direction: Direction,
        /// Which argument has the number.
        count: usize,
    },
    /// It depends on the value of another argument.
    Select {
        /// Which argument.
        by: usize,
        /// Its values that can be carried, and what they make of this one.
        cases: &'static [(u64, ArgKind)],
    },
}

/// Data that an argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Whether the call reads or writes it.
    pub direction: Direction,
    /// How long it is.
    pub size: Size,
    /// How much of it the call has written.
    pub filled: OutExtent,
    /// What to do if it is longer than what an LCA can carry.
    pub excess: Overflow,
}

/// Whether a call reads or writes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The call reads it.
    In,
    /// The call writes it.
    Out,
    /// The call reads and writes it.
    InOut,
}

/// How long data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Fixed(usize),
    /// As many elements as an argument says.
    Counted {
        /// Which argument.
        arg: usize,
        /// Bytes of an element.
        unit: usize,
    },
    /// A bit for each number below what an argument says, in words of eight bytes (`fd_set`).
    Bits {
        /// Which argument.
        arg: usize,
    },
    /// As many bytes as the 32-bit number that an argument points to says; the call changes that
    /// number (`socklen_t *`).
    IndirectLen {
        /// Which argument.
        arg: usize,
    },
}

/// How much of its data a call has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutExtent {
    /// All if it succeeded, otherwise nothing.
    OnSuccess,
    /// As many elements as it returned.
    Returned,
    /// All, whatever it returned. The data goes in as well, so nothing is made up.
    Always,
}

/// What to do with data that is longer than what an LCA can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The call is refused.
    Refuse,
    /// The call is made with less: a short count is legal.
    Shorten,
    /// The call is made with less room. If that turns out too small, it has failed.
    TruncateOrFail,
}

/// The name of a call, of its number's name in Linux's headers (`__NR_read`).
const fn name_of(number: &'static str) -> &'static str {
    number.split_at("__NR_".len()).1
}

/// The call with this number, if it can be carried.
#[must_use]
pub fn find(nr: u64) -> Option<&'static Call> {
    let index = *table::INDEX.get(usize::try_from(nr).ok()?)?;
    CALLS.get(usize::from(index))
}

/// The name of a call that can be carried or that proxies refuse, for logs and messages.
#[must_use]
pub fn name(nr: u64) -> Option<&'static str> {
    let local = || NOT_DELEGATED.iter().find(|&&(local, _)| local == nr).map(|&(_, name)| name);
    find(nr).map(|call| call.name).or_else(local)
}

#[cfg(test)]
mod tests;
