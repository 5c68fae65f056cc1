//! AnT's kernel log: drained from the CPUs' rings and merged; the last lines are kept.
//!
//! It outlives the partition, for it says why AnT ended.

use std::collections::VecDeque;

use ant_abi::log::{LEVEL_ERROR, LEVEL_WARN};
use ant_dev::SharedArea;
use ant_logic::rings::log::{LogItem, LogReader};
use ant_protocol::{Level, LogLine};

use crate::text::printable;

/// Lines that are kept.
pub const LINES_MAX: usize = 10_000;
/// Items taken from one CPU at a time: one that writes without end must not block the daemon.
const ITEMS_MAX: usize = 512;
/// Longest message.
const MESSAGE_MAX: usize = 1024;

/// A message that may go on in the next record.
#[derive(Debug)]
struct Partial {
    tsc: u64,
    level: u8,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Cpu {
    cpu: u32,
    reader: LogReader,
    partial: Option<Partial>,
}

/// The kept log.
#[derive(Debug, Default)]
pub struct LogBook {
    lines: VecDeque<LogLine>,
    /// Lines ever written.
    total: u64,
    cpus: Vec<Cpu>,
    tsc_start: u64,
    tsc_khz: u32,
}

impl LogBook {
    /// A partition begins: its CPUs, the time-stamp counter now, and its frequency.
    pub fn begin(&mut self, cpus: &[u32], tsc_start: u64, tsc_khz: u32) {
        let log_of = |&cpu| Cpu { cpu, reader: LogReader::new(), partial: None };
        self.cpus = cpus.iter().map(log_of).collect();
        self.tsc_start = tsc_start;
        self.tsc_khz = tsc_khz.max(1);
    }

    /// Takes new records from the rings.
    pub fn drain(&mut self, shared: &SharedArea) {
        let mut fresh = Vec::new();
        for index in 0..self.cpus.len() {
            self.drain_cpu(shared, index, &mut fresh);
        }
        fresh.sort_by_key(|&(tsc, _)| tsc);
        for (_, line) in fresh {
            self.push(line);
        }
    }

    fn drain_cpu(&mut self, shared: &SharedArea, index: usize, fresh: &mut Vec<(u64, LogLine)>) {
        for _ in 0..ITEMS_MAX {
            let cpu = &mut self.cpus[index];
            match shared.read_log(index as u32, &mut cpu.reader) {
                None => break,
                Some(LogItem::Lost(records)) => {
                    let text = format!("({records} records lost)");
                    let tsc = fresh.last().map_or(self.tsc_start, |&(tsc, _)| tsc);
                    let lost = Partial { tsc, level: LEVEL_WARN, bytes: text.into_bytes() };
                    let before = cpu.partial.replace(lost);
                    self.finish(index, before, fresh);
                }
                Some(LogItem::Record(record)) => {
                    let text = &record.text[..usize::from(record.len)];
                    match &mut cpu.partial {
                        Some(partial) if record.continues != 0 => {
                            let room = MESSAGE_MAX.saturating_sub(partial.bytes.len());
                            partial.bytes.extend(&text[..text.len().min(room)]);
                        }
                        _ => {
                            let (tsc, level) = (record.tsc, record.level);
                            let next = Partial { tsc, level, bytes: text.to_vec() };
                            let before = cpu.partial.replace(next);
                            self.finish(index, before, fresh);
                        }
                    }
                }
            }
        }
        // The records of one message are written in a row: what is missing now does not follow.
        let last = self.cpus[index].partial.take();
        self.finish(index, last, fresh);
    }

    fn finish(&self, index: usize, message: Option<Partial>, fresh: &mut Vec<(u64, LogLine)>) {
        let Some(Partial { tsc, level, bytes }) = message else { return };
        let since = tsc.saturating_sub(self.tsc_start);
        let level = match level {
            LEVEL_ERROR => Level::Error,
            LEVEL_WARN => Level::Warn,
            _ => Level::Info,
        };
        fresh.push((
            tsc,
            LogLine {
                seconds: since as f64 / (f64::from(self.tsc_khz) * 1000.0),
                cpu: self.cpus[index].cpu,
                level,
                text: printable(&bytes),
            },
        ));
    }

