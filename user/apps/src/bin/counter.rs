//! `counter N…`: has the server of `user/template` add numbers to its count, and prints each sum.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::ipc::{self, Message, Timeout};
use ant_rt::{Args, eprintln, println};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    for number in (1..args.len()).filter_map(|index| args.text(index)?.parse().ok()) {
        match add(number) {
            Ok(sum) if println!("{sum}") => {}
            Ok(_) => return 1,
            Err(error) => {
                eprintln!("counter: {error:?}");
                return 1;
            }
        }
    }
    0
}

fn add(number: u64) -> Result<u64, Error> {
    let counter = ant_api_name::lookup(Name::new("counter")?)?;
    // A client that must not have a number added twice calls with `ipc::call` and `OnRestart::Fail`.
    ipc::ask(counter, &mut Message::new([number, 0, 0, 0]), Timeout::FOREVER)?.result()
}
