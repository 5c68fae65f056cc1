//! `victim`: a server that goes wrong when it is asked to, and its clients. For tests.
//!
//! It is an OS server when it was put in the place of one (`antctl server replace`), or a program:
//! `victim serve NAME`. The clients, `victim HOW …`, say what became of each call. What one call does
//! is a chain of requests, done one after the other.
#![no_std]
#![no_main]

mod client;
mod names;
mod pages;
mod requests;
mod server;

use ant_abi::Error;
use ant_rt::{Args, eprintln, linux};

use client::{Gate, Server};

ant_rt::program!(main);

/// What the server is registered as, unless it is [`ABSENT`].
const NAME: &str = "victim";
/// What a program serves as that the server calls itself.
const HELPER: &str = "helper";
/// A server that has a known name and is not there when the server calls it.
const ABSENT: &str = "absent";

const USAGE: &str = "usage: victim serve NAME
       victim [at NAME] [gated|met] call|ask|try|now REQUEST [NUMBER [REQUEST [REQUEST]]]
       victim [at NAME] [gated|met] send MESSAGES
       victim loop call|ask MS
       victim flood MS
       victim flood-sends NAME MS
       victim kill|hog
       victim names NAME NAME
       victim hold PAGES";

fn main(args: Args) -> i32 {
    if args.len() == 1 {
        return server::run(if args.text(0) == Some(ABSENT) { ABSENT } else { NAME });
    }
    let (name, shift) = match (args.text(1), args.text(2)) {
        (Some("at"), Some(name)) => (name, 2),
        _ => (NAME, 0),
    };
    let gate = match args.text(1 + shift) {
        Some("gated") => Some(Gate::Unmet),
        Some("met") => Some(Gate::Met),
        _ => None,
    };
    let word = |index| args.text(index + shift + usize::from(gate.is_some()));
    let number = |index| word(index).and_then(|text| text.parse().ok()).unwrap_or(0);
    let server = Server { name, gate };
    let done = match (word(1), word(2)) {
        (Some("serve"), Some(name)) => server::serve(name),
        (Some("hold"), Some(_)) => pages::hold(number(2) as u32),
        (Some("send"), Some(_)) => client::send(server, number(2)),
        (Some("loop"), Some(how)) => client::repeat(how, number(3), Some(client::PAUSE_US)),
        (Some("flood"), Some(_)) => client::repeat("call", number(2), None),
        (Some("flood-sends"), Some(name)) => client::flood_sends(name, number(3)),
        (Some("kill"), None) => client::kill(),
        (Some("hog"), None) => pages::hog(),
        (Some("names"), Some(first)) => names::all_requests(first, word(3).unwrap_or(first)),
        (Some(how @ ("call" | "ask" | "try" | "now")), Some(what)) => {
            let then = [word(4), word(5)];
            client::one(server, how, what, number(3), then)
        }
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match done {
        Ok(printed) => i32::from(!printed),
        Err(error) => {
            eprintln!("victim: {error:?}");
            1
        }
    }
}

/// Waits until standard input has something.
fn wait_for_input() -> Result<(), Error> {
    linux::read(0, &mut [0; 64]).map(drop).map_err(|_| Error::Io)
}
