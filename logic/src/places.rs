//! The places of a table that one CPU has to itself, as many as the boot block says.

#[cfg(test)]
use std::boxed::Box as Memory;

#[cfg(not(test))]
use self::Given as Memory;

/// Memory that is given at boot, for ever.
#[cfg(not(test))]
type Given<T> = &'static mut T;

/// Such a table. Tests have many, and free them.
pub type Places<T> = Memory<[T]>;
