//! `ant-bench null`: the smallest system call, `getpid`.

use ant_protocol::cpu_list::{counted, parse_cpu};
use ant_protocol::time_stamp;
use anyhow::{Context, Result, bail};
use clap::Args;

use crate::futex;
use crate::report::{print, write};
use crate::run::{antctl, why};
use crate::samples::Samples;

/// The measured things take turns in so many rounds, so that what disturbs one disturbs all.
const ROUNDS: usize = 5;

/// What to measure.
#[derive(Args, Debug)]
pub struct NullOptions {
    /// Measure the program on this CPU of AnT's (Linux's number)
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    cpu: Option<u32>,
    /// Calls of each kind
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(5..=25_000))]
    count: u32,
}

/// Measures and prints.
///
/// # Errors
/// When AnT does not run or a measurement fails.
pub fn run(options: &NullOptions) -> Result<()> {
    let cpus = futex::cpus().context("cannot read the CPU affinity")?;
    let [mut native, mut trips, mut delegated] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let count = options.count as usize / ROUNDS;
        native.extend(native_getpid(count));
        trips.extend(futex::round_trips(count, cpus).context("the futex round trip failed")?);
        delegated.extend(delegated_getpid(count, options.cpu)?);
    }
    let place = match cpus {
        [one, other] if one == other => format!("both on CPU {one}"),
        [one, other] => format!("on CPUs {one} and {other}"),
    };
    let [native, trips, delegated] = [native, trips, delegated].map(Samples::new);
    let rows = [
        ("getpid on Linux itself".into(), native.figures()),
        (format!("futex round trip, two threads {place}"), trips.figures()),
        ("getpid from AnT, continued".into(), delegated.figures()),
    ];
    print(&format!("{} each", counted(options.count.into(), "call")), &rows)?;
    let [native, trip, delegated] = [native, trips, delegated].map(|of| of.median() as f64);
    write(&format!(
        "A call from AnT costs {:.1} calls on Linux, or {:.2} futex round trips (medians).\n",
        delegated / native,
        delegated / trip,
    ))
}

fn native_getpid(count: usize) -> Vec<u64> {
    let measure = |_| {
        let start = time_stamp();
        let _ = std::hint::black_box(rustix::process::getpid());
        time_stamp() - start
    };
    (0..count).map(measure).collect()
}

/// Has AnT's program measure itself: it prints one figure a line.
fn delegated_getpid(count: usize, cpu: Option<u32>) -> Result<Vec<u64>> {
    let mut command = antctl()?;
    command.arg("run");
    if let Some(cpu) = cpu {
        command.arg("--cpu").arg(cpu.to_string());
    }
    let output = command.args(["--", "bench-null", &count.to_string()]).output()?;
    if !output.status.success() {
        bail!("{}", why(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let samples: Vec<u64> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
    if samples.len() != count {
        bail!("bench-null printed {} figures instead of {count}", samples.len());
    }
    Ok(samples)
}
