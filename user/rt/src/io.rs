//! Printing to standard output, standard error and the kernel log.

use core::fmt;

use ant_abi::Error;
use ant_abi::syscall::LOG_WRITE_MAX;
use arrayvec::ArrayString;

use crate::linux::Errno;
use crate::{ant, linux};

/// A descriptor that text can be written to; collects a line before it asks Linux.
#[derive(Debug)]
pub struct Writer {
    fd: i32,
    line: arrayvec::ArrayVec<u8, 1024>,
    error: Option<Errno>,
}

impl Writer {
    /// Writes to descriptor `fd`.
    pub const fn new(fd: i32) -> Self {
        Self { fd, line: arrayvec::ArrayVec::new_const(), error: None }
    }

    /// Writes out what has been collected.
    pub fn flush(&mut self) -> fmt::Result {
        let result = linux::write_all(self.fd, &self.line);
        self.line.clear();
        result.map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.line.is_full() {
                self.flush()?;
            }
            self.line.push(byte);
        }
        Ok(())
    }
}

/// Prints to a descriptor; whether all of it got there.
pub fn print(fd: i32, args: fmt::Arguments<'_>) -> bool {
    try_print(fd, args).is_ok()
}

/// As [`print`]; why not.
pub fn try_print(fd: i32, args: fmt::Arguments<'_>) -> linux::Result<()> {
    let mut writer = Writer::new(fd);
    let written = fmt::write(&mut writer, args).and_then(|()| writer.flush());
    // What has no form of its own to print is a fault of the caller's.
    written.map_err(|_| writer.error.unwrap_or(Error::Invalid.into()))
}

/// Writes a line into the kernel log, cut where that cuts.
pub fn log(args: fmt::Arguments<'_>) {
    let mut line = Cut(ArrayString::new());
    // What does not fit is left out; that is no error.
    let _ = fmt::write(&mut line, args);
    ant::log_write(&line.0);
}

/// Takes as much text as fits a line of the log.
struct Cut(ArrayString<LOG_WRITE_MAX>);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.floor_char_boundary(self.0.remaining_capacity());
        self.0.push_str(&text[..room]);
        if room == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Writes a line into the kernel log, which needs no Linux.
#[macro_export]
macro_rules! log {
    ($($arg:tt)*) => { $crate::io::log(format_args!($($arg)*)) };
}

/// Prints a line to standard output; `false` if it did not get there.
#[macro_export]
macro_rules! println {
    ($($arg:tt)*) => { $crate::io::print(1, format_args!("{}\n", format_args!($($arg)*))) };
}

/// Prints a line to standard error; `false` if it did not get there.
#[macro_export]
macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::io::print(2, format_args!("{}\n", format_args!($($arg)*))) };
}
