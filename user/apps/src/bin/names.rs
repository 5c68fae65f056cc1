//! `names`: prints what the name service knows. `names NAME COUNT`: looks a name up COUNT times, one
//! request after the other, which must all be served, whatever happens to the service meanwhile.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::{Args, eprintln, ipc, println};

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let name = args.text(1).map(Name::new);
    let count = args.text(2).map(str::parse::<u32>);
    let done = match (name, count) {
        (None, None) => list(),
        (Some(Ok(name)), Some(Ok(count))) => look_up(name, count),
        _ => {
            eprintln!("usage: names [NAME COUNT]");
            return 2;
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("names: {error:?}");
            1
        },
        |printed| i32::from(!printed),
    )
}

fn list() -> Result<bool, Error> {
    for name in ant_api_name::all() {
        if !println!("{}", name?.as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn look_up(name: Name, count: u32) -> Result<bool, Error> {
    for _ in 0..count {
        ipc::close(ant_api_name::lookup(name)?)?;
    }
    Ok(println!("{count} requests served"))
}
