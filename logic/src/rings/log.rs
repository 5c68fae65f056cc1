//! A CPU's kernel log: written by the CPU without waiting, read by Linux at any time.
//!
//! Memory: `ant_abi::log::LogRing`. Each record is a sequence lock of its own: its number is 0
//! while it is written, so a reader never takes half a record, and the writer never looks at a
//! reader. What a slow reader missed it counts exactly, by the numbers.
//!
//! The reader only loads, so a read-only mapping is enough, and trusts nothing: whatever is in the
//! ring, it stays inside and each call ends. Text is UTF-8 only if the writer wrote that.
//!
//! Deliberately absent: formatting, levels' meaning (`ant_abi::log`), where the ring is.

use ant_abi::log::{LOG_TEXT, LogRecord};

use crate::atomic::{AtomicU64, Ordering, fence};

/// Records of a ring.
#[cfg(not(loom))]
pub const RECORDS: usize = ant_abi::log::LOG_RECORDS;
/// Records of a ring: few, so that a model checker meets the overrun soon.
#[cfg(loom)]
pub const RECORDS: usize = 2;

/// Words of text of a record that are used.
#[cfg(not(loom))]
const TEXT_WORDS: usize = LOG_TEXT / 8;
/// Words of text of a record that are used: one, so that a model checker comes to an end.
#[cfg(loom)]
const TEXT_WORDS: usize = 1;

const TEXT: usize = TEXT_WORDS * 8;

/// Numbers from here on are nonsense: no ring lives that long.
const SEQ_LIMIT: u64 = 1 << 63;

const _: () = assert!(RECORDS >= 2 && RECORDS.is_power_of_two());

/// One record. The words are written between two writes of `seq`; see [`LogWriter::write`].
#[derive(Debug)]
#[repr(C)]
struct Record {
    /// Number from 1, 0 while the record is written. Written by the CPU, read by Linux.
    seq: AtomicU64,
    /// Time-stamp counter. Written by the CPU, read by Linux; ordered by `seq`.
    tsc: AtomicU64,
    /// Level, length and continuation in its first three bytes. As `tsc`.
    kind: AtomicU64,
    /// Text. As `tsc`.
    text: [AtomicU64; TEXT_WORDS],
}

/// A log ring in shared memory.
#[derive(Debug)]
#[repr(C)]
pub struct Log {
    records: [Record; RECORDS],
}

#[cfg(not(loom))]
const _: () = {
    use ant_abi::log::LogRing;
    use core::mem::offset_of;
    assert!(size_of::<Log>() == size_of::<LogRing>());
    assert!(size_of::<Record>() == size_of::<LogRecord>());
    assert!(offset_of!(Record, seq) == offset_of!(LogRecord, seq));
    assert!(offset_of!(Record, tsc) == offset_of!(LogRecord, tsc));
    assert!(offset_of!(Record, kind) == offset_of!(LogRecord, level));
    assert!(offset_of!(LogRecord, len) == offset_of!(LogRecord, level) + 1);
    assert!(offset_of!(LogRecord, continues) == offset_of!(LogRecord, level) + 2);
    assert!(offset_of!(Record, text) == offset_of!(LogRecord, text));
};

impl Log {
    /// A ring without records.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            records: [const {
                Record {
                    seq: AtomicU64::new(0),
                    tsc: AtomicU64::new(0),
                    kind: AtomicU64::new(0),
                    text: [const { AtomicU64::new(0) }; TEXT_WORDS],
                }
            }; RECORDS],
        }
    }

    /// A ring without records.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            records: core::array::from_fn(|_| Record {
                seq: AtomicU64::new(0),
                tsc: AtomicU64::new(0),
                kind: AtomicU64::new(0),
                text: core::array::from_fn(|_| AtomicU64::new(0)),
            }),
        }
    }

    /// Where record `seq` is.
    fn record(&self, seq: u64) -> &Record {
        &self.records[(seq.wrapping_sub(1) % RECORDS as u64) as usize]
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// The writing end of a CPU's log. There is one for each ring.
#[derive(Debug)]
pub struct LogWriter {
    /// Number of the next record. Here and not in the ring, so no other can change it.
    next: u64,
}

impl LogWriter {
    /// The writer of a ring in which nothing has been written.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 1 }
    }

    /// Writes a message, over as many records as it needs. Never waits; old records go.
    pub fn write(&mut self, ring: &Log, tsc: u64, level: u8, text: &[u8]) {
        let mut rest = text;
        let mut continues = 0;
        loop {
            let (part, tail) = rest.split_at(rest.len().min(TEXT));
            self.write_record(ring, tsc, [level, part.len() as u8, continues], part);
            if tail.is_empty() {
                return;
            }
            rest = tail;
            continues = 1;
        }
    }

    fn write_record(&mut self, ring: &Log, tsc: u64, kind: [u8; 3], text: &[u8]) {
        let seq = self.next;
        self.next += 1;
        let record = ring.record(seq);
        record.seq.store(0, Ordering::Relaxed);
        // Release: a reader that sees any of the words below and then passes its Acquire fence
        // sees the 0 above, or what came later.
        fence(Ordering::Release);
        record.tsc.store(tsc, Ordering::Relaxed);
        let [level, len, continues] = kind;
        let kind = u64::from_le_bytes([level, len, continues, 0, 0, 0, 0, 0]);
        record.kind.store(kind, Ordering::Relaxed);
        for (word, bytes) in record.text.iter().zip(text.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        // Release: pairs with the reader's first Acquire fence, which then sees the words above.
        record.seq.store(seq, Ordering::Release);
    }
}

impl Default for LogWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// The next record. `len` is at most `LOG_TEXT`, the text beyond it and `reserved` are zero;
    /// everything else is as the CPU wrote it.
    Record(LogRecord),
    /// So many records were overwritten before they could be read.
    Lost(u64),
}

