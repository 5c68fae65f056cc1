//! The server.

use ant_abi::ipc::IPC_WORDS;
use ant_abi::{Error, PAGE_SIZE};
use ant_api_name::Name;
use ant_rt::ica::{Pages, SharedPages};
use ant_rt::ipc::{self, Handle, Message, OnRestart, Received, Request, Timeout, Token};
use ant_rt::server::{self, Service};
use ant_rt::{ant, device};
use ant_user_tests::fail;
use core::sync::atomic::Ordering;

use crate::requests::{self, GATE};
use crate::{ABSENT, HELPER, pages, wait_for_input};

/// How the server exits when it is asked to.
const STATUS: i32 = 7;
/// COM2's scratch register, which does nothing: what it holds outlives a server that has its port.
const SCRATCH: u16 = 0x2f8 + 7;
/// In the scratch register: it is to fault, or to hang; the low bits say how often.
const STUMBLES: u8 = 0xc0;
const HANGS: u8 = 0xd0;
const TIMES: u8 = 0x0f;
/// Requests that can be put aside.
const ASIDE_MAX: usize = 8;

/// The OS server.
pub fn run(name: &str) -> i32 {
    stumble();
    server::run(|start| {
        ant_api_name::register(Name::new(name)?, Handle::OWN)?;
        Ok(Victim::new(start.generation))
    })
}

/// Goes wrong if the one before was asked for that.
fn stumble() {
    // A candidate has no ports yet.
    let Ok(value) = device::port_read(SCRATCH) else { return };
    let (how, times) = (value & !TIMES, value & TIMES);
    if matches!(how, STUMBLES | HANGS) && times > 0 {
        let _ = device::port_write(SCRATCH, how | (times - 1));
        if how == STUMBLES {
            fail::read_nothing();
        }
        spin();
    }
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// What the server knows.
struct Victim {
    generation: u32,
    count: u64,
    sent: u64,
    bits: u64,
    kept: Option<Pages>,
    shared: Option<SharedPages>,
    aside: [Option<Token>; ASIDE_MAX],
}

impl Victim {
    fn new(generation: u32) -> Self {
        let (kept, shared, aside) = (None, None, [const { None }; ASIDE_MAX]);
        Self { generation, count: 0, sent: 0, bits: 0, kept, shared, aside }
    }

    /// Does a chain of requests; two words of the reply.
    fn serve(&mut self, request: &mut Request) -> Result<[u64; 2], Error> {
        let [first, number, then @ ..] = request.words;
        let done = self.serve_one(first, number, request)?;
        for next in then.into_iter().take_while(|&next| next != 0) {
            self.serve_one(next, number, request)?;
        }
        Ok(done)
    }

    fn serve_one(
        &mut self,
        word: u64,
        number: u64,
        request: &mut Request,
    ) -> Result<[u64; 2], Error> {
        match requests::name(word) {
            Some("count") => self.count += 1,
            Some("sleep") => ant::sleep_us(number * 1000),
            Some("spin") => spin(),
            Some("fault") => fail::read_nothing(),
            Some("exit") => ant::process_exit(STATUS),
            Some("pass") => drop(call(HELPER, Message::new([GATE, 0, 0, 0]))?),
            Some("pass-lent") => {
                let mut own = Pages::alloc(1)?;
                call(HELPER, Message::new([GATE, 0, 0, 0]).with_pages(own.lend_write()))?;
            }
            Some("pass-absent") => return call(ABSENT, count()),
            Some("relay") => return call(HELPER, count()),
            Some("keep") => {
                self.kept = request.take_pages();
                let bytes = self.kept.as_ref().map_or(0, |pages| pages.as_slice().len());
                return Ok([(bytes / PAGE_SIZE) as u64, 0]);
            }
            Some("share") => {
                self.shared = request.take_shared();
                let pages = self.shared.as_ref().ok_or(Error::Fault)?;
                return Ok([pages.words()[0].fetch_add(1, Ordering::SeqCst) + 1, 0]);
            }
            Some("borrow") => {
                let mut pages = request.lent().ok_or(Error::Fault)?;
                pages.write(0, &[1])?;
                ant::sleep_us(number * 1000);
                pages.write(1, &[2])?;
            }
            Some("look") => {
                let mut byte = [0];
                request.lent().ok_or(Error::Fault)?.read(0, &mut byte)?;
                return Ok([byte[0].into(), 0]);
            }
            Some("aside") => {
                let free = self.aside.iter_mut().find(|token| token.is_none());
                *free.ok_or(Error::QueueFull)? = request.take_token();
            }
            Some("release") => return Ok(self.release()),
            Some("take") => {
                let (taken, error) = pages::take_all();
                return Ok([taken, error as u64]);
            }
            Some("churn") => loop {
                drop(Pages::alloc(1));
            },
            Some("peek") => return Ok([u64::from(device::memory_read(number)), 0]),
            Some("port") => return Ok([u64::from(device::port_read(number as u16)?), 0]),
            Some("stumble") => device::port_write(SCRATCH, STUMBLES | number as u8 & TIMES)?,
            Some("hang") => device::port_write(SCRATCH, HANGS | number as u8 & TIMES)?,
            Some("told") => return Ok([self.sent, self.bits]),
            _ if word == GATE => {
                wait_for_input()?;
                // In good faith that its caller still waits.
                if let Some(mut pages) = request.lent() {
                    pages.write(0, &[3])?;
                }
            }
            _ => return Err(Error::Protocol),
        }
        Ok([self.count, 0])
    }

    fn release(&mut self) -> [u64; 2] {
        let [mut waited, mut gone] = [0, 0];
        for token in self.aside.iter_mut().filter_map(Option::take) {
            match ipc::reply(token, &mut Message::new([0, 0, 0, self.generation.into()])) {
                Ok(()) => waited += 1,
                Err(_) => gone += 1,
            }
        }
        [waited, gone]
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
pub fn serve(name: &str) -> Result<bool, Error> {
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

/// How often another was asked.
fn count() -> Message<'static> {
    Message::new([requests::number("count"), 0, 0, 0])
}

/// Calls another such server; two words of its reply.
fn call(name: &str, mut message: Message<'_>) -> Result<[u64; 2], Error> {
    let server = ant_api_name::lookup(Name::new(name)?)?;
    let reply = ipc::call(server, &mut message, Timeout::FOREVER, OnRestart::Fail);
    ipc::close(server)?;
    let [_, a, b, _]: [u64; IPC_WORDS] = reply?.words;
    Ok([a, b])
}
