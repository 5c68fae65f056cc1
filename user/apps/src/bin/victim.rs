//! `victim`: a server that goes wrong when it is asked to, and its clients. For tests.
//!
//! It is an OS server when it was put in the place of one (`antctl server replace`), or a program:
//! `victim serve NAME`. The clients, `victim HOW …`, say what became of each call.
#![no_std]
#![no_main]

use core::mem;

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;
use ant_api_name::Name;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, CallError, Handle, Message, OnRestart, Received, Reply, Request, Timeout};
use ant_rt::server::{self, Service};
use ant_rt::time::Clock;
use ant_rt::{Args, ant, device, eprintln, fail, linux, println};

ant_rt::program!(main);

/// What the server is registered as; what a program serves as that it calls itself.
const NAME: &str = "victim";
const HELPER: &str = "helper";
const WAIT_MS: u64 = 5_000;
/// How long a client waits that has little patience.
const PATIENCE: Timeout = Timeout::ms(200);
/// Pause between two calls of `loop`.
const PAUSE_US: u64 = 1_000;
/// How the server exits when it is asked to.
const STATUS: i32 = 7;

/// Requests, by the name that people type; the second word is the number that follows it.
const REQUESTS: [(&str, u64); 12] = [
    // How often this was asked.
    ("count", 1),
    // Replies after so many milliseconds.
    ("sleep", 2),
    ("spin", 3),
    ("fault", 4),
    ("exit", 5),
    // Has the helper wait for its gate.
    ("pass", 6),
    // Keeps the pages that come with it.
    ("keep", 7),
    // Writes into lent pages, now and after so many milliseconds.
    ("borrow", 8),
    // How many messages were sent, and which bits raised.
    ("told", 9),
    // Takes all the pages that it gets: how many, and the number of the error.
    ("take", 10),
    // What is in device memory at a physical address.
    ("peek", 11),
    // What is in an I/O port.
    ("port", 12),
];
/// Request, of a program only: replies when its standard input has something.
const GATE: u64 = 13;

fn main(args: Args) -> i32 {
    if args.len() == 1 {
        return server::run(|start| {
            ant_api_name::register(Name::new(NAME)?, Handle::OWN)?;
            Ok(Victim::new(start.generation))
        });
    }
    let gate = match args.text(1) {
        Some("gated") => Some(Gate::Unmet),
        Some("met") => Some(Gate::Met),
        _ => None,
    };
    let word = |index| args.text(index + usize::from(gate.is_some()));
    let number = |index| word(index).and_then(|text| text.parse().ok()).unwrap_or(0);
    let done = match (word(1), word(2)) {
        (Some("serve"), Some(name)) => serve(name),
        (Some("hold"), Some(_)) => hold(number(2) as u32),
        (Some("send"), Some(_)) => send(number(2), gate),
        (Some("loop"), Some(how)) => repeat(how, number(3), Some(PAUSE_US)),
        (Some("flood"), Some(_)) => repeat("call", number(2), None),
        (Some("kill"), None) => kill(),
        (Some("hog"), None) => hog(),
        (Some(how @ ("call" | "ask" | "try")), Some(what)) => one(how, what, number(3), gate),
        _ => {
            eprintln!(
                "usage: victim serve NAME\n       victim [gated|met] call|ask|try REQUEST \
                 [NUMBER]\n       victim [gated|met] send PAGES\n       victim loop call|ask MS\n       victim flood MS\n       victim kill|hog\n       \
                 victim hold PAGES"
            );
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

/// What the server knows.
struct Victim {
    generation: u32,
    count: u64,
    sent: u64,
    bits: u64,
    kept: Option<Pages>,
}

impl Victim {
    fn new(generation: u32) -> Self {
        Self { generation, count: 0, sent: 0, bits: 0, kept: None }
    }

    /// Two words of the reply.
    fn serve(&mut self, request: &mut Request) -> Result<[u64; 2], Error> {
        let number = request.words[1];
        match REQUESTS.iter().find(|(_, word)| *word == request.words[0]).map(|(name, _)| *name) {
            Some("count") => self.count += 1,
            Some("sleep") => ant::sleep_us(number * 1000),
            Some("spin") => loop {
                core::hint::spin_loop();
            },
            Some("fault") => fail::read_nothing(),
            Some("exit") => ant::process_exit(STATUS),
            Some("pass") => {
                let helper = ant_api_name::lookup(Name::new(HELPER)?)?;
                call(helper, &mut Message::new([GATE, 0, 0, 0]), Timeout::FOREVER)?;
            }
            Some("keep") => self.kept = request.take_pages(),
            Some("borrow") => {
                let mut pages = request.lent().ok_or(Error::Fault)?;
                pages.write(0, &[1])?;
                ant::sleep_us(number * 1000);
                pages.write(1, &[2])?;
            }
            Some("take") => {
                let (taken, error) = take_all();
                return Ok([taken, error as u64]);
            }
            Some("peek") => return Ok([u64::from(device::memory_read(number)), 0]),
            Some("port") => return Ok([u64::from(device::port_read(number as u16)?), 0]),
            Some("told") => return Ok([self.sent, self.bits]),
            _ if request.words[0] == GATE => {
                linux::read(0, &mut [0; 64]).map_err(|_| Error::Io)?;
            }
            _ => return Err(Error::Protocol),
        }
        Ok([self.count, 0])
    }
}

impl Service for Victim {
    fn call(&mut self, request: &mut Request) -> Message<'_> {
        match self.serve(request) {
            Ok([a, b]) => Message::new([0, a, b, u64::from(self.generation)]),
            Err(error) => Message::result(Err(error)),
        }
    }

    fn sent(&mut self, _: &mut Request) {
        self.sent += 1;
    }

    fn notified(&mut self, bits: u64) {
        self.bits |= bits;
    }
}

/// The server, as a program.
fn serve(name: &str) -> Result<bool, Error> {
    ant_api_name::register(Name::new(name)?, ipc::open_endpoint()?)?;
    let mut victim = Victim::new(0);
    let mut received = ipc::receive(Timeout::FOREVER)?;
    loop {
        received = match received {
            Received::Call(mut request) => {
                let mut message = victim.call(&mut request);
                ipc::reply_receive(request.take_token(), &mut message, Timeout::FOREVER)?
            }
            Received::Send(mut message) => {
                victim.sent(&mut message);
                ipc::receive(Timeout::FOREVER)?
            }
            Received::Notification(bits) => {
                victim.notified(bits);
                ipc::receive(Timeout::FOREVER)?
            }
        }
    }
}

/// A client waits for input before it does anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// But it has looked the server up.
    Unmet,
    /// But it has looked the server up and called it.
    Met,
}

/// The server, as it was before the gate opened.
fn find(gate: Option<Gate>) -> Result<Handle, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    if gate == Some(Gate::Met) {
        call(server, &mut Message::new([1, 0, 0, 0]), Timeout::FOREVER)?;
    }
    if gate.is_some() {
        linux::read(0, &mut [0; 64]).map_err(|_| Error::Io)?;
    }
    Ok(server)
}

