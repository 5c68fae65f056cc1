//! One cell of the matrix: a server, a client, others that wait, and what each has when it is over.

use crate::ant::{self, Process, Server, answers, client, met};
use crate::extent::Extent;
pub use crate::groups::devices::up_with_probe as up;
use crate::guest::{Background, TestGuest};
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

/// A program that must not hang has ended by then.
pub const SOON: Duration = Duration::from_secs(20);

/// A row: what the server is at.
pub struct Row {
    /// As `antctl ps` shows it; nothing, if that changes.
    pub at: &'static str,
    /// What the client asks for; nothing, if the server waits for requests.
    pub request: &'static str,
    /// What the client says: `OLD` and `NEW` are the server's generations.
    pub says: &'static str,
    /// The server that the server calls.
    pub helper: Helper,
    /// How it is ended.
    pub ends: &'static [End],
}

/// Another server, a program, on the client's CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// There is none.
    None,
    /// It has the server's call and waits for input.
    Serves,
    /// It has another's call.
    IsBusy,
}

/// A way of ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `antctl kill`.
    Kill,
    /// `antctl server restart`.
    Restart,
    /// By itself: a page fault.
    Fault,
    /// By itself: an exit.
    Exit,
}

impl End {
    /// What has the server end by itself.
    fn request(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Exit => "exit",
            Self::Kill | Self::Restart => "",
        }
    }

    /// What `antctl server list` says then.
    fn last_end(self) -> &'static str {
        match self {
            Self::Kill => "killed by signal 15",
            Self::Restart => "killed by signal 9",
            Self::Fault => "page fault (read 0x10)",
            Self::Exit => "exited with status 7",
        }
    }

    /// Restarts that were not ordered.
    fn restarts(self) -> u32 {
        u32::from(self != Self::Restart)
    }
}

/// A server at rest, and what there is before anything befalls it.
pub struct Cell<'a> {
    /// Where it is.
    pub guest: &'a TestGuest,
    /// CPU of the server.
    pub server_cpu: u32,
    /// CPU of its clients.
    pub client_cpu: u32,
    /// The server before it ends.
    pub server: Server,
    process: Process,
    free: u64,
}

