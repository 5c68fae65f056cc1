//! The places of a table that one CPU has to itself, as many as the boot block says.

/// Memory of such a table: given at boot, for ever.
#[cfg(not(test))]
pub type Places<T> = &'static mut [T];

/// Memory of such a table: tests have many tables, and free them.
#[cfg(test)]
pub type Places<T> = std::boxed::Box<[T]>;
