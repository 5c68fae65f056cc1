//! `names`: what the name service knows.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_rt::{Args, eprintln, println};

ant_rt::program!(main);

fn main(_: Args) -> i32 {
    for index in 0.. {
        match ant_api_name::list(index) {
            Ok(name) if println!("{}", name.as_str()) => {}
            Ok(_) => return 1,
            Err(Error::NoEntry) => break,
            Err(error) => {
                eprintln!("names: {error:?}");
                return 1;
            }
        }
    }
    0
}
