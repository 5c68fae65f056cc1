//! `transfer`: passes pages in each of the four ways to a second process, `transfer serve`, and checks
//! what each of them sees. For tests.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::ica::{OutgoingPages, Pages, SharedPages};
use ant_rt::ipc::{self, Handle, Message, OnRestart, Received, Reply, Request, Timeout};
use ant_rt::{Args, eprintln, println};

ant_rt::program!(main);

/// What the server is registered as.
const NAME: &str = "transfer";
const WAIT_MS: u64 = 5_000;
/// Pages that are passed.
const PAGES: u32 = 2;

/// Request: the sum of the bytes of the pages that are lent.
const SUM: u64 = 0;
/// Request: every byte of the pages that are lent or handed over gets one more; those come back.
const RAISE: u64 = 1;
/// Request: keep the pages that are shared, and put this request's second word into their first.
const KEEP: u64 = 2;
/// Request: the first word of the pages that were kept.
const LOOK: u64 = 3;
/// Request: end.
const END: u64 = 4;

fn main(args: Args) -> i32 {
    let done = match args.text(1) {
        None => check(),
        Some("serve") => serve(),
        Some(_) => {
            eprintln!("usage: transfer, beside transfer serve");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("transfer: {error:?}");
            1
        }
    }
}

fn check() -> Result<(), Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let mut pages = Pages::alloc(PAGES)?;
    let count = pages.as_slice().len() as u64;
    pages.as_mut_slice().fill(3);
    let sum = call(server, SUM, 0, Some(pages.lend_read()))?.result()?;
    report("lent to read", sum == 3 * count && holds(&pages, 3));
    call(server, RAISE, 0, Some(pages.lend_write()))?.result()?;
    report("lent to write", holds(&pages, 4));
    let mut reply = call(server, RAISE, 0, Some(pages.hand_over()))?;
    let pages = reply.take_pages().ok_or(Error::Fault)?;
    report("handed over and back", holds(&pages, 5));
    let shared = pages.into_shared();
    call(server, KEEP, 77, Some(shared.share()))?.result()?;
    let first = &shared.words()[0];
    report("shared, written there", first.load(Ordering::SeqCst) == 77);
    first.store(78, Ordering::SeqCst);
    report("shared, written here", call(server, LOOK, 0, None)?.result()? == 78);
    drop(shared);
    report("shared, given up here", call(server, LOOK, 0, None)?.result()? == 78);
    call(server, END, 0, None).map(drop)
}

fn holds(pages: &Pages, value: u8) -> bool {
    pages.as_slice().iter().all(|&byte| byte == value)
}

fn report(what: &str, is_right: bool) {
    println!("{what}: {}", if is_right { "right" } else { "WRONG" });
}

fn call(
    server: Handle,
    kind: u64,
    word: u64,
    pages: Option<OutgoingPages<'_>>,
) -> Result<Reply, Error> {
    let mut message = Message { pages, ..Message::new([kind, word, 0, 0]) };
    Ok(ipc::call(server, &mut message, Timeout::ms(WAIT_MS), OnRestart::Fail)?)
}

fn serve() -> Result<(), Error> {
    ant_api_name::register(Name::new(NAME)?, ipc::open_endpoint()?)?;
    let mut kept = None;
    loop {
        let Received::Call(mut request) = ipc::receive(Timeout::ms(WAIT_MS))? else { continue };
        let is_end = request.words[0] == END;
        let mut message =
            answer(&mut request, &mut kept).unwrap_or_else(|error| Message::result(Err(error)));
        if let Some(token) = request.take_token() {
            ipc::reply(token, &mut message)?;
        }
        if is_end {
            return Ok(());
        }
    }
}

fn answer(
    request: &mut Request,
    kept: &mut Option<SharedPages>,
) -> Result<Message<'static>, Error> {
    match request.words[0] {
        SUM => sum(request).map(|sum| Message::result(Ok(sum))),
        RAISE => raise(request),
        KEEP => {
            let pages = request.take_shared().ok_or(Error::Fault)?;
            pages.words()[0].store(request.words[1], Ordering::SeqCst);
            *kept = Some(pages);
            Ok(Message::result(Ok(0)))
        }
        LOOK => {
            let pages = kept.as_ref().ok_or(Error::Fault)?;
            Ok(Message::result(Ok(pages.words()[0].load(Ordering::SeqCst))))
        }
        _ => Ok(Message::result(Ok(0))),
    }
}

fn sum(request: &mut Request) -> Result<u64, Error> {
    let pages = request.lent().ok_or(Error::Fault)?;
    (0..pages.len()).try_fold(0, |sum, offset| {
        let mut byte = [0];
        pages.read(offset, &mut byte)?;
        Ok(sum + u64::from(byte[0]))
    })
}

fn raise(request: &mut Request) -> Result<Message<'static>, Error> {
    if let Some(mut pages) = request.take_pages() {
        pages.as_mut_slice().iter_mut().for_each(|byte| *byte += 1);
        return Ok(Message::result(Ok(0)).with_pages(pages.hand_over()));
    }
    let mut pages = request.lent().ok_or(Error::Fault)?;
    for offset in 0..pages.len() {
        let mut byte = [0];
        pages.read(offset, &mut byte)?;
        pages.write(offset, &[byte[0] + 1])?;
    }
    Ok(Message::result(Ok(0)))
}
