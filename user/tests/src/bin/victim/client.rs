//! The clients: each prints what became of its calls.

use core::sync::atomic::Ordering;

use ant_abi::Error;
use ant_abi::ipc::IPC_WORDS;
use ant_api_name::Name;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, CallError, Handle, Message, OnRestart, Timeout};
use ant_rt::time::Clock;
use ant_rt::{ant, println};

use crate::{NAME, requests, wait_for_input};

/// Pause between two calls of `loop`.
pub const PAUSE_US: u64 = 1_000;
/// How long a client waits for the server to have a name.
const WAIT_MS: u64 = 5_000;
/// How long a client waits that has little patience.
const PATIENCE: Timeout = Timeout::ms(200);

/// A client waits for input before it does anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// But it has looked the server up.
    Unmet,
    /// But it has looked the server up and called it.
    Met,
}

/// Which server a client calls, and when.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    /// What it is registered as.
    pub name: &'a str,
    /// What has to happen before.
    pub gate: Option<Gate>,
}

impl Server<'_> {
    /// The server, as it was before the gate opened.
    fn find(self) -> Result<Handle, Error> {
        let server = ant_api_name::wait_for(Name::new(self.name)?, WAIT_MS)?;
        if self.gate == Some(Gate::Met) {
            count(server, "call")?;
        }
        if self.gate.is_some() {
            wait_for_input()?;
        }
        Ok(server)
    }
}

/// One call.
pub fn one(
    server: Server<'_>,
    how: &str,
    what: &str,
    number: u64,
    then: [Option<&str>; 2],
) -> Result<bool, Error> {
    let server = server.find()?;
    let [second, third] = then.map(|name| name.map_or(0, requests::number));
    let mut message = Message::new([requests::number(what), number, second, third]);
    match what {
        "borrow" => return lend(server, message, how, number),
        "look" => return lend_read(server, message, how),
        "share" => return share(server, message, how),
        "keep" => message.pages = Some(Pages::alloc(number as u32)?.hand_over()),
        _ => {}
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

/// One call with a page lent to be read, which is its own to write afterwards.
fn lend_read(server: Handle, message: Message<'_>, how: &str) -> Result<bool, Error> {
    let mut page = Pages::alloc(1)?;
    page.as_mut_slice().fill(7);
    let outcome = one_call(server, &mut message.with_pages(page.lend_read()), how);
    let same = page.as_slice().iter().all(|&byte| byte == 7);
    page.as_mut_slice().fill(8);
    Ok(print("look", &outcome) && println!("look: as it was: {same}"))
}

/// One call with a page shared, and its first word: as the server has left it, and as this process
/// writes it when there is input.
fn share(server: Handle, message: Message<'_>, how: &str) -> Result<bool, Error> {
    let shared = Pages::alloc(1)?.into_shared();
    let first = &shared.words()[0];
    first.store(5, Ordering::SeqCst);
    let outcome = one_call(server, &mut message.with_pages(shared.share()), how);
    let raised = first.load(Ordering::SeqCst);
    let good = print("share", &outcome);
    wait_for_input()?;
    first.store(raised + 1, Ordering::SeqCst);
    Ok(good & println!("share: {raised}, then {}", first.load(Ordering::SeqCst)))
}

fn one_call(
    server: Handle,
    message: &mut Message<'_>,
    how: &str,
) -> Result<[u64; IPC_WORDS], CallError> {
    let timeout = match how {
        "try" => PATIENCE,
        "now" => Timeout::NOW,
        _ => Timeout::FOREVER,
    };
    let on_restart = if how == "ask" { OnRestart::Wait } else { OnRestart::Fail };
    Ok(ipc::call(server, message, timeout, on_restart)?.words)
}

fn count(server: Handle, how: &str) -> Result<[u64; IPC_WORDS], CallError> {
    one_call(server, &mut Message::new([requests::number("count"), 0, 0, 0]), how)
}

fn print(what: &str, outcome: &Result<[u64; IPC_WORDS], CallError>) -> bool {
    match *outcome {
        Ok([0, a, b, generation]) => println!("{what}: {a} {b}, generation {generation}"),
        Ok([error, ..]) => println!("{what}: {:?}", Error::from_return(error as i64)),
        Err(error) => println!("{what}: {error:?}"),
    }
}

/// Counts for so many milliseconds. In each generation the server must have counted each of this
/// client's requests once. While there is one generation, also says how often it has counted in all.
pub fn repeat(how: &str, ms: u64, pause_us: Option<u64>) -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let clock = Clock::new()?;
    let until = clock.now_us() + ms * 1000;
    let (mut last, mut seen) = ((0, 0), false);
    let mut first = None;
    let (mut served, mut changes, mut restarts, mut lost, mut failed) =
        (0u64, 0u64, 0u64, 0u64, 0u64);
    while clock.now_us() < until {
        match count(server, how) {
            Ok([0, count, _, generation]) => {
                served += 1;
                if seen && last.1 == generation {
                    lost += u64::from(count != last.0 + 1);
                } else {
                    changes += u64::from(seen);
                    lost += u64::from(seen && count != 1);
                }
                (last, seen) = ((count, generation), true);
                first.get_or_insert(count);
            }
            Err(CallError::PeerRestarted { .. }) => restarts += 1,
            _ => failed += 1,
        }
        pause_us.into_iter().for_each(ant::sleep_us);
    }
    let good = println!(
        "loop: {served} served, {changes} changes, {restarts} restarts, {lost} lost, {failed} failed"
    );
    let all = if changes == 0 { last.0 - first.unwrap_or(last.0) + 1 } else { 0 };
    Ok(good && (all == 0 || println!("loop: of {all}")))
}

/// Has one server after the other fault, until none serves any more.
pub fn kill() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    for killed in 0.. {
        let mut message = Message::new([requests::number("fault"), 0, 0, 0]);
        match one_call(server, &mut message, "ask") {
            Err(CallError::PeerRestarted { .. }) => {}
            outcome => return Ok(println!("kill: {killed} killed") && print("kill", &outcome)),
        }
    }
    Ok(false)
}

/// Sends so many messages, each with a page, and raises bits; what became of the last of them.
pub fn send(server: Server<'_>, count: u64) -> Result<bool, Error> {
    let server = server.find()?;
    let mut sent = Ok(());
    for _ in 0..count {
        sent = ipc::send(server, &mut Message::default().with_pages(Pages::alloc(1)?.hand_over()));
    }
    Ok(println!("send: {sent:?}, notify: {:?}", ipc::notify(server, 0b101)))
}

/// For so many milliseconds, sends messages to a server of any name, and raises a bit, as fast as it
/// can.
pub fn flood_sends(name: &str, ms: u64) -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(name)?, WAIT_MS)?;
    let clock = Clock::new()?;
    let until = clock.now_us() + ms * 1000;
    let mut sent = 0u64;
    while clock.now_us() < until {
        sent += u64::from(ipc::send(server, &mut Message::default()).is_ok());
        ipc::notify(server, 1)?;
    }
    Ok(println!("flood: {sent} sent"))
}
