//! Runs commands in the guest for the host.
fn main() {}
