//! `spin [SECONDS]`: keeps its CPU busy without a single system call, for ever unless told.
#![no_std]
#![no_main]

use ant_rt::{Args, ant, eprintln};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let seconds = match args.text(1).map(str::parse::<u64>) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => {
            eprintln!("usage: spin [SECONDS]");
            return 2;
        }
    };
    let Ok(info) = ant::system_info() else { return 1 };
    let cycles = seconds.map(|seconds| seconds.saturating_mul(u64::from(info.tsc_khz) * 1000));
    let start = ant_rt::time::cycles();
    while cycles.is_none_or(|cycles| ant_rt::time::cycles() - start < cycles) {
        core::hint::spin_loop();
    }
    0
}
