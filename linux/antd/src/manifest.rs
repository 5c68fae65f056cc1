//! The manifest: which OS servers there are. TOML, read when AnT boots; what is wrong is said with its line,
//! before any CPU is taken.
//!
//! `user/servers/manifest.toml` says what each key means. The programs that it names are read by
//! [`crate::bundle`].

use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ant_abi::boot::TableSizes;
use ant_abi::bundle::{
    BUNDLE_SERVERS, BundleServer, GRANTS_MAX, HANDLE_INIT, HANDLE_NAME, HANDLE_OWN,
    STATE_PAGES_MAX, USES_MAX,
};
use ant_abi::ipc::{DeviceGrant, GRANT_INTERRUPT, GRANT_MEMORY, GRANT_PORTS, PRIORITIES};
use ant_abi::syscall::NAME_LEN;
use ant_logic::bundle::{INTERRUPT_BITS, ica_pages_max, is_name};
use ant_logic::supervise::TRIES_MAX;
use ant_protocol::{MANIFEST, program};
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;
use zerocopy::FromZeros;

/// Largest manifest, in bytes.
const LEN_MAX: u64 = 256 << 10;
/// ICA pages of a server without a number in its entry.
const ICA_PAGES_USUAL: u32 = 16;

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("cannot read the manifest {}: {error}; name another with --manifest", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {what}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// In which line, 1 being the first.
        line: usize,
        /// What, and what to do.
        what: String,
    },
}

/// A manifest that has been checked.
#[derive(Debug)]
pub struct Manifest {
    /// Where it was read from.
    path: PathBuf,
    /// Its servers, the name service first.
    pub servers: Vec<ManifestServer>,
}

/// One server.
#[derive(Debug)]
pub struct ManifestServer {
    /// All that the bundle says of it but where its program is.
    pub record: BundleServer,
    /// Its program, as the manifest names it.
    pub program: String,
    /// The line that names the program.
    pub line: usize,
}

impl Manifest {
    /// Reads and checks a manifest, for a partition with tables of these sizes.
    ///
    /// # Errors
    ///
    /// It cannot be read, or the first thing that is wrong.
    pub fn read(path: &Path, tables: &TableSizes) -> Result<Self, ManifestError> {
        let unreadable = |error| ManifestError::Read { path: path.into(), error };
        let bytes = program::read_file(path, LEN_MAX).map_err(unreadable)?;
        let invalid =
            |error| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        Self::parse(path, &String::from_utf8(bytes).map_err(invalid)?, tables)
    }

    fn parse(path: &Path, text: &str, tables: &TableSizes) -> Result<Self, ManifestError> {
        let lines = Lines(text);
        let servers = parse(text).and_then(|file| check(&file, lines, tables));
        servers.map(|servers| Self { path: path.into(), servers }).map_err(|fault| {
            ManifestError::Wrong {
                path: path.into(),
                line: lines.of(&fault.span),
                what: fault.what,
            }
        })
    }

    /// The error that a line of it is wrong.
    #[must_use]
    pub fn wrong(&self, line: usize, what: String) -> ManifestError {
        ManifestError::Wrong { path: self.path.clone(), line, what }
    }
}

/// What the file can say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    server: Vec<ServerEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    name: Spanned<String>,
    program: Spanned<String>,
    priority: Spanned<u32>,
    cpu: u32,
    state_pages: Option<Spanned<u32>>,
    ica_pages: Option<Spanned<u32>>,
    #[serde(default)]
    uses: Vec<Spanned<String>>,
    #[serde(default)]
    ports: Vec<Spanned<RangeEntry>>,
    #[serde(default)]
    memory: Vec<Spanned<RangeEntry>>,
    #[serde(default)]
    interrupts: Vec<Spanned<InterruptEntry>>,
    restart: RestartEntry,
    watch: Option<WatchEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeEntry {
    start: u64,
    len: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterruptEntry {
    line: u64,
    bit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartEntry {
    tries: Spanned<u32>,
    within_ms: Spanned<u64>,
    delay_ms: Spanned<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchEntry {
    every_ms: Spanned<u64>,
    answer_ms: Spanned<u64>,
}

/// What is wrong, and where.
#[derive(Debug)]
struct Fault {
    span: Range<usize>,
    what: String,
}

impl Fault {
    fn new<T>(at: &Spanned<T>, what: impl Display) -> Self {
        Self { span: at.span(), what: what.to_string() }
    }
}

/// Fails with what `otherwise` says of `at`, unless it holds.
fn ensure<T>(
    holds: bool,
    at: &Spanned<T>,
    otherwise: impl FnOnce() -> String,
) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::new(at, otherwise())) }
}

