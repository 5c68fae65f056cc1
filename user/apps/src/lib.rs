//! Sample AP programs