/// One call.
fn one(how: &str, what: &str, number: u64, gate: Option<Gate>) -> Result<bool, Error> {
    let word = REQUESTS.iter().find(|(name, _)| *name == what).map_or(GATE, |(_, word)| *word);
    let server = find(gate)?;
    let mut message = Message::new([word, number, 0, 0]);
    if what == "borrow" {
        return lend(server, message, how, number);
    }
    if what == "keep" {
        message.pages = Some(Pages::alloc(number as u32)?.hand_over());
    }
    let outcome = one_call(server, &mut message, how);
    let gone = if message.pages.is_some() { ", pages kept" } else { "" };
    Ok(print(what, &outcome) && (gone.is_empty() || println!("{what}{gone}")))
}

/// One call with a page lent, and what is in it then: at once and when the server is done with it.
fn lend(server: Handle, message: Message<'_>, how: &str, number: u64) -> Result<bool, Error> {
    let mut pages = Pages::alloc(1)?;
    pages.as_mut_slice().fill(7);
    let outcome = one_call(server, &mut message.with_pages(pages.lend_write()), how);
    let mut good = print("borrow", &outcome);
    let now = [pages.as_slice()[0], pages.as_slice()[1]];
    pages.as_mut_slice()[0] = 9;
    ant::sleep_us((number + 100) * 1000);
    let later = [pages.as_slice()[0], pages.as_slice()[1]];
    good &= println!("borrow: {now:?}, later {later:?}");
    Ok(good)
}

fn one_call(
    server: Handle,
    message: &mut Message<'_>,
    how: &str,
) -> Result<[u64; IPC_WORDS], CallError> {
    let timeout = if how == "try" { PATIENCE } else { Timeout::FOREVER };
    let on_restart = if how == "ask" { OnRestart::Wait } else { OnRestart::Fail };
    Ok(ipc::call(server, message, timeout, on_restart)?.words)
}

fn print(what: &str, outcome: &Result<[u64; IPC_WORDS], CallError>) -> bool {
    match *outcome {
        Ok([0, a, b, generation]) => println!("{what}: {a} {b}, generation {generation}"),
        Ok([error, ..]) => println!("{what}: {:?}", Error::from_return(error as i64)),
        Err(error) => println!("{what}: {error:?}"),
    }
}