#[derive(Clone, Copy)]
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The line in which a span begins.
    fn of(self, span: &Range<usize>) -> usize {
        let before = self.0.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn parse(text: &str) -> Result<ManifestFile, Fault> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let what = error.message().trim_end();
        Fault { span, what: format!("{what}; the comments in {MANIFEST} say what there can be") }
    })
}

fn check(
    file: &ManifestFile,
    lines: Lines<'_>,
    tables: &TableSizes,
) -> Result<Vec<ManifestServer>, Fault> {
    let entries = &file.server;
    let names = Names(entries);
    if let Some(surplus) = entries.get(BUNDLE_SERVERS) {
        let what = format!(
            "this is server {}, and AnT has room for {BUNDLE_SERVERS}: leave some out",
            BUNDLE_SERVERS + 1
        );
        return Err(Fault::new(&surplus.name, what));
    }
    names.check()?;
    check_ica_pages(entries, ica_pages_max(tables.ica_pages))?;
    check_devices(entries)?;
    let server = |(index, entry): (usize, &ServerEntry)| {
        let (program, line) = (entry.program.get_ref().clone(), lines.of(&entry.program.span()));
        Ok(ManifestServer { record: entry.record(index, &names)?, program, line })
    };
    entries.iter().enumerate().map(server).collect()
}

/// The servers, by name.
struct Names<'a>(&'a [ServerEntry]);

impl Names<'_> {
    fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|entry| entry.name.get_ref() == name)
    }

    fn check(&self) -> Result<(), Fault> {
        for (index, entry) in self.0.iter().enumerate() {
            let name = entry.name.get_ref();
            ensure(name.len() <= NAME_LEN, &entry.name, || {
                format!("the name {name:?} is too long: choose one of at most {NAME_LEN} bytes")
            })?;
            ensure(is_name(name), &entry.name, || {
                format!(
                    "{name:?} cannot be a name: letters, digits and signs but `=`, no blanks, not \
                     `{HANDLE_INIT}` and not `{HANDLE_OWN}`, which every server has"
                )
            })?;
            ensure(self.index_of(name) == Some(index), &entry.name, || {
                format!("there is a server `{name}` already: give one of them another name")
            })?;
            ensure(index > 0 || name == HANDLE_NAME, &entry.name, || {
                format!("the first server must be the name service, `{HANDLE_NAME}`: put it first")
            })?;
        }
        Ok(())
    }
}

/// The servers can have `most` ICA pages together.
fn check_ica_pages(entries: &[ServerEntry], most: u64) -> Result<(), Fault> {
    let mut sum = 0;
    for entry in entries {
        sum += u64::from(entry.ica_pages());
        let at = entry.ica_pages.as_ref().map_or(entry.name.span(), Spanned::span);
        if sum > most {
            let what = format!(
                "with `{}`, the servers want {sum} ICA pages, and can have {most} together: \
                 lower their `ica_pages`",
                entry.name.get_ref()
            );
            return Err(Fault { span: at, what });
        }
    }
    Ok(())
}

fn check_devices(entries: &[ServerEntry]) -> Result<(), Fault> {
    for (index, entry) in entries.iter().enumerate() {
        for other in &entries[..index] {
            if let Some(span) = entry.shared_device(other) {
                let (name, other) = (entry.name.get_ref(), other.name.get_ref());
                let what =
                    format!("`{other}` and `{name}` want one device: take it from one of them");
                return Err(Fault { span, what });
            }
        }
    }
    Ok(())
}

impl ServerEntry {
    fn ica_pages(&self) -> u32 {
        self.ica_pages.as_ref().map_or(ICA_PAGES_USUAL, |pages| *pages.get_ref())
    }

    /// Where it wants a device that another wants, too.
    fn shared_device(&self, other: &Self) -> Option<Range<usize>> {
        let meeting = |ours: &[Spanned<RangeEntry>], theirs: &[Spanned<RangeEntry>]| {
            let meets = |range: &&Spanned<RangeEntry>| {
                theirs.iter().any(|other| range.get_ref().meets(*other.get_ref()))
            };
            ours.iter().find(meets).map(Spanned::span)
        };
        let is_taken = |ours: &&Spanned<InterruptEntry>| {
            let mut lines = other.interrupts.iter().map(|theirs| theirs.get_ref().line);
            lines.any(|line| line == ours.get_ref().line)
        };
        meeting(&self.ports, &other.ports)
            .or_else(|| meeting(&self.memory, &other.memory))
            .or_else(|| self.interrupts.iter().find(is_taken).map(Spanned::span))
    }

