//! What the manifest can say, and the Rust that it becomes. The limits of its numbers are checked
//! in `src/manifest.rs`, so that this needs nothing of AnT's on the machine that builds it.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;

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
    cpu: u32,
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
        let manifest: Self = basic_toml::from_str(text).map_err(|error| error.to_string())?;
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
        for (index, server) in self.server.iter().enumerate() {
            let others = &self.server[..index];
            ensure(
                !names[..index].contains(&names[index]),
                &format!("`{}` is there twice", server.name),
            )?;
            let rival = others.iter().find(|other| server.wants_what_is_of(other));
            let rival = rival.map_or("", |other| &other.name);
            ensure(rival.is_empty(), &format!("`{rival}` and `{}` want one device", server.name))?;
        }
        Ok(())
    }
}

impl Server {
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
        let Self { name, priority, cpu, state_pages, ica_pages, restart, .. } = self;
        let Restart { tries, within_ms, delay_ms } = restart;
        let watch = self.watch.as_ref().map(|Watch { every_ms, answer_ms }| {
            format!("Heartbeat {{ every_us: {every_ms} * 1000, answer_us: {answer_ms} * 1000 }}")
        });
        let watch = watch.map_or("None".into(), |watch| format!("Some({watch})"));
        let mut line = String::new();
        writeln!(
            line,
            "    Spec {{ name: {name:?}, program: include_bytes!({program:?}), \
             priority: {priority}, cpu: {cpu}, state_pages: {state_pages}, \
             ica_pages: {ica_pages}, restart: policy({tries}, {within_ms}, {delay_ms}), watch: {watch}, \
             devices: &[{}] }}.checked(),",
            self.devices()
        )
        .map_err(|error| error.to_string())?;
        Ok(line)
    }

    fn devices(&self) -> String {
        let ports = self.ports.iter().map(|range| grant("PORTS", range.start, range.len));
        let memory = self.memory.iter().map(|range| grant("MEMORY", range.start, range.len));
        let interrupts = self.interrupts.iter();
        let interrupts =
            interrupts.map(|interrupt| grant("INTERRUPT", interrupt.line, interrupt.bit.into()));
        ports.chain(memory).chain(interrupts).collect()
    }
}

impl Range {
    fn meets(&self, other: &Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}

fn grant(kind: &str, start: u64, len: u64) -> String {
    format!(
        "DeviceGrant {{ kind: ipc::GRANT_{kind}, reserved: 0, start: {start:#x}, len: {len} }}, "
    )
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
