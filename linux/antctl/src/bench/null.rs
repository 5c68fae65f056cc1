//! `antctl bench null`: the smallest system call, `getpid`.

use antd::time_stamp;
use anyhow::{Context, Result, bail};
use clap::Args;

use super::samples::Samples;
use super::{Unit, futex, own_command, why};
use crate::arguments::cpu;
use crate::output::counted;

/// The measured things take turns in so many rounds, so that what disturbs one disturbs all.
const ROUNDS: usize = 5;

/// What to measure.
#[derive(Args, Debug)]
pub struct Options {
    /// Measure the program on this CPU of AnT's (Linux's number)
    #[arg(long, value_name = "N", value_parser = cpu)]
    cpu: Option<u32>,
    /// Calls of each kind
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(5..=25_000))]
    count: u32,
}

struct Row {
    what: String,
    samples: Samples,
}

/// Measures and prints.
///
/// # Errors
/// When AnT does not run or a measurement fails.
pub fn run(options: &Options) -> Result<()> {
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
    let rows = [
        Row { what: "getpid on Linux itself".into(), samples: Samples::new(native) },
        Row {
            what: format!("futex round trip, two threads {place}"),
            samples: Samples::new(trips),
        },
        Row { what: "getpid from AnT, continued".into(), samples: Samples::new(delegated) },
    ];
    print(&rows, options.count);
    Ok(())
}

fn print(rows: &[Row; 3], count: u32) {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let unit = Unit::here();
    println!("{} each, in {}", counted(count.into(), "call"), unit.name);
    println!("{:width$}  {:>9}  {:>9}  {:>9}", "", "min", "median", "p99");
    for Row { what, samples } in rows {
        let figures = [samples.min(), samples.median(), samples.percentile(99)];
        let [min, median, p99] = figures.map(|ticks| ticks / unit.ticks);
        println!("{what:width$}  {min:>9}  {median:>9}  {p99:>9}");
    }
    let [native, trip, delegated] = rows.each_ref().map(|row| row.samples.median() as f64);
    println!(
        "A call from AnT costs {:.1} calls on Linux, or {:.2} futex round trips (medians).",
        delegated / native,
        delegated / trip,
    );
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
    let mut command = own_command()?;
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