/// Counts for so many milliseconds. In each generation the server must have counted each of this
/// client's requests once.
fn repeat(how: &str, ms: u64, pause_us: Option<u64>) -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let clock = Clock::new()?;
    let until = clock.now_us() + ms * 1000;
    let (mut last, mut seen) = ((0, 0), false);
    let (mut served, mut changes, mut restarts, mut lost, mut failed) =
        (0u64, 0u64, 0u64, 0u64, 0u64);
    while clock.now_us() < until {
        match one_call(server, &mut Message::new([1, 0, 0, 0]), how) {
            Ok([0, count, _, generation]) => {
                served += 1;
                if seen && last.1 == generation {
                    lost += u64::from(count != last.0 + 1);
                } else {
                    changes += u64::from(seen);
                    lost += u64::from(seen && count != 1);
                }
                (last, seen) = ((count, generation), true);
            }
            Err(CallError::PeerRestarted { .. }) => restarts += 1,
            _ => failed += 1,
        }
        pause_us.into_iter().for_each(ant::sleep_us);
    }
    Ok(println!(
        "loop: {served} served, {changes} changes, {restarts} restarts, {lost} lost, {failed} failed"
    ))
}

/// Has every server fault that there is, until nobody serves any more.
fn kill() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    for killed in 0.. {
        match one_call(server, &mut Message::new([4, 0, 0, 0]), "ask") {
            Err(CallError::PeerRestarted { .. }) => {}
            outcome => return Ok(println!("kill: {killed} killed") && print("kill", &outcome)),
        }
    }
    Ok(false)
}

/// Sends so many messages, each with a page, and raises bits; what became of the last of them.
fn send(count: u64, gate: Option<Gate>) -> Result<bool, Error> {
    let server = find(gate)?;
    let mut sent = Ok(());
    for _ in 0..count {
        sent = ipc::send(server, &mut Message::default().with_pages(Pages::alloc(1)?.hand_over()));
    }
    Ok(println!("send: {sent:?}, notify: {:?}", ipc::notify(server, 0b101)))
}

/// Ends by a fault, while it has pages in every way that there is.
fn hold(count: u32) -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let shared = Pages::alloc(count)?.into_shared();
    ipc::send(own, &mut Message::default().with_pages(Pages::alloc(count)?.hand_over()))?;
    ipc::send(own, &mut Message::default().with_pages(shared.share()))?;
    let mut kept = Pages::alloc(count)?;
    kept.as_mut_slice().fill(1);
    let mut lent = Pages::alloc(count)?;
    // Nobody replies: it was taken back.
    let mut message = Message::default().with_pages(lent.lend_write());
    let called = call(own, &mut message, Timeout::ms(20)).map(drop);
    println!("hold: {called:?}");
    fail::read_nothing();
    Ok(kept.as_slice()[0] == 0)
}

/// Takes pages one by one until it gets none; how many it got. They are free when it ends.
fn take_all() -> (u64, Error) {
    let mut taken = 0;
    loop {
        match Pages::alloc(1) {
            Ok(pages) => mem::forget(pages),
            Err(error) => return (taken, error),
        }
        taken += 1;
    }
}

/// Takes all the pages that it gets, and keeps them until it is given input. The last of them counts
/// whatever it does with it.
fn hog() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let last = Pages::alloc(1)?;
    let (taken, error) = take_all();
    let mut good = println!("hog: {} {error:?}", taken + 1);
    ipc::send(own, &mut Message::default().with_pages(last.hand_over()))?;
    good &= println!("hog: handed over: {:?}", Pages::alloc(1).map(drop));
    let Received::Send(mut message) = ipc::receive(Timeout::FOREVER)? else { return Ok(false) };
    let last = message.take_pages().ok_or(Error::Fault)?.into_shared();
    ipc::send(own, &mut Message::default().with_pages(last.share()))?;
    good &= println!("hog: shared: {:?}", Pages::alloc(1).map(drop));
    drop(last);
    good &= println!("hog: let go: {:?}", Pages::alloc(1).map(drop));
    drop(ipc::receive(Timeout::FOREVER)?);
    good &= println!("hog: freed: {:?}", Pages::alloc(1).map(mem::forget));
    linux::read(0, &mut [0; 64]).map_err(|_| Error::Io)?;
    Ok(good)
}

fn call(server: Handle, message: &mut Message<'_>, timeout: Timeout) -> Result<Reply, Error> {
    Ok(ipc::call(server, message, timeout, OnRestart::Fail)?)
}
