//! State of the partition: processes, servers, CPUs, and whether each CPU responds.

use std::time::{Duration, Instant};

use ant_abi::control::{ReportedState, ServerInfo};
use ant_abi::cpu_block::{CpuControl, CpuRole, CpuState};
use ant_abi::syscall::{ProcessInfo, ProcessKind, ProcessState};
use ant_protocol::{CpuStatus, PartitionStatus, Process, Server, Tables, time_stamp};

use super::RunningPartition;
use crate::ids::ClientId;
use crate::list_query::server_name;
use crate::partition::pages;
use crate::text::printable;

/// Longest command line that is shown.
const COMMAND_MAX: usize = 200;
/// How long a CPU may take to count a doorbell.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// CPUs were rung, to see whether they respond.
#[derive(Debug)]
pub struct Probe {
    /// The clients that get the status.
    pub clients: Vec<ClientId>,
    deadline: Instant,
    /// Doorbells of each CPU before.
    before: Vec<u64>,
}

impl Probe {
    /// How often the CPUs are checked.
    pub const INTERVAL: Duration = Duration::from_millis(2);
}

impl RunningPartition {
    /// Rings all CPUs to find out whether they respond; [`RunningPartition::probe_result`] has it then.
    pub fn probe(&mut self, client: ClientId) {
        if let Some(probe) = &mut self.probe {
            probe.clients.push(client);
            return;
        }
        let shared = self.partition.shared();
        let cpus = 0..self.partition.cpus.len() as u32;
        let before = cpus.clone().map(|cpu_index| shared.doorbells(cpu_index)).collect();
        for cpu_index in cpus {
            if let Err(error) = self.partition.control().kick(cpu_index) {
                tracing::warn!("{error}");
            }
        }
        let deadline = Instant::now() + PROBE_TIMEOUT;
        self.probe = Some(Probe { clients: vec![client], deadline, before });
    }

    /// Whether a CPU has taken a doorbell since the kick; `None` if it runs no kernel that could.
    fn answers(&self, cpu_index: u32, before: u64) -> Option<bool> {
        let shared = self.partition.shared();
        (shared.state(cpu_index) == Ok(CpuState::Ready))
            .then(|| shared.doorbells(cpu_index) != before)
    }

    /// The status and the clients that get it, once every CPU has responded or had its time.
    pub fn probe_result(&mut self, now: Instant) -> Option<(Vec<ClientId>, PartitionStatus)> {
        let probe = self.probe.as_ref()?;
        let answers: Vec<Option<bool>> = probe
            .before
            .iter()
            .enumerate()
            .map(|(cpu_index, &before)| self.answers(cpu_index as u32, before))
            .collect();
        if now < probe.deadline && answers.contains(&Some(false)) {
            return None;
        }
        let status = self.status(&answers);
        Some((self.probe.take()?.clients, status))
    }

    fn status(&self, answers: &[Option<bool>]) -> PartitionStatus {
        let partition = &self.partition;
        let shared = partition.shared();
        let m_kernel = shared.control(0);
        let cpu_status = |cpu_index: usize| {
            let control = shared.control(cpu_index as u32);
            self.cpu_status(cpu_index, &control, answers[cpu_index] == Some(true))
        };
        PartitionStatus {
            number: partition.control().number(),
            image: partition.image.clone(),
            uptime_s: partition.since.elapsed().as_secs(),
            memory: partition.memory,
            memory_managed: pages(m_kernel.total_pages),
            memory_free: pages(m_kernel.free_pages),
            tables: Tables::of(&partition.tables),
            programs: self.sessions.programs(),
            proxies: self.table.serving(),
            proxies_idle: self.proxies.idle(),
            forks: self.proxies.forks,
            wakes: self.proxies.wakes,
            allow_inject: partition.allow_inject,
            devices: partition.assigned.devices.clone(),
            cpus: (0..partition.cpus.len()).map(cpu_status).collect(),
        }
    }

