//! `counter N…`: has the server `counter` add numbers to its count, and prints each sum.
//! `counter serve` is such a service, run as a program; `user/template` is one that is an OS server.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_api_counter::{self as api, Add, NAME};
use ant_api_name::Name;
use ant_rt::ipc::{self, Message, Received, Timeout};
use ant_rt::{Args, eprintln, println};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let numbers = (1..args.len()).map(|index| args.text(index)?.parse().ok());
    let done = if args.text(1) == Some("serve") {
        serve()
    } else if args.len() == 1 || numbers.clone().any(|number: Option<u32>| number.is_none()) {
        eprintln!("usage: counter serve\n       counter N...");
        return 2;
    } else {
        add(numbers.flatten())
    };
    done.map_or_else(
        |error| {
            eprintln!("counter: {error:?}");
            1
        },
        |printed| i32::from(!printed),
    )
}

fn add(mut numbers: impl Iterator<Item = u32>) -> Result<bool, Error> {
    let counter = ant_api_name::lookup(Name::new(NAME)?)?;
    numbers.try_fold(true, |printed, number| {
        let sum = api::add(counter, number)?;
        Ok(println!("{sum}") && printed)
    })
}

/// Until it is killed.
fn serve() -> Result<bool, Error> {
    ant_api_name::register(Name::new(NAME)?, ipc::open_endpoint()?)?;
    let mut count = 0u32;
    let mut received = ipc::receive(Timeout::FOREVER)?;
    loop {
        received = match received {
            Received::Call(mut request) => {
                let Add(number) = Add::decode(request.words);
                count = count.wrapping_add(number);
                let mut sum = Message::result(Ok(count.into()));
                ipc::reply_receive(request.take_token(), &mut sum, Timeout::FOREVER)?
            }
            Received::Send(_) | Received::Notification(_) => ipc::receive(Timeout::FOREVER)?,
        }
    }
}
