//! `getpid [--once] [COUNT]`: asks Linux COUNT times (1 unless told) for its process id.
//!
//! Every answer must be the same: the proxy's. With `--once`, each call is made without
//! continuation, by a proxy of its own, so no two answers in a row are the same.
#![no_std]
#![no_main]

use ant_rt::{Args, eprintln, linux, println};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let once = args.text(1) == Some("--once");
    let count = match args.text(1 + usize::from(once)).map(str::parse::<u64>) {
        None => 1,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => {
            eprintln!("usage: getpid [--once] [COUNT]");
            return 2;
        }
    };
    match ask(count, once) {
        Ok(pid) => {
            let plural = if count == 1 { "" } else { "s" };
            i32::from(!println!("{count} call{plural}, pid {pid}"))
        }
        Err((call, error)) => {
            eprintln!("getpid: call {call}: {error}");
            1
        }
    }
}

/// The last answer, or which call went wrong.
fn ask(count: u64, once: bool) -> Result<u32, (u64, linux::Errno)> {
    const NOT_THE_PID: linux::Errno = linux::Errno(71);
    let mut last = None;
    for call in 1..=count {
        let pid = if once { linux::getpid_once() } else { linux::getpid() };
        let pid = pid.map_err(|error| (call, error))?;
        if last.is_some_and(|last| (last == pid) == once) {
            return Err((call, NOT_THE_PID));
        }
        last = Some(pid);
    }
    Ok(last.unwrap_or(0))
}
