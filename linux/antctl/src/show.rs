//! Replies as text: tables, status, log.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;

use ant_protocol::cpu_list::{counted, describe_memory};
use ant_protocol::{
    CpuStatus, Device, Level, LogLine, PartitionStatus, Process, Resource, Server, Status,
};

use crate::output::{Look, Table, cell, paint};

/// Headings of the table of processes; `antctl ps --help` explains them.
pub const PROCESS_HEADINGS: [&str; 11] = [
    ">PID",
    ">CPU",
    "KIND",
    "STATE",
    ">PRIO",
    ">RESTARTS",
    ">CALLS",
    ">MEMORY",
    "USER",
    ">PROXY",
    "COMMAND",
];

/// AnT's processes.
pub fn processes(processes: &[Process]) -> String {
    let users = users();
    let mut table = Table::new(&PROCESS_HEADINGS);
    for process in processes {
        let user = match process.uid {
            None => "-".into(),
            Some(uid) => users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        };
        table.row(vec![
            cell(process.pid),
            cell(process.cpu),
            cell(&process.kind),
            (process.state.clone(), state_look(&process.state)),
            cell(process.priority),
            cell(or_none(process.restarts)),
            cell(process.calls),
            cell(describe_memory(process.memory)),
            cell(user),
            cell(or_none(process.proxy)),
            cell(&process.command),
        ]);
    }
    table.render()
}

fn state_look(state: &str) -> Look {
    match state {
        "running" => Look::Green,
        "ending" => Look::Yellow,
        _ => Look::Plain,
    }
}

/// AnT's OS servers.
pub fn servers(servers: &[Server]) -> String {
    let headings = [
        "NAME",
        "STATE",
        ">PID",
        ">CPU",
        ">PRIO",
        ">GENERATION",
        ">RESTARTS",
        ">DOWN ms",
        "LAST END",
    ];
    let mut table = Table::new(&headings);
    for server in servers {
        let look = match server.state.as_str() {
            "serves" => Look::Green,
            "given up" => Look::Red,
            _ => Look::Yellow,
        };
        let last_end = if server.last_end.is_empty() { "-" } else { &server.last_end };
        table.row(vec![
            cell(&server.name),
            (server.state.clone(), look),
            cell(or_none(server.pid)),
            cell(or_none(server.cpu)),
            cell(server.priority),
            cell(server.generation),
            cell(server.restarts),
            cell(or_none(server.restart_us.map(milliseconds))),
            cell(last_end),
        ]);
    }
    table.render()
}

/// With one decimal.
fn milliseconds(us: u64) -> String {
    format!("{:.1}", us as f64 / 1000.0)
}

/// A number, or a dash for none.
fn or_none(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}

/// Names of users, without the C library's resolver: a static program has none.
fn users() -> HashMap<u32, String> {
    parse_users(&fs::read_to_string("/etc/passwd").unwrap_or_default())
}

fn parse_users(passwd: &str) -> HashMap<u32, String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((uid.parse().ok()?, name.to_owned()))
    };
    passwd.lines().filter_map(user).collect()
}

/// State of the daemon and of AnT; `None` if `antd` does not run.
pub fn status(status: Option<&Status>) -> String {
    let Some(status) = status else {
        return "AnT does not run, nor does antd: `antctl boot --cpus LIST --memory SIZE`\n".into();
    };
    let mut text = String::new();
    match &status.partition {
        Some(partition) => running(&mut text, status, partition),
        None => {
            let _ = writeln!(text, "AnT does not run: `antctl boot --cpus LIST --memory SIZE`");
        }
    }
    if let Some(reason) = &status.last_failure {
        let _ = writeln!(text, "{} {reason}", paint("Last failure:", Look::Red));
    }
    match status.module_revision {
        None => {
            let _ = writeln!(text, "The module is not loaded: `modprobe ant`");
        }
        Some(theirs) if theirs != status.revision => {
            let _ = writeln!(
                text,
                "The module is of ABI revision {theirs}, antd of {}: install both from one build",
                status.revision
            );
        }
        Some(_) => {}
    }
    text
}

fn running(text: &mut String, status: &Status, partition: &PartitionStatus) {
    let calls: u64 = partition.cpus.iter().map(|cpu| cpu.calls).sum();
    let _ = writeln!(
        text,
        "AnT {} for {}: partition {}, {}, {}, {}",
        paint("runs", Look::Green),
        duration(partition.uptime_s),
        partition.number,
        describe_memory(partition.memory),
        counted(partition.programs as u64, "program"),
        counted(calls, "call"),
    );
    let _ = writeln!(
        text,
        "Memory for processes: {} of {} free",
        describe_memory(partition.memory_free),
        describe_memory(partition.memory_managed)
    );
    let _ = writeln!(text, "Room for: {}", partition.tables);
    let _ = writeln!(
        text,
        "Proxies: {} serve, {} wait; {}, {} (antd is process {})",
        partition.proxies,
        partition.proxies_idle,
        counted(partition.forks, "fork"),
        counted(partition.wakes, "wake-up"),
        status.antd_pid
    );
    let _ = writeln!(text, "Devices: {}", devices(&partition.devices));
    let _ = writeln!(text, "Image: {}", partition.image.display());
    if partition.allow_inject {
        let _ = writeln!(text, "Fault injection is allowed (--allow-inject)");
    }
    text.push('\n');
    text.push_str(&cpus(&partition.cpus));
    for cpu in partition.cpus.iter().filter(|cpu| cpu.state == "ready" && !cpu.answers) {
        let _ = writeln!(
            text,
            "CPU {} {}: `antctl stop` brings the CPUs back",
            cpu.cpu,
            paint("does not answer", Look::Red)
        );
    }
}

