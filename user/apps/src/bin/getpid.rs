//! `getpid [COUNT]`: asks Linux COUNT times (1 unless told) for its process id, and says so. Every
//! answer must be the same: the proxy's.
#![no_std]
#![no_main]

use ant_rt::{Args, eprintln, linux, println};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let count = match args.text(1).map(str::parse::<u64>) {
        None => 1,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => {
            eprintln!("usage: getpid [COUNT]");
            return 2;
        }
    };
    let pid = linux::getpid();
    for call in 2..=count {
        let again = linux::getpid();
        if again != pid {
            eprintln!("getpid: call {call} gave {again}, the first {pid}");
            return 1;
        }
    }
    i32::from(!println!("{count} calls, pid {pid}"))
}
