//! The servers that fail, and clients that ask each for everything that it does.

use super::SOON;
use crate::ant;
use crate::com2::Line;
use crate::guest::{Background, TestGuest};
use ant_abi::syscall::Sysnum;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

pub const LINE: Line = Line("every_call");

/// What is said on the console: it begins and ends with what is nowhere else there.
const SHORT: &str = "<words>";
/// More than the words of a message have room for: it goes in a page that is lent.
const LONG: &str = "<in a page that is lent>";
/// What is typed. No byte alone marks its end: one can be lost.
const TYPED: &str = "typed\n\n";
/// What is said by those who only read.
const READER: &str = "<?>\r\n";
/// With which a console begins.
const HELLO: &str = "AnT: serial console, generation ";

/// A server.
pub struct Subject {
    pub name: &'static str,
    /// Its program, for `antctl server replace`.
    pub program: &'static str,
    /// System calls that it makes when it serves a client.
    pub serves: &'static [Sysnum],
    /// System calls that it makes when it starts.
    pub starts: &'static [Sysnum],
    client: for<'a> fn(&'a TestGuest, u32, &'static str) -> Result<Client<'a>>,
}

pub const NAME: Subject = Subject {
    name: "name",
    program: "/usr/lib/ant/servers/ant-name",
    serves: &[Sysnum::IpcReplyReceive, Sysnum::IpcCall, Sysnum::IpcNotify, Sysnum::HandleClose],
    starts: &[Sysnum::IpcCall, Sysnum::IpcNotify],
    client: |guest, cpu, _| {
        let program = ant::start(guest, &format!("--cpu {cpu} -- victim names a b"));
        Ok(Client { guest, program, asked: Asked::Names })
    },
};

pub const SERIAL: Subject = Subject {
    name: "serial",
    program: "/usr/lib/ant/servers/ant-serial",
    serves: &[Sysnum::IpcReplyReceive, Sysnum::IpcReceive, Sysnum::PortRead, Sysnum::PortWrite],
    starts: &[Sysnum::IpcCall, Sysnum::IpcNotify, Sysnum::PortRead, Sysnum::PortWrite],
    client: |guest, cpu, typed| {
        let text = if cpu == 1 { SHORT } else { LONG };
        let from = console()?.len();
        let mut line = LINE.open()?;
        line.write_all(typed.as_bytes())?;
        let program = ant::start(guest, &format!("--cpu {cpu} -- say '{text}'"));
        Ok(Client { guest, program, asked: Asked::Line { text, from, line, typed } })
    },
};

/// A client at work.
pub struct Client<'a> {
    guest: &'a TestGuest,
    program: Background<'a>,
    asked: Asked,
}

enum Asked {
    Names,
    /// It says this, the console had so many bytes before, and what was typed may still be on its way.
    Line {
        text: &'static str,
        from: usize,
        line: UnixStream,
        typed: &'static str,
    },
}

impl Subject {
    /// Starts a client; somebody types, if there is a line.
    pub fn begin<'a>(&self, guest: &'a TestGuest, cpu: u32) -> Result<Client<'a>> {
        (self.client)(guest, cpu, TYPED)
    }

    /// As [`Subject::begin`], but nobody types: the server makes as many calls each time.
    pub fn begin_quietly<'a>(&self, guest: &'a TestGuest, cpu: u32) -> Result<Client<'a>> {
        (self.client)(guest, cpu, "")
    }
}

impl Client<'_> {
    /// Waits for its end. It was served as the interface promises, while the server ended at most so
    /// many times.
    pub fn await_served(self, ends: usize) -> Result<()> {
        let output = self.program.wait(SOON)?;
        ensure!(output.status == 0 && output.stderr.is_empty(), "{output:?}");
        match self.asked {
            Asked::Names => has_all_names(&output.stdout),
            Asked::Line { text, from, line, typed } => {
                has_heard(self.guest, output.stdout, typed)?;
                drop(line);
                has_said(text, from, ends)
            }
        }
    }
}

/// What `victim names a b` prints.
fn has_all_names(printed: &str) -> Result<()> {
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    let expected = [
        "a: leads here: true",
        "a: leads here: true",
        "b: leads here: true",
        "nobody: Err(NoEntry)",
        "there is a",
        "there is absent",
        "there is b",
        "there is serial",
        "there is victim",
    ];
    ensure!(lines == expected, "{lines:?}");
    Ok(())
}

/// What was typed was read, by one or the next client: all of it and once, but that one byte may be
/// lost.
fn has_heard(guest: &TestGuest, mut heard: String, typed: &str) -> Result<()> {
    let deadline = Instant::now() + SOON;
    // One end that is left over from before is none.
    while !typed.is_empty() && !heard.trim_start_matches('\n').ends_with('\n') {
        ensure!(Instant::now() < deadline, "heard {heard:?}");
        heard += &guest.succeed("antctl run -- say '<?>'")?;
    }
    let (heard, typed) = (heard.trim_matches('\n'), typed.trim_matches('\n'));
    let without = |gap: usize| typed[..gap].to_owned() + &typed[gap + 1..];
    let fits = heard == typed || (0..typed.len()).any(|gap| heard == without(gap));
    ensure!(fits, "heard {heard:?}");
    Ok(())
}

fn console() -> Result<String> {
    let bytes = fs::read(LINE.console()).context("no console")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The console has the text, whole, in the end; once more for each time that the server has ended, then
/// in part, if it is said in part only.
fn has_said(text: &str, from: usize, ends: usize) -> Result<()> {
    let deadline = Instant::now() + SOON;
    let whole = format!("{text}\r\n");
    loop {
        let console = console()?;
        let said = &console[from..];
        if said.contains(&whole) {
            return are_its_pieces(said, &whole, ends).with_context(|| format!("{said:?}"));
        }
        ensure!(Instant::now() < deadline, "no {text} in {said:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether what was said is the text, pieces of it, of greetings, and of those who only read.
fn are_its_pieces(said: &str, whole: &str, ends: usize) -> Result<()> {
    let starts = said.char_indices().filter(|(_, char)| matches!(char, '<' | 'A'));
    let starts: Vec<_> = starts.map(|(at, _)| at).chain([said.len()]).collect();
    ensure!(starts[0] == 0, "not from the beginning");
    let pieces = starts.windows(2).map(|pair| &said[pair[0]..pair[1]]);
    let others = |piece: &&str| !is_greeting(piece) && *piece != READER;
    let texts: Vec<_> = pieces.filter(others).collect();
    let known = |piece: &&str| whole.starts_with(piece) || READER.starts_with(piece);
    ensure!(texts.iter().all(known) && texts.len() <= 1 + ends, "{texts:?}");
    Ok(())
}

/// Whether this is the beginning of what a server says when it starts.
fn is_greeting(piece: &str) -> bool {
    match piece.strip_prefix(HELLO) {
        Some(rest) => "\r\n".starts_with(rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => HELLO.starts_with(piece),
    }
}