/// A reading end of a CPU's log. Readers do not disturb each other.
#[derive(Clone, Debug)]
pub struct LogReader {
    /// Number of the record to read next. Every number below it was read or counted as lost.
    next: u64,
}

impl LogReader {
    /// A reader that begins with the first record ever written.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 1 }
    }

    /// Takes the next record, or says how many are lost, or `None` if there is nothing new.
    ///
    /// Each call ends. Over a ring that is not written, `None` comes after finitely many items; over
    /// one that is written faster than it is read it need not, so bound the loop.
    pub fn read(&mut self, ring: &Log) -> Option<LogItem> {
        let mut lost = 0;
        // One look is not enough: where the lost ones were is seen one by one.
        for _ in 0..RECORDS {
            match self.look(ring) {
                Some(LogItem::Lost(count)) => {
                    self.next += count;
                    lost += count;
                }
                Some(LogItem::Record(_)) if lost > 0 => break,
                Some(record) => {
                    self.next += 1;
                    return Some(record);
                }
                None => break,
            }
        }
        (lost > 0).then_some(LogItem::Lost(lost))
    }

    /// What is where record `next` must be.
    fn look(&self, ring: &Log) -> Option<LogItem> {
        let record = ring.record(self.next);
        let seq = load_acquire(&record.seq);
        if seq == self.next
            && let Some(found) = take(record, seq)
        {
            return Some(LogItem::Record(found));
        }
        // Again: it may be another by now.
        self.count_lost(ring, load_acquire(&record.seq)).map(LogItem::Lost)
    }

    /// How many records from `next` on are gone, judging by `seq`, the number where `next` would
    /// be; `None` if `next` has not been written yet, or if the number is nonsense.
    fn count_lost(&self, ring: &Log, seq: u64) -> Option<u64> {
        if seq == 0 {
            // Either `next` is being written, or its successor in the same place. In the latter
            // case the neighbour has been written since.
            let neighbour = load_acquire(&ring.record(self.next + 1).seq);
            return (neighbour > self.next && neighbour < SEQ_LIMIT).then_some(1);
        }
        let behind = seq.checked_sub(self.next)?;
        if behind == 0 || seq >= SEQ_LIMIT || !behind.is_multiple_of(RECORDS as u64) {
            return None;
        }
        // `seq - RECORDS` was here before `seq`; the oldest that may still be there is the one
        // after it.
        Some(behind - RECORDS as u64 + 1)
    }
}

impl Default for LogReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Loads a number so that what was written before it is seen after it.
///
/// A relaxed load and a fence, because only relaxed loads are sure to work on read-only memory.
fn load_acquire(seq: &AtomicU64) -> u64 {
    let seq = seq.load(Ordering::Relaxed);
    // Acquire: pairs with the Release store of the number.
    fence(Ordering::Acquire);
    seq
}

/// Copies the record if it is number `seq` from the first word to the last.
fn take(record: &Record, seq: u64) -> Option<LogRecord> {
    let tsc = record.tsc.load(Ordering::Relaxed);
    let [level, len, continues, ..] = record.kind.load(Ordering::Relaxed).to_le_bytes();
    let mut text = [0; LOG_TEXT];
    for (bytes, word) in text.chunks_exact_mut(8).zip(&record.text) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    // Acquire: pairs with the writer's Release fence. If any word above was of a later record, the
    // number below is no longer `seq`.
    fence(Ordering::Acquire);
    if record.seq.load(Ordering::Relaxed) != seq {
        return None;
    }
    let len = len.min(TEXT as u8);
    text[usize::from(len)..].fill(0);
    Some(LogRecord { seq, tsc, level, len, continues, reserved: [0; 5], text })
}

#[cfg(all(test, not(loom)))]
mod tests;