    /// What the bundle says of it, which is server `index`.
    fn record(&self, index: usize, names: &Names<'_>) -> Result<BundleServer, Fault> {
        let mut record = BundleServer::new_zeroed();
        let name = self.name.get_ref();
        record.name[..name.len()].copy_from_slice(name.as_bytes());
        record.priority = at_most(&self.priority, PRIORITIES as u32 - 1, "a priority")?;
        record.cpu = self.cpu;
        if let Some(pages) = &self.state_pages {
            record.state_pages = at_most(pages, STATE_PAGES_MAX, "`state_pages`")?;
        }
        record.ica_pages = self.ica_pages();
        record.tries = at_most(&self.restart.tries, TRIES_MAX, "`tries`")?;
        record.within_us = microseconds(&self.restart.within_ms)?;
        record.delay_us = microseconds(&self.restart.delay_ms)?;
        if let Some(WatchEntry { every_ms, answer_ms }) = &self.watch {
            for time in [every_ms, answer_ms] {
                ensure(*time.get_ref() > 0, time, || "a watch needs at least 1 ms".into())?;
            }
            record.watch_every_us = microseconds(every_ms)?;
            record.watch_answer_us = microseconds(answer_ms)?;
        }
        record.uses = self.used(index, names)?;
        self.grant(&mut record)?;
        Ok(record)
    }

    /// Those that it uses, as bits.
    fn used(&self, index: usize, names: &Names<'_>) -> Result<u32, Fault> {
        let mut bits = 0;
        for (count, used) in self.uses.iter().enumerate() {
            let name = used.get_ref();
            let target = names.index_of(name).ok_or_else(|| {
                let what =
                    format!("there is no server `{name}` to use: describe it, or leave it out");
                Fault::new(used, what)
            })?;
            ensure(target != index, used, || {
                format!("`{name}` needs not name itself: it has a handle `{HANDLE_OWN}`")
            })?;
            ensure(bits & (1 << target) == 0, used, || {
                format!("`{name}` is named twice: once is enough")
            })?;
            ensure(count < USES_MAX, used, || {
                format!("a server can use {USES_MAX} others at most: leave some out")
            })?;
            bits |= 1 << target;
        }
        Ok(bits)
    }

    fn grant(&self, record: &mut BundleServer) -> Result<(), Fault> {
        let range = |kind, range: &Spanned<RangeEntry>| {
            let RangeEntry { start, len } = *range.get_ref();
            (range.span(), DeviceGrant { kind, reserved: 0, start, len })
        };
        let interrupt = |interrupt: &Spanned<InterruptEntry>| {
            let InterruptEntry { line, bit } = *interrupt.get_ref();
            let grant = DeviceGrant { kind: GRANT_INTERRUPT, reserved: 0, start: line, len: bit };
            (interrupt.span(), grant)
        };
        let ports = self.ports.iter().map(|ports| range(GRANT_PORTS, ports));
        let memory = self.memory.iter().map(|memory| range(GRANT_MEMORY, memory));
        for (span, grant) in ports.chain(memory).chain(self.interrupts.iter().map(interrupt)) {
            if grant.kind == GRANT_INTERRUPT && grant.len >= INTERRUPT_BITS {
                let what = format!("an interrupt's `bit` must be 0 to {}", INTERRUPT_BITS - 1);
                return Err(Fault { span, what });
            }
            let count = record.grant_count as usize;
            let Some(place) = record.grants.get_mut(count) else {
                let what =
                    format!("a server can have {GRANTS_MAX} ranges and interrupts: leave some out");
                return Err(Fault { span, what });
            };
            *place = grant;
            record.grant_count += 1;
        }
        Ok(())
    }
}

impl RangeEntry {
    fn meets(self, other: Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}

fn at_most(number: &Spanned<u32>, most: u32, what: &str) -> Result<u32, Fault> {
    let value = *number.get_ref();
    ensure(value <= most, number, || format!("{what} must be 0 to {most}, not {value}"))?;
    Ok(value)
}

fn microseconds(ms: &Spanned<u64>) -> Result<u64, Fault> {
    let value = *ms.get_ref();
    value.checked_mul(1000).ok_or_else(|| Fault::new(ms, format!("{value} ms are too long")))
}

#[cfg(test)]
mod tests;
