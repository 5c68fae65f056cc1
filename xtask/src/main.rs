//! The one door: build, run, test
fn main() {}
