//! The log: a reader beside the writer, and behind it.

use ant_logic::rings::log::{Log, LogItem, LogReader, LogWriter, RECORDS};
use loom::sync::Arc;
use loom::thread;

use crate::check;

/// What the writer of these tests writes as record `seq`, in every field.
fn text(seq: u64) -> [u8; 8] {
    (seq * 0x0101_0101_0101_0101).to_le_bytes()
}

/// Reads until there is nothing; returns how many were read and lost, having checked each.
fn drain(log: &Log, reader: &mut LogReader, after: u64) -> u64 {
    let mut at = after;
    while let Some(item) = reader.read(log) {
        match item {
            LogItem::Record(record) => {
                at += 1;
                assert_eq!(record.seq, at, "a record is missing and was not counted as lost");
                assert_eq!(record.tsc, at, "torn");
                assert_eq!(u64::from(record.level), at, "torn");
                assert_eq!(record.text[..8], text(at), "torn");
            }
            LogItem::Lost(count) => at += count,
        }
    }
    at
}

/// A reader while the ring is overrun: nothing torn, and read and lost add up.
#[test]
fn log_reader_never_sees_half_a_record() {
    check(2, || {
        let last = 2 * RECORDS as u64;
        let log = Arc::new(Log::new());
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let mut writer = LogWriter::new();
                for seq in 1..=last {
                    writer.write(&log, seq, seq as u8, &text(seq));
                }
            })
        };
        let mut reader = LogReader::new();
        let at = drain(&log, &mut reader, 0);
        writer.join().unwrap();
        let at = drain(&log, &mut reader, at);
        assert_eq!(at, last, "read and lost do not add up");
        assert_eq!(reader.read(&log), None);
    });
}

/// A reader that comes late gets all that is left and knows the rest.
#[test]
fn log_counts_what_was_lost() {
    check(3, || {
        let log = Log::new();
        let mut writer = LogWriter::new();
        let last = 2 * RECORDS as u64 + 1;
        for seq in 1..=last {
            writer.write(&log, seq, seq as u8, &text(seq));
        }
        let mut reader = LogReader::new();
        assert_eq!(reader.read(&log), Some(LogItem::Lost(last - RECORDS as u64)));
        assert_eq!(drain(&log, &mut reader, last - RECORDS as u64), last);
    });
}