fn devices(devices: &[Device]) -> String {
    let words = devices.iter().map(|Device { name, resources }| {
        let resources = resources.iter().map(resource).collect::<Vec<_>>();
        format!("{name} ({})", resources.join(", "))
    });
    if devices.is_empty() { "none".into() } else { words.collect::<Vec<_>>().join(", ") }
}

fn resource(resource: &Resource) -> String {
    let range = |start: u64, len: u64| format!("{start:#x}-{:#x}", start + len.saturating_sub(1));
    match *resource {
        Resource::Ports { start, len } => format!("ports {}", range(start, len)),
        Resource::Memory { start, len } => format!("memory {}", range(start, len)),
        Resource::Interrupt { line } => format!("interrupt line {line}"),
    }
}

fn cpus(cpus: &[CpuStatus]) -> String {
    let headings = [
        ">CPU",
        "ROLE",
        "STATE",
        ">RUNS",
        ">PROCS",
        ">CALLS",
        ">DOORBELLS",
        ">STRAYS",
        ">SWITCHES",
        ">FAULTS",
        ">REFUSED",
        ">IDLE",
    ];
    let mut table = Table::new(&headings);
    for cpu in cpus {
        let state = match cpu.state.as_str() {
            "ready" if cpu.hangs => ("hangs".into(), Look::Red),
            "ready" if cpu.answers => ("answers".into(), Look::Green),
            "ready" => ("no answer".into(), Look::Red),
            "panicked" => ("panicked".into(), Look::Red),
            other => (other.into(), Look::Yellow),
        };
        table.row(vec![
            cell(cpu.cpu),
            cell(&cpu.role),
            state,
            cell(or_none(cpu.running_pid)),
            cell(cpu.processes),
            cell(cpu.calls),
            cell(cpu.doorbells),
            cell(cpu.strays),
            cell(cpu.switches),
            cell(cpu.faults),
            cell(cpu.refused),
            cell(format!("{:.0} %", cpu.idle_percent)),
        ]);
    }
    table.render()
}

/// A duration in two units.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// Lines of AnT's log.
pub fn log(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let when = paint(&format!("[{:12.6}]", line.seconds), Look::Dim);
        let look = match line.level {
            Level::Error => Look::Red,
            Level::Warn => Look::Yellow,
            Level::Info => Look::Plain,
        };
        let _ = writeln!(text, "{when} CPU {}: {}", line.cpu, paint(&line.text, look));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_without_a_resolver() {
        let users =
            parse_users("root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/:/bin/sh\n");
        assert_eq!(users.get(&1000).map(String::as_str), Some("ada"));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn processes_are_a_table() {
        let list = [
            Process {
                pid: 1,
                cpu: 1,
                kind: "server".into(),
                state: "in call".into(),
                priority: 6,
                restarts: Some(0),
                calls: 12,
                memory: 65536,
                uid: None,
                proxy: Some(812),
                command: "init".into(),
            },
            Process {
                pid: 14,
                cpu: 3,
                kind: "program".into(),
                state: "running".into(),
                priority: 2,
                restarts: None,
                calls: 0,
                memory: 2 << 20,
                uid: Some(4_000_000_000),
                proxy: None,
                command: "/usr/lib/ant/apps/spin 5".into(),
            },
        ];
        let text = processes(&list);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("PID  CPU  KIND     STATE    PRIO  RESTARTS"), "{text}");
        assert!(lines[2].starts_with(" 14    3  program  running     2         -"), "{text}");
        assert!(lines[2].ends_with("/usr/lib/ant/apps/spin 5"), "{text}");
        assert!(lines[2].contains("4000000000") && lines[2].contains("2 MiB"), "{text}");
    }

    #[test]
    fn servers_are_a_table() {
        let server = |name: &str, state: &str, pid, restart_us, last_end: &str| Server {
            name: name.into(),
            state: state.into(),
            pid,
            cpu: pid.map(|_| 1),
            priority: 5,
            generation: 2,
            restarts: 1,
            program: 4096,
            start_ticks: 0,
            restart_us,
            last_end: last_end.into(),
        };
        let list = [
            server("serial", "serves", Some(3), Some(12_345), "page fault at 0x10"),
            server("watch", "given up", None, None, ""),
        ];
        let expected = "\
NAME    STATE     PID  CPU  PRIO  GENERATION  RESTARTS  DOWN ms  LAST END
serial  serves      3    1     5           2         1     12.3  page fault at 0x10
watch   given up    -    -     5           2         1        -  -
";
        assert_eq!(servers(&list), expected);
    }

    #[test]
    fn log_lines_say_when_and_where() {
        let line = LogLine { seconds: 1.5, cpu: 2, level: Level::Info, text: "hello".into() };
        assert_eq!(log(&[line]), "[    1.500000] CPU 2: hello\n");
    }

    #[test]
    fn devices_say_what_they_are() {
        let ports = Resource::Ports { start: 0x2f8, len: 8 };
        let resources = vec![ports, Resource::Interrupt { line: 3 }];
        let com2 = Device { name: "COM2".into(), resources };
        let com2_in_words = "COM2 (ports 0x2f8-0x2ff, interrupt line 3)";
        assert_eq!(devices(std::slice::from_ref(&com2)), com2_in_words);
        let memory = Resource::Memory { start: 0xfed0_0000, len: 0x1000 };
        let timer = Device { name: "timer".into(), resources: vec![memory] };
        let both = format!("{com2_in_words}, timer (memory 0xfed00000-0xfed00fff)");
        assert_eq!(devices(&[com2, timer]), both);
        assert_eq!(devices(&[]), "none");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(7300), "2 h 1 min");
        assert_eq!(duration(90000), "1 d 1 h");
    }
}
