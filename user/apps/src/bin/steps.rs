//! `steps`: makes one Linux system call and shows each step of it as it happened: which side, where, when
//! (paper 4.3, Fig. 7).
#![no_std]
#![no_main]

use ant_abi::lca::Stamp;
use ant_rt::{Args, ant, eprintln, linux, println};

ant_rt::program!(main);

/// The paper's number of each step, the side that takes it, and what it is.
const STEPS: [(&str, &str, &str); ant_abi::lca::STEPS] = [
    ("1", "AnT process", "fills its LCA, calls linux_call(raddr)"),
    ("2", "AnT kernel", "raddr into the request store, rings Linux"),
    ("2", "ant.ko", "takes the doorbell interrupt"),
    ("3", "parent", "ANT_GET returns raddr"),
    ("4", "proxy", "woken"),
    ("5", "proxy", "has the LCA mapped, arguments rebuilt"),
    ("6", "proxy", "has executed the system call"),
    ("7", "ant.ko", "ANT_RET: raddr into the return store, rings AnT"),
    ("8", "AnT kernel", "takes raddr, wakes the AnT process"),
    ("9", "AnT process", "has its result"),
];

fn main(_: Args) -> i32 {
    match show() {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("steps: {error}");
            1
        }
    }
}

fn show() -> linux::Result<bool> {
    let info = ant::system_info()?;
    // The first call of a program has its proxy made; this one finds it waiting.
    linux::getpid()?;
    let stamps = linux::getpid_traced()?;
    let start = stamps[0].tsc;
    let mut good = println!("     side        CPU      µs  what");
    for ((number, side, what), stamp) in STEPS.iter().zip(stamps) {
        let Stamp { tsc, cpu, .. } = stamp;
        let cpu = if *side == "AnT process" { info.linux_cpu } else { cpu };
        let ns = tsc.saturating_sub(start) * 1_000_000 / u64::from(info.tsc_khz);
        let (us, tenth) = (ns / 1000, ns % 1000 / 100);
        good &= println!(" ({number}) {side:<11} {cpu:>3} {us:>5}.{tenth}  {what}");
    }
    Ok(good)
}
