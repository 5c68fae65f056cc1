//! The only Rust code that opens /dev/ant
