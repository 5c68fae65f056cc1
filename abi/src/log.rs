//! AnT's kernel log: one lock-free ring of fixed-size records for each CPU.
//!
//! Producer: the CPU. Reader: Linux, at any time, without a lock; it notices what it missed by
//! the sequence numbers. The algorithm is in `ant-logic::rings::log`.

/// Records of one CPU's ring; a power of two.
pub const LOG_RECORDS: usize = 128;
/// Bytes of text in a record.
pub const LOG_TEXT: usize = 104;

/// Something no longer works; what was lost is in the text.
pub const LEVEL_ERROR: u8 = 1;
/// Something unexpected that AnT dealt with.
pub const LEVEL_WARN: u8 = 2;
/// A change that an administrator would look for: boot, start and end of programs.
pub const LEVEL_INFO: u8 = 3;

abi_struct! {
    /// One record. A message longer than its text goes on in the next record of the CPU.
    pub struct LogRecord {
        /// Number of the record from 1, or 0 while it is being written. Written last.
        pub seq: u64,
        /// Time-stamp counter.
        pub tsc: u64,
        /// One of `LEVEL_*`.
        pub level: u8,
        /// Bytes of `text` in use.
        pub len: u8,
        /// 1 if this record continues the message of the one before.
        pub continues: u8,
        /// Zero.
        pub reserved: [u8; 5],
        /// UTF-8 text; a character may be split across records.
        pub text: [u8; LOG_TEXT],
    }

    /// One CPU's ring: record `n` is at `(n - 1) % LOG_RECORDS`.
    pub struct LogRing {
        /// The records.
        pub records: [LogRecord; LOG_RECORDS],
    }
}
