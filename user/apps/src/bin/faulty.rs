//! A server that fails when it is asked to, for tests: put it in the place of another with
//! `antctl server replace`. `faulty HOW [MS]` is its client.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::ipc::{self, Handle, Message, OnRestart, Request, Timeout};
use ant_rt::server::{self, Service};
use ant_rt::{Args, ant, eprintln, fail, println};

ant_rt::program!(main);

/// What the server is registered as.
const NAME: &str = "faulty";

/// What it can be asked for, by the number in the first word: to say how many requests it has served;
/// to exit; to fault; to spin; to reply after so many milliseconds.
const HOWS: [&str; 5] = ["count", "exit", "fault", "spin", "sleep"];

fn main(args: Args) -> i32 {
    // `init` gives a server no argument but its name.
    let Some(how) = args.text(1) else { return serve() };
    let Some(number) = HOWS.iter().position(|name| *name == how) else {
        eprintln!("usage: faulty count|exit|fault|spin|sleep [MS]");
        return 2;
    };
    let ms = args.text(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    match ask(number as u64, ms) {
        Ok(served) => i32::from(!println!("faulty: {how}: {served} requests served")),
        Err(error) => {
            eprintln!("faulty: {how}: {error:?}");
            1
        }
    }
}

fn ask(number: u64, ms: u64) -> Result<u64, Error> {
    let server = ant_api_name::lookup(Name::new(NAME)?)?;
    let mut message = Message::new([number, ms, 0, 0]);
    ipc::call(server, &mut message, Timeout::FOREVER, OnRestart::Fail)?.result()
}

fn serve() -> i32 {
    server::run(|_start| {
        ant_api_name::register(Name::new(NAME)?, Handle::OWN)?;
        Ok(Faulty { served: 0 })
    })
}

struct Faulty {
    served: u64,
}

impl Service for Faulty {
    fn call(&mut self, request: &mut Request) -> Message<'_> {
        match HOWS.get(request.words[0] as usize) {
            Some(&"exit") => ant::process_exit(3),
            Some(&"fault") => fail::read_nothing(),
            Some(&"spin") => loop {
                core::hint::spin_loop();
            },
            Some(&"sleep") => ant::sleep_us(request.words[1].saturating_mul(1000)),
            _ => {}
        }
        self.served += 1;
        Message::result(Ok(self.served))
    }
}
