//! `bench-process [stamp]`: ends at once; with `stamp`, after it has written the time-stamp counter of
//! its beginning to standard output, 8 bytes. `antctl bench process` runs it.
#![no_std]
#![no_main]

use ant_rt::{Args, linux, time};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let began = time::cycles();
    if args.len() == 1 {
        return 0;
    }
    i32::from(linux::write(1, &began.to_le_bytes()) != Ok(8))
}
