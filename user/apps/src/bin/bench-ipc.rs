//! `bench-ipc COUNT`: times COUNT messages of each kind to a second process, `bench-ipc serve`, in
//! cycles of the time-stamp counter; prints `name value` lines. On which CPU each of the two runs is
//! up to the caller of `antctl`.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_abi::ipc::BATCH_MAX;
use ant_api_name::Name;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Batch, Handle, Message, OnRestart, Received, Reply, Timeout};
use ant_rt::{Args, ant, eprintln, println, time};

ant_rt::program!(main);

/// Most messages of one kind; the figures lie on the stack.
const MAX: usize = 5_000;
/// What the server is registered as.
const NAME: &str = "bench";
/// How long the client waits for the server to come.
const WAIT_MS: u64 = 5_000;

/// Request: reply at once, with the pages that have come.
const ECHO: u64 = 0;
/// Request: on which CPU the server runs.
const CPU: u64 = 1;
/// Request: end.
const END: u64 = 2;

fn main(args: Args) -> i32 {
    let done = match (args.text(1), args.text(1).and_then(|text| text.parse().ok())) {
        (Some("serve"), _) => serve(),
        (_, Some(count)) if (1..=MAX).contains(&count) => measure(count),
        _ => {
            eprintln!("usage: bench-ipc COUNT (1 to {MAX}), beside bench-ipc serve");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("bench-ipc: {error:?}");
            1
        }
    }
}

fn serve() -> Result<(), Error> {
    ant_api_name::register(Name::new(NAME)?, ipc::open_endpoint()?)?;
    let cpu = ant::system_info()?.cpu;
    let mut received = ipc::receive(Timeout::FOREVER)?;
    loop {
        let Received::Call(request) = &mut received else {
            received = ipc::receive(Timeout::FOREVER)?;
            continue;
        };
        let kind = request.words[0];
        let mut message = Message::result(Ok(u64::from(cpu)));
        message.pages = request.take_pages().map(Pages::hand_over);
        let token = request.take_token();
        if kind == END {
            return token.map_or(Ok(()), |token| ipc::reply(token, &mut message));
        }
        received = ipc::reply_receive(token, &mut message, Timeout::FOREVER)?;
    }
}

fn measure(count: usize) -> Result<(), Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let mut samples = [0; MAX];
    let samples = &mut samples[..count];
    let server_cpu = call(server, &mut request(CPU))?.result()?;
    println!("cpu.client {}", ant::system_info()?.cpu);
    println!("cpu.server {server_cpu}");
    time(samples, || call(server, &mut request(ECHO)).map(drop))?;
    report("call", samples);
    for (name, pages) in [("hand_over.1", 1), ("hand_over.256", 256)] {
        hand_over(server, pages, samples)?;
        report(name, samples);
    }
    time(samples, || Pages::alloc(1).map(drop))?;
    report("ica", samples);
    sends(server, samples, || {
        (0..BATCH_MAX).try_for_each(|_| ipc::send(server, &mut request(ECHO)))
    })?;
    report("send.16", samples);
    sends(server, samples, || send_batch(server))?;
    report("batch.16", samples);
    call(server, &mut request(END)).map(drop)
}

/// There and back: the server returns the pages.
fn hand_over(server: Handle, count: u32, samples: &mut [u64]) -> Result<(), Error> {
    let mut pages = Some(Pages::alloc(count)?);
    time(samples, || {
        let parcel = pages.take().map(Pages::hand_over);
        let mut message = Message { pages: parcel, ..request(ECHO) };
        pages = call(server, &mut message)?.take_pages();
        if pages.is_some() { Ok(()) } else { Err(Error::Protocol) }
    })
}

/// Times 16 messages without a reply; the call between them has them all received.
fn sends(
    server: Handle,
    samples: &mut [u64],
    mut send: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    for sample in samples {
        time(core::slice::from_mut(sample), &mut send)?;
        call(server, &mut request(ECHO))?;
    }
    Ok(())
}

fn send_batch(server: Handle) -> Result<(), Error> {
    let mut batch = Batch::new();
    for _ in 0..BATCH_MAX {
        batch.send(server, request(ECHO))?;
    }
    batch.run()?.into_iter().collect()
}

fn time(samples: &mut [u64], mut work: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    for sample in samples {
        let start = time::cycles();
        work()?;
        *sample = time::cycles() - start;
    }
    Ok(())
}

fn report(name: &str, samples: &mut [u64]) {
    samples.sort_unstable();
    let at = |percent| samples[(samples.len() - 1) * percent / 100];
    println!("{name}.min {}", at(0));
    println!("{name}.median {}", at(50));
    println!("{name}.p99 {}", at(99));
}

fn request(kind: u64) -> Message<'static> {
    Message::new([kind, 0, 0, 0])
}

fn call(server: Handle, message: &mut Message<'_>) -> Result<Reply, Error> {
    Ok(ipc::call(server, message, Timeout::FOREVER, OnRestart::Fail)?)
}
