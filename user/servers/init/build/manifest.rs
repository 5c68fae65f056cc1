//! What the manifest can say, and the Rust that it becomes.

use std::fmt::Write;
use std::path::PathBuf;

use ant_abi::ipc::{GRANT_INTERRUPT, GRANT_MEMORY, GRANT_PORTS, NOTIFY_RETIRE, PRIORITIES};
use ant_abi::layout::ICA_PAGES;
use ant_abi::syscall::NAME_LEN;
use ant_core::restart::TRIES_MAX;
use serde::Deserialize;

/// Servers that there can be: each has a notification bit.
const SERVERS_MAX: usize = NOTIFY_RETIRE.trailing_zeros() as usize;

/// ICA pages that all servers together can have kept for them.
const ICA_KEPT_MAX: u32 = ICA_PAGES as u32 / 2;

/// The whole manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    server: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    name: String,
    program: String,
    priority: u32,
    core: u32,
    #[serde(default)]
    state_pages: u32,
    #[serde(default = "ica_pages_usual")]
    ica_pages: u32,
    #[serde(default)]
    ports: Vec<Range>,
    #[serde(default)]
    memory: Vec<Range>,
    #[serde(default)]
    interrupts: Vec<Interrupt>,
    restart: Restart,
    watch: Option<Watch>,
}

const fn ica_pages_usual() -> u32 {
    16
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    start: u64,
    len: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interrupt {
    line: u64,
    bit: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restart {
    tries: u32,
    within_ms: u64,
    delay_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    every_ms: u64,
    answer_ms: u64,
}

impl Manifest {
    /// Reads and checks it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The table of `src/manifest.rs`; `program` finds the file of a package's program.
    pub fn table(
        &self,
        program: impl Fn(&str) -> Result<PathBuf, String>,
    ) -> Result<String, String> {
        let servers = self.server.iter().map(|server| server.line(program(&server.program)?));
        Ok(format!("[\n{}]\n", servers.collect::<Result<String, String>>()?))
    }

    fn check(&self) -> Result<(), String> {
        let names: Vec<_> = self.server.iter().map(|server| server.name.as_str()).collect();
        ensure(names.first() == Some(&"name"), "the first server must be `name`")?;
        ensure(names.len() <= SERVERS_MAX, "too many servers")?;
        let ica: u32 = self.server.iter().map(|server| server.ica_pages).sum();
        ensure(ica <= ICA_KEPT_MAX, "its servers want more than half of the ICA")?;
        for (index, name) in names.iter().enumerate() {
            ensure(!names[..index].contains(name), &format!("`{name}` is there twice"))?;
        }
        for (index, server) in self.server.iter().enumerate() {
            let others = &self.server[..index];
            let rival = others.iter().find(|other| server.wants_what_is_of(other));
            let rival = rival.map_or("", |other| &other.name);
            ensure(rival.is_empty(), &format!("`{rival}` and `{}` want one device", server.name))?;
        }
        self.server.iter().try_for_each(|server| {
            server.check().map_err(|error| format!("server `{}`: {error}", server.name))
        })
    }
}

impl Server {
    fn check(&self) -> Result<(), String> {
        ensure((1..=NAME_LEN).contains(&self.name.len()), "its name needs 1 to 24 bytes")?;
        ensure((self.priority as usize) < PRIORITIES, "its priority must be 0 to 7")?;
        ensure(self.restart.tries <= TRIES_MAX, "it can have 16 tries at most")?;
        let bits_exist =
            self.interrupts.iter().all(|interrupt| (interrupt.bit as usize) < SERVERS_MAX);
        ensure(bits_exist, "an interrupt's notification bit must be 0 to 46")
    }

    /// Whether a device of it is another server's, too.
    fn wants_what_is_of(&self, other: &Self) -> bool {
        let meet = |ours: &[Range], theirs: &[Range]| {
            ours.iter().any(|range| theirs.iter().any(|other| range.meets(other)))
        };
        let mut lines = self.interrupts.iter();
        meet(&self.ports, &other.ports)
            || meet(&self.memory, &other.memory)
            || lines.any(|ours| other.interrupts.iter().any(|theirs| ours.line == theirs.line))
    }

    /// One entry of the table.
    fn line(&self, program: PathBuf) -> Result<String, String> {
        let Self { name, priority, core, state_pages, ica_pages, restart, .. } = self;
        let Restart { tries, within_ms, delay_ms } = restart;
        let watch = self.watch.as_ref().map(|Watch { every_ms, answer_ms }| {
            format!("Watch {{ every_us: {every_ms} * 1000, answer_us: {answer_ms} * 1000 }}")
        });
        let watch = watch.map_or("None".into(), |watch| format!("Some({watch})"));
        let mut line = String::new();
        writeln!(
            line,
            "    Spec {{ name: {name:?}, program: include_bytes!({program:?}), \
             priority: {priority}, core: {core}, state_pages: {state_pages}, \
             ica_pages: {ica_pages}, restart: policy({tries}, {within_ms}, {delay_ms}), watch: {watch}, \
             devices: &[{}] }},",
            self.devices()
        )
        .map_err(|error| error.to_string())?;
        Ok(line)
    }

    fn devices(&self) -> String {
        let ports = self.ports.iter().map(|range| grant(GRANT_PORTS, range.start, range.len));
        let memory = self.memory.iter().map(|range| grant(GRANT_MEMORY, range.start, range.len));
        let interrupts = self.interrupts.iter();
        let interrupts = interrupts
            .map(|interrupt| grant(GRANT_INTERRUPT, interrupt.line, interrupt.bit.into()));
        ports.chain(memory).chain(interrupts).collect()
    }
}

impl Range {
    fn meets(&self, other: &Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}

fn grant(kind: u32, start: u64, len: u64) -> String {
    format!("DeviceGrant {{ kind: {kind}, reserved: 0, start: {start:#x}, len: {len} }}, ")
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