    fn push(&mut self, line: LogLine) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.total += 1;
    }

    /// Number of the line that will be written next.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.total
    }

    /// Some of the kept lines from number `from` on, of about `most` bytes, and the number of the first.
    pub fn packet(&self, from: u64, most: usize) -> (u64, Vec<LogLine>) {
        let first = from.max(self.total - self.lines.len() as u64);
        let mut bytes = 0;
        let fits = |line: &&LogLine| {
            let room = bytes < most;
            bytes += line.text.len() + size_of::<LogLine>();
            room
        };
        (first, self.since(first).take_while(fits).cloned().collect())
    }

    /// The kept lines from number `from` on.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &LogLine> {
        let first = self.total - self.lines.len() as u64;
        self.lines.iter().skip(from.saturating_sub(first) as usize)
    }

    /// The last error line, from number `from` on.
    #[must_use]
    pub fn last_error(&self, from: u64) -> Option<&LogLine> {
        self.since(from).filter(|line| line.level == Level::Error).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ant_abi::boot::TableSizes;
    use ant_abi::log::{LEVEL_INFO, LOG_TEXT};
    use ant_dev::{Device, PartitionRequest};
    use ant_logic::rings::log::LogWriter;
    use ant_loopback::{Ant, Loopback, TSC_KHZ};

    const MEMORY: u64 = 16 << 20;

    fn book() -> (LogBook, SharedArea, Ant) {
        let (device, ant) = Loopback::new(MEMORY).unwrap();
        let request = PartitionRequest {
            cpus: vec![4, 5],
            memory: MEMORY,
            flags: 0,
            tables: TableSizes::USUAL,
        };
        let shared = device.create(&request).unwrap().shared().unwrap();
        let mut book = LogBook::default();
        book.begin(&[4, 5], 0, TSC_KHZ);
        (book, shared, ant)
    }

    #[test]
    fn lines_of_all_cpus_are_merged_by_time() {
        let (mut book, shared, ant) = book();
        let (mut a, mut b) = (LogWriter::new(), LogWriter::new());
        ant.log(0, &mut a, 1_000_000_000, LEVEL_INFO, "first");
        ant.log(0, &mut a, 3_000_000_000, LEVEL_ERROR, "third");
        ant.log(1, &mut b, 2_000_000_000, LEVEL_WARN, "second");
        book.drain(&shared);
        let texts: Vec<_> = book.since(0).map(|line| (line.cpu, line.text.as_str())).collect();
        assert_eq!(texts, [(4, "first"), (5, "second"), (4, "third")]);
        assert_eq!(book.since(0).next().unwrap().seconds, 1.0);
        assert_eq!(book.last_error(0).unwrap().text, "third");
        book.drain(&shared);
        assert_eq!(book.end(), 3, "nothing twice");
    }

    #[test]
    fn a_long_message_is_one_line_and_lost_records_are_counted() {
        let (mut book, shared, ant) = book();
        let mut writer = LogWriter::new();
        let long = "x".repeat(LOG_TEXT * 2 + 5);
        ant.log(0, &mut writer, 1, LEVEL_INFO, &long);
        ant.log(0, &mut writer, 2, LEVEL_INFO, "next");
        book.drain(&shared);
        let texts: Vec<_> = book.since(0).map(|line| line.text.len()).collect();
        assert_eq!(texts, [long.len(), 4]);
        for n in 0..300 {
            ant.log(0, &mut writer, 3 + n, LEVEL_INFO, "flood");
        }
        book.drain(&shared);
        let lost: Vec<_> = book.since(2).filter(|line| line.text.contains("lost")).collect();
        assert_eq!(lost.len(), 1);
        assert!(lost[0].text.starts_with("(17"), "{}", lost[0].text);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut book = LogBook::default();
        for n in 0..LINES_MAX as u32 + 5 {
            let text = n.to_string();
            book.push(LogLine { seconds: 0.0, cpu: 0, level: Level::Info, text });
        }
        assert_eq!(book.since(0).count(), LINES_MAX);
        assert_eq!(book.since(0).next().unwrap().text, "5");
        assert_eq!(book.since(book.end() - 1).count(), 1);
        assert_eq!(book.since(book.end()).count(), 0);
    }
}
