//! The log in one thread; the loom tests have the rest.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn record(item: Option<LogItem>) -> LogRecord {
    match item {
        Some(LogItem::Record(record)) => record,
        other => panic!("no record but {other:?}"),
    }
}

#[test]
fn reads_what_was_written() {
    let log = Log::new();
    let (mut writer, mut reader) = (LogWriter::new(), LogReader::new());
    assert_eq!(reader.read(&log), None);
    writer.write(&log, 77, 3, b"CPU 1 is ready");
    writer.write(&log, 78, 1, b"");
    let first = record(reader.read(&log));
    assert_eq!((first.seq, first.tsc, first.level, first.continues), (1, 77, 3, 0));
    assert_eq!(&first.text[..first.len.into()], b"CPU 1 is ready");
    let second = record(reader.read(&log));
    assert_eq!((second.seq, second.tsc, second.level, second.len), (2, 78, 1, 0));
    assert_eq!(second.text, [0; LOG_TEXT], "what was there before does not show");
    assert_eq!(reader.read(&log), None);
}

#[test]
fn splits_long_messages() {
    for len in [LOG_TEXT - 1, LOG_TEXT, LOG_TEXT + 1, 3 * LOG_TEXT, 3 * LOG_TEXT + 50] {
        let log = Log::new();
        let text: Vec<u8> = (0..len).map(|n| n as u8).collect();
        LogWriter::new().write(&log, 5, 2, &text);
        let mut reader = LogReader::new();
        let mut found = Vec::new();
        for n in 0..len.div_ceil(LOG_TEXT) {
            let record = record(reader.read(&log));
            assert_eq!(record.continues, u8::from(n > 0));
            assert_eq!((record.tsc, record.level), (5, 2));
            found.extend_from_slice(&record.text[..record.len.into()]);
        }
        assert_eq!(found, text);
        assert_eq!(reader.read(&log), None);
    }
}

#[test]
fn a_record_under_way_is_not_there_yet() {
    let log = Log::new();
    let (mut writer, mut reader) = (LogWriter::new(), LogReader::new());
    writer.write(&log, 1, 1, b"one");
    writer.write(&log, 2, 1, b"two");
    log.records[1].seq.store(0, Ordering::Relaxed);
    assert_eq!(record(reader.read(&log)).seq, 1);
    assert_eq!(reader.read(&log), None, "record 2 is being written");
    log.records[1].seq.store(2, Ordering::Relaxed);
    assert_eq!(record(reader.read(&log)).seq, 2);
}

#[test]
fn a_record_being_overwritten_is_lost() {
    let log = Log::new();
    let (mut writer, mut reader) = (LogWriter::new(), LogReader::new());
    for n in 0..RECORDS as u64 {
        writer.write(&log, n, 1, b"text");
    }
    log.records[0].seq.store(0, Ordering::Relaxed);
    assert_eq!(reader.read(&log), Some(LogItem::Lost(1)));
    assert_eq!(record(reader.read(&log)).seq, 2);
}

#[test]
fn lengths_are_not_believed() {
    let log = Log::new();
    LogWriter::new().write(&log, 1, 1, b"text");
    log.records[0].kind.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(usize::from(record(LogReader::new().read(&log)).len), LOG_TEXT);
}

proptest! {
    /// Bursts of messages, each followed by so many reads.
    #[test]
    fn what_was_read_and_lost_adds_up(
        bursts in prop::collection::vec((0..3 * RECORDS as u64, 0..2 * RECORDS), 1..12),
    ) {
        let log = Log::new();
        let (mut writer, mut reader) = (LogWriter::new(), LogReader::new());
        let (mut written, mut at) = (0_u64, 0_u64);
        for (messages, reads) in bursts {
            for _ in 0..messages {
                written += 1;
                writer.write(&log, written * 7, 3, &written.to_le_bytes());
            }
            for _ in 0..reads {
                match reader.read(&log) {
                    Some(LogItem::Record(record)) => {
                        at += 1;
                        prop_assert_eq!((record.seq, record.tsc), (at, at * 7));
                        prop_assert_eq!(&record.text[..8], &at.to_le_bytes());
                    }
                    Some(LogItem::Lost(count)) => {
                        // Exactly those that are no longer there.
                        prop_assert_eq!(at + count, written - RECORDS as u64);
                        at += count;
                    }
                    None => prop_assert_eq!(at, written),
                }
            }
        }
    }

    /// Numbers that no writer writes: no panic, and an end.
    #[test]
    fn nonsense_comes_to_an_end(
        numbers in prop::collection::vec(
            prop_oneof![Just(0), 1..4 * RECORDS as u64, any::<u64>()],
            RECORDS..=RECORDS,
        ),
    ) {
        let log = Log::new();
        for (record, number) in log.records.iter().zip(numbers) {
            record.seq.store(number, Ordering::Relaxed);
        }
        let mut reader = LogReader::new();
        let items = (0..10 * RECORDS).take_while(|_| reader.read(&log).is_some()).count();
        prop_assert!(items < 10 * RECORDS);
    }
}
