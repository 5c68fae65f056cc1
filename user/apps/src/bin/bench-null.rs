//! `bench-null COUNT`: times COUNT continued `getpid` calls with the time-stamp counter, and prints
//! one figure a line. `antctl bench null` runs it.
#![no_std]
#![no_main]

use ant_rt::io::Writer;
use ant_rt::{Args, eprintln, linux, time};
use core::fmt::Write;

ant_rt::program!(main);

/// Most calls of one run; the figures lie on the stack.
const MAX: usize = 5_000;

fn main(args: Args) -> i32 {
    let count = args.text(1).and_then(|text| text.parse().ok());
    let Some(count) = count.filter(|count| (1..=MAX).contains(count)) else {
        eprintln!("usage: bench-null COUNT (1 to {MAX})");
        return 2;
    };
    let mut samples = [0; MAX];
    let samples = &mut samples[..count];
    // The first call has the proxy made.
    if let Err(error) = measure(&mut samples[..1]).and_then(|()| measure(samples)) {
        eprintln!("bench-null: {error}");
        return 1;
    }
    let mut out = Writer::new(1);
    let printed = samples.iter().try_for_each(|sample| writeln!(out, "{sample}"));
    i32::from(printed.and_then(|()| out.flush()).is_err())
}

fn measure(samples: &mut [u64]) -> linux::Result<()> {
    for sample in samples {
        let start = time::cycles();
        linux::getpid()?;
        *sample = time::cycles() - start;
    }
    Ok(())
}
