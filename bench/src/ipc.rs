//! `ant-bench ipc`: what messages between processes of AnT cost, beside Linux's pipe and
//! futex in the same run.

use std::io::Read;
use std::process::{Child, Stdio};

use ant_protocol::cpu_list::{counted, parse_cpu};
use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::report::print;
use crate::run::{antctl, why};
use crate::samples::Samples;
use crate::{futex, pipe};

/// What to measure.
#[derive(Args, Debug)]
pub struct IpcOptions {
    /// The client runs on this CPU of AnT's (Linux's number)
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    client: u32,
    /// The server runs on this one; the same is fine
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    server: u32,
    /// Round trips of each kind
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    count: u32,
}

/// What the figures of AnT's program are called, and what they are.
const KINDS: &[(&str, &str)] = &[
    ("call", "AnT: call and reply"),
    ("hand_over.1", "AnT: call and reply, 1 page each way"),
    ("hand_over.256", "AnT: call and reply, 256 pages each way"),
    ("send.16", "AnT: 16 messages, sent one by one"),
    ("batch.16", "AnT: 16 messages, sent as a batch"),
    ("ica", "AnT: 1 page asked of the m-kernel and given back"),
];

/// Measures and prints.
///
/// # Errors
/// When AnT does not run or a measurement fails.
pub fn run(options: &IpcOptions) -> Result<()> {
    let count = options.count as usize;
    let cpus = futex::cpus().context("cannot read the CPU affinity")?;
    let ant = measure_ant(options)?;
    let futex = futex::round_trips(count, cpus).context("the futex round trip failed")?;
    let pipe = pipe::round_trips(count, cpus).context("the pipe round trip failed")?;
    let mut rows = Vec::new();
    for (name, what) in KINDS {
        rows.push(((*what).into(), figures(&ant, name)?));
    }
    let place = if cpus[0] == cpus[1] { "one CPU" } else { "two CPUs" };
    for (what, samples) in [("Linux: futex", futex), ("Linux: pipe, 32 bytes", pipe)] {
        let what = format!("{what}, there and back, two threads on {place}");
        rows.push((what, Samples::new(samples).figures()));
    }
    let trips = counted(options.count.into(), "round trip");
    let of =
        format!("{trips} each, client on CPU {}, server on CPU {}", options.client, options.server);
    print(&of, &rows)
}

/// Minimum, median and 99th percentile of one kind in the lines of AnT's program.
fn figures(text: &str, name: &str) -> Result<[u64; 3]> {
    let find = |which: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            (key.strip_prefix(name)?.strip_prefix('.')? == which).then_some(value)
        });
        Ok(line.with_context(|| format!("bench-ipc printed no {name}.{which}"))?.parse()?)
    };
    Ok([find("min")?, find("median")?, find("p99")?])
}

/// Has AnT's program measure itself against a second one; its lines.
fn measure_ant(options: &IpcOptions) -> Result<String> {
    let mut server = start(options.server, "serve")?;
    let mut client = start(options.client, &options.count.to_string())?;
    // A client without a server would wait for it.
    waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    if server.0.try_wait()?.is_some() {
        server.succeeds()?;
    }
    client.succeeds()?;
    server.succeeds()?;
    let mut text = String::new();
    client.0.stdout.take().context("no output")?.read_to_string(&mut text)?;
    Ok(text)
}

fn start(cpu: u32, argument: &str) -> Result<Started> {
    let mut command = antctl()?;
    command.args(["run", "--cpu", &cpu.to_string(), "--", "bench-ipc", argument]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(Started(command.spawn()?))
}

/// `antctl run` of the client or the server. It does not outlive the measurement. What it prints
/// fits a pipe.
struct Started(Child);

impl Started {
    /// Waits for its end, and says why it failed if it did.
    fn succeeds(&mut self) -> Result<()> {
        if self.0.wait()?.success() {
            return Ok(());
        }
        let mut complaint = Vec::new();
        self.0.stderr.take().context("no complaint")?.read_to_end(&mut complaint)?;
        bail!("{}", why(&complaint));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "cpu.client 1\nhand_over.256.min 9\nhand_over.1.min 1\nhand_over.1.median 2\n\
                    hand_over.1.p99 3\n";
        assert_eq!(figures(text, "hand_over.1").unwrap(), [1, 2, 3]);
        assert!(figures(text, "hand_over").is_err());
        assert!(figures(text, "call").is_err());
    }
}
