//! `wc FILE…`: counts lines, words and bytes, and prints them as Linux's `wc` does. Without FILE,
//! or for `-`, it reads standard input.
#![no_std]
#![no_main]

use ant_rt::linux::{self, O_RDONLY};
use ant_rt::{Args, eprintln, io::try_print};
use core::ffi::CStr;

ant_rt::program!(main);

#[derive(Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
}

impl core::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

fn main(args: Args) -> i32 {
    if args.len() < 2 {
        let (counts, read) = count(0);
        let status = read.map_or_else(|error| report("standard input", error), |()| 0);
        return written(print(counts, stdin_width(), ""), status);
    }
    let width = width(args);
    let mut total = Counts::default();
    let mut status = 0;
    let mut printed = Ok(());
    for path in names(args) {
        let name = path.to_str().unwrap_or("?");
        match count_file(path) {
            Ok((counts, read)) => {
                status = read.map_or_else(|error| report(name, error), |()| status);
                total += counts;
                printed = printed.and(print(counts, width, name));
            }
            Err(error) => status = report(name, error),
        }
    }
    if args.len() > 2 {
        printed = printed.and(print(total, width, "total"));
    }
    written(printed, status)
}

/// Says once what went wrong with the output; the exit status, `status` if nothing did.
fn written(printed: linux::Result<()>, status: i32) -> i32 {
    printed.map_or_else(|error| report("write error", error), |()| status)
}

/// GNU's column width: the digits of the files' sizes added up; 7 if one is not an ordinary file.
fn width(args: Args) -> usize {
    names(args).try_fold(0, |sum, path| size(path).map(|size| sum + size)).map_or(7, digits)
}

fn stdin_width() -> usize {
    size(c"-").map_or(7, digits)
}

/// Size of a file, 0 if it is not there, `None` if it is not an ordinary file.
fn size(path: &CStr) -> Option<u64> {
    let stat = if path == c"-" { linux::fstat(0) } else { linux::stat(path) };
    stat.map_or(Some(0), |stat| stat.is_file().then_some(stat.size))
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn names(args: Args) -> impl Iterator<Item = &'static CStr> {
    (1..args.len()).filter_map(move |index| args.get(index))
}

/// As [`count`]; an error of its own if the file cannot be opened.
fn count_file(path: &CStr) -> linux::Result<(Counts, linux::Result<()>)> {
    if path == c"-" {
        return Ok(count(0));
    }
    let fd = linux::open(path, O_RDONLY, 0)?;
    let counted = count(fd);
    linux::close(fd)?;
    Ok(counted)
}

/// What could be counted, and whether that was all. As GNU's, it counts until an error.
fn count(fd: i32) -> (Counts, linux::Result<()>) {
    let mut counts = Counts::default();
    let mut in_word = false;
    let mut buffer = [0; 4096];
    loop {
        let len = match linux::read(fd, &mut buffer) {
            Ok(0) => return (counts, Ok(())),
            Ok(len) => len,
            Err(error) => return (counts, Err(error)),
        };
        counts.bytes += len as u64;
        for &byte in &buffer[..len] {
            counts.lines += u64::from(byte == b'\n');
            // C's isspace: Rust's leaves the vertical tab out.
            let space = byte.is_ascii_whitespace() || byte == 0x0b;
            counts.words += u64::from(!space && !in_word);
            in_word = !space;
        }
    }
}

fn print(counts: Counts, width: usize, name: &str) -> linux::Result<()> {
    let Counts { lines, words, bytes } = counts;
    let gap = if name.is_empty() { "" } else { " " };
    try_print(1, format_args!("{lines:width$} {words:width$} {bytes:width$}{gap}{name}\n"))
}

fn report(name: &str, error: linux::Errno) -> i32 {
    eprintln!("wc: {name}: {error}");
    1
}
