//! The daemon end to end.
fn main() {}