/// Waits until process `pid` is in this state; how it is then. One that runs on the m-kernel's CPU is seen as
/// ready: while it is looked at, `init` runs.
pub fn await_state(guest: &TestGuest, pid: u32, state: &str) -> Result<Process> {
    let deadline = Instant::now() + SOON;
    loop {
        let mut all = ant::all_processes(guest)?;
        let found = all.iter().position(|process| process.pid == pid).context("it has ended")?;
        let its = all[found].state.as_str();
        if its == state || (state, its) == ("running", "ready") {
            return Ok(all.swap_remove(found));
        }
        ensure!(Instant::now() < deadline, "not {state}: {all:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Two clients that know the server of now.
pub fn two_that_know(guest: &TestGuest, cpu: u32) -> Result<[Background<'_>; 2]> {
    Ok([met(guest, cpu, "call count")?, met(guest, cpu, "ask count")?])
}

impl Row {
    /// The cells of the row.
    pub fn run(&self, guest: &TestGuest, extent: Extent) -> Result<()> {
        self.run_with(guest, extent, |_| Ok(()), |_| Ok(()))
    }

    /// The cells of the row, with something that is done before the server ends, and something to
    /// look at when it is back.
    pub fn run_with(
        &self,
        guest: &TestGuest,
        extent: Extent,
        before: impl Fn(&Cell) -> Result<()>,
        after: impl Fn(&Cell) -> Result<()>,
    ) -> Result<()> {
        up(guest)?;
        self.run_cells(guest, extent, before, after)
    }

    /// As [`Row::run_with`], with the servers as they are.
    pub fn run_cells(
        &self,
        guest: &TestGuest,
        extent: Extent,
        before: impl Fn(&Cell) -> Result<()>,
        after: impl Fn(&Cell) -> Result<()>,
    ) -> Result<()> {
        ant::await_idle(guest)?;
        for (end, server_cpu, client_cpu) in extent.of(self.cells()) {
            let cell = Cell::begin(guest, server_cpu, client_cpu)?;
            self.live(&cell, end, &before, &after).with_context(|| {
                format!("{end:?}, server on CPU {server_cpu}, client on CPU {client_cpu}")
            })?;
        }
        Ok(())
    }

    /// How the server ends, and the CPUs of server and client: each way with the client beside the server
    /// once, and once elsewhere.
    pub fn cells(&self) -> impl Iterator<Item = (End, u32, u32)> {
        let cell = |server_cpu, (number, &end): (usize, &End)| {
            let beside = (number % 2 == 0) == (server_cpu == 2);
            (end, server_cpu, if beside { server_cpu } else { server_cpu % 3 + 1 })
        };
        let ends = || self.ends.iter().enumerate();
        ends().map(move |end| cell(2, end)).chain(ends().map(move |end| cell(1, end)))
    }

    fn live(
        &self,
        cell: &Cell,
        end: End,
        before: impl Fn(&Cell) -> Result<()>,
        after: impl Fn(&Cell) -> Result<()>,
    ) -> Result<()> {
        let guest = cell.guest;
        let helper = Helpers::start(cell, self.helper)?;
        // What shares the server's CPU does not run while it computes.
        let others_cpu = if matches!(self.at, "running" | "") { 3 } else { cell.client_cpu };
        let [late, patient] = two_that_know(guest, others_cpu)?;
        let by_itself = if self.helper == Helper::None { "" } else { end.request() };
        let request = format!("call {} {by_itself}", self.request);
        let asks = (!self.request.is_empty()).then(|| client(guest, cell.client_cpu, &request));
        cell.await_at(self, asks.is_some())?;
        let receives = self.at == "receiving";
        if !receives {
            late.input("\n");
            patient.input("\n");
            ant::await_processes(guest, 2, "victim met", "calling")?;
        }
        before(cell)?;
        match end {
            End::Kill => ant::kill_server(guest, "probe")?,
            End::Restart => {
                answers(guest, "antctl server restart probe", 0, "probe was restarted")?;
            }
            End::Fault | End::Exit if self.helper != Helper::None => helper.go_on(),
            End::Fault | End::Exit => {
                let what = end.request();
                let words = format!("antctl run --cpu {} -- victim call {what}", cell.client_cpu);
                answers(guest, &words, 0, &cell.fill_in(&format!("{what}: {RESTARTED}\n")))?;
            }
        }
        cell.is_back(end)?;
        if receives {
            late.input("\n");
            patient.input("\n");
        }
        if let Some(client) = asks {
            // If it waits for that.
            client.input("\n");
            says(client, &cell.fill_in(self.says))?;
        }
        says(late, &cell.fill_in(&format!("count: {RESTARTED}\n")))?;
        says(patient, &cell.fill_in("count: 1 0, generation NEW\n"))?;
        after(cell)?;
        helper.finish(cell)?;
        cell.is_whole()
    }
}

/// What is said of a call that a server has not served because it has ended.
const RESTARTED: &str = "PeerRestarted { generation: NEW }";

/// Waits for a client's end, which says this and nothing else.
pub fn says(client: Background<'_>, said: &str) -> Result<()> {
    let output = client.wait(SOON)?;
    ensure!(output.status == 0 && output.stdout == said, "{output:?}, not {said:?}");
    Ok(())
}

impl<'a> Cell<'a> {
    /// Has the server on a CPU, at rest, and no other process there.
    pub fn begin(guest: &'a TestGuest, server_cpu: u32, client_cpu: u32) -> Result<Self> {
        let mut process = ant::process_of(guest, "probe")?;
        if process.cpu != server_cpu {
            let said = format!("goes to CPU {server_cpu}");
            answers(guest, &format!("antctl move {} {server_cpu}", process.pid), 0, &said)?;
            // As what has always been there.
            let generation = ant::server(guest, "probe")?.generation + 1;
            answers(guest, "antctl server restart probe", 0, "probe was restarted")?;
            ant::await_server(guest, "probe", generation, SOON)?;
            process = ant::process_of(guest, "probe")?;
        }
        ensure!(process.cpu == server_cpu && process.kind == "server", "{process:?}");
        await_state(guest, process.pid, "receiving")?;
        let server = ant::server(guest, "probe")?;
        let free = ant::free_memory(guest)?;
        Ok(Self { guest, server_cpu, client_cpu, server, process, free })
    }

    /// The server's process before it ends.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// The server's generation after it has ended once.
    pub fn new_generation(&self) -> u32 {
        self.server.generation + 1
    }

    /// Puts generations in.
    pub fn fill_in(&self, said: &str) -> String {
        said.replace("OLD", &self.server.generation.to_string())
            .replace("NEW", &self.new_generation().to_string())
    }

    /// Waits until the server is where the row wants it.
    fn await_at(&self, row: &Row, has_client: bool) -> Result<()> {
        if !row.at.is_empty() && row.at != "receiving" {
            await_state(self.guest, self.pid(), row.at)?;
        }
        if !has_client {
            return Ok(());
        }
        let words = format!("victim call {}", row.request);
        let name = row.request.split(' ').next().unwrap_or_default();
        match name {
            // Its client has ended.
            "keep" => {
                self.guest.wait_until(&format!("! antctl ps | grep -q '{words}'"), SOON)?;
                ensure!(ant::free_memory(self.guest)? + 50 * 4096 <= self.free, "nothing is kept");
                Ok(())
            }
            "share" => ant::await_process(self.guest, &words, "in call").map(drop),
            _ => ant::await_process(self.guest, &words, "calling").map(drop),
        }
    }

    /// Waits until the server serves again, and sees what AnT says of it.
    fn is_back(&self, end: End) -> Result<()> {
        let after = ant::await_server(self.guest, "probe", self.new_generation(), SOON)?;
        let restarts = self.server.restarts + end.restarts();
        ensure!(after.restarts == restarts && after.pid != self.server.pid, "{after:?}");
        ensure!(after.last_end.starts_with(end.last_end()), "{after:?}");
        let process = ant::process_of(self.guest, "probe")?;
        ensure!(process.restarts == Some(restarts), "{process:?}");
        Ok(())
    }

    /// Nothing is lost, and no process is left.
    pub fn is_whole(&self) -> Result<()> {
        ant::await_idle(self.guest)?;
        let pid = ant::server(self.guest, "probe")?.pid.context("it does not run")?;
        let memory = await_state(self.guest, pid, "receiving")?.memory;
        ensure!(memory == self.process.memory, "it has {memory}, not {}", self.process.memory);
        ant::await_free_memory(self.guest, self.free)
    }
}

/// The other server, and the client that keeps it busy.
pub struct Helpers<'a> {
    server: Option<Background<'a>>,
    keeps_busy: Option<Background<'a>>,
}

impl<'a> Helpers<'a> {
    /// Has it where the row wants it.
    pub fn start(cell: &Cell<'a>, helper: Helper) -> Result<Self> {
        let guest = cell.guest;
        if helper == Helper::None {
            return Ok(Self { server: None, keeps_busy: None });
        }
        let server = client(guest, cell.client_cpu, "serve helper");
        ant::await_process(guest, "victim serve helper", "receiving")?;
        let keeps_busy =
            (helper == Helper::IsBusy).then(|| client(guest, 3, "at helper call gate"));
        if keeps_busy.is_some() {
            ant::await_process(guest, "victim serve helper", "in call")?;
        }
        Ok(Self { server: Some(server), keeps_busy })
    }

    /// The call that it has returns.
    pub fn go_on(&self) {
        if let Some(server) = &self.server {
            server.input("\n");
        }
    }

    /// A caller that has ended has left nothing: it serves the next one.
    pub fn finish(self, cell: &Cell) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        self.go_on();
        if let Some(client) = self.keeps_busy {
            says(client, "gate: 0 0, generation 0\n")?;
        }
        ant::await_process(cell.guest, "victim serve helper", "receiving")?;
        let said = cell.fill_in("relay: 1 0, generation NEW\n");
        answers(cell.guest, "antctl run -- victim call relay", 0, &said)
    }
}