    fn cpu_status(&self, cpu_index: usize, control: &CpuControl, answers: bool) -> CpuStatus {
        let now = time_stamp();
        let lived = now.saturating_sub(self.partition.tsc_start).max(1);
        let halted = match control.idle_since {
            0 => 0,
            since => now.saturating_sub(since),
        };
        let idle = control.idle_cycles.saturating_add(halted);
        let state = match CpuState::try_from(control.state) {
            Ok(CpuState::Off) => "off".into(),
            Ok(CpuState::Starting) => "starting".into(),
            Ok(CpuState::Ready) => "ready".into(),
            Ok(CpuState::Panicked) => "panicked".into(),
            Ok(CpuState::Halted) => "halted".into(),
            Err(unknown) => format!("{}?", unknown.number),
        };
        let role = match CpuRole::try_from(control.role) {
            Ok(CpuRole::MKernel) => "m-kernel",
            Ok(CpuRole::PKernel) | Err(_) => "p-kernel",
        };
        CpuStatus {
            cpu: self.partition.cpus[cpu_index],
            role: role.into(),
            state,
            answers,
            hangs: self.hangs.hangs(cpu_index as u32),
            running_pid: Some(control.running_pid).filter(|&pid| pid != 0),
            processes: control.processes,
            calls: control.calls_sent,
            returned: control.calls_returned,
            doorbells: control.doorbells,
            linux_doorbells: control.linux_doorbells,
            refused: control.linux_refused,
            strays: control.unexpected_interrupts,
            device_interrupts: control.device_interrupts,
            timer: control.timer_interrupts,
            switches: control.switches,
            faults: control.faults,
            idle_percent: (idle as f64 / lived as f64 * 100.0).min(100.0),
        }
    }
}

/// AnT's processes, with their sessions and proxies.
pub fn process_list(
    running: &RunningPartition,
    infos: &[ProcessInfo],
    servers: &[ServerInfo],
) -> Vec<Process> {
    let server = |pid| servers.iter().find(|server| server.pid == pid);
    infos.iter().map(|info| process(running, info, server(info.pid))).collect()
}

fn process(running: &RunningPartition, info: &ProcessInfo, server: Option<&ServerInfo>) -> Process {
    let session = running.sessions.of_pid(info.pid).and_then(|id| running.sessions.get(id));
    let proxy = session
        .and_then(|session| session.lca())
        .and_then(|lca| running.table.proxy_of(lca))
        .and_then(|proxy| running.proxies.pid(proxy));
    let command = match session {
        Some(session) => session.command.chars().take(COMMAND_MAX).collect(),
        None => printable(&info.name),
    };
    Process {
        pid: info.pid,
        cpu: running.partition.cpu_of(info.cpu),
        kind: kind_name(info.kind),
        state: state_name(info.state),
        priority: info.priority,
        restarts: server.map(|server| server.restarts),
        calls: info.calls,
        memory: pages(info.pages.into()),
        uid: session.map(|session| session.identity.uid),
        proxy,
        command,
    }
}

fn state_name(state: u32) -> String {
    match ProcessState::try_from(state) {
        Ok(ProcessState::Created) => "created".into(),
        Ok(ProcessState::Loading) => "loading".into(),
        Ok(ProcessState::Ready) => "ready".into(),
        Ok(ProcessState::Running) => "running".into(),
        Ok(ProcessState::InCall) => "in call".into(),
        Ok(ProcessState::Exiting) => "ending".into(),
        Ok(ProcessState::Receiving) => "receiving".into(),
        Ok(ProcessState::Calling) => "calling".into(),
        Ok(ProcessState::InMCall) => "m-call".into(),
        Ok(ProcessState::Sleeping) => "sleeping".into(),
        Err(unknown) => format!("{}?", unknown.number),
    }
}

fn kind_name(kind: u32) -> String {
    match ProcessKind::try_from(kind) {
        Ok(ProcessKind::Program) => "program".into(),
        Ok(ProcessKind::Server) => "server".into(),
        Err(unknown) => format!("{}?", unknown.number),
    }
}

/// AnT's servers, with the CPUs of their processes.
pub fn server_list(
    running: &RunningPartition,
    infos: &[ProcessInfo],
    servers: &[ServerInfo],
) -> Vec<Server> {
    let cpu = |pid| {
        let info = infos.iter().find(|info| info.pid == pid)?;
        Some(running.partition.cpu_of(info.cpu))
    };
    servers.iter().map(|info| server(info, cpu(info.pid))).collect()
}

fn server(info: &ServerInfo, cpu: Option<u32>) -> Server {
    let state = match ReportedState::try_from(info.state) {
        Ok(ReportedState::Starting) => "starting".into(),
        Ok(ReportedState::Serves) => "serves".into(),
        Ok(ReportedState::Waits) => "waits".into(),
        Ok(ReportedState::GivenUp) => "given up".into(),
        Err(unknown) => format!("{}?", unknown.number),
    };
    Server {
        name: server_name(info),
        state,
        pid: Some(info.pid).filter(|&pid| pid != 0),
        cpu,
        priority: info.priority,
        generation: info.generation,
        restarts: info.restarts,
        program: info.program.into(),
        start_ticks: info.start_ticks,
        restart_us: Some(info.restart_us).filter(|&us| us != 0),
        last_end: printable(&info.last_end),
    }
}
