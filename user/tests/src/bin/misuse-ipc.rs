//! `misuse-ipc HOW`: does with IPC what a program must not, and says what AnT answers. For tests: the
//! answer must be an error, and nothing else may happen.
//!
//! `misuse-ipc serve HOW` is a server that does not do what it should; the other process is
//! `misuse-ipc call`, `fetch`, `lend`, `look` or `touch given`.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_abi::bundle::HANDLE_NAME;
use ant_abi::ipc::{BATCH_MAX, NOTIFY_EXITED, SENDS_MAX, Span, Transfer};
use ant_api_name::Name;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Batch, Handle, Message, OnRestart, Received, Timeout, Token};
use ant_rt::{Args, ant, device, eprintln, init_calls, linux, println};
use ant_user_tests::{fail, unchecked};

ant_rt::program!(main);

/// What the server is registered as.
const NAME: &str = "misuse";
const WAIT_MS: u64 = 5_000;
/// How long callers wait for a reply that does not come.
const PATIENCE: Timeout = Timeout::ms(200);
/// A number that is no handle of a new process.
const NO_HANDLE: u64 = 31;
/// A port that no process is granted: the keyboard's.
const NO_PORT: u16 = 0x60;

fn main(args: Args) -> i32 {
    let how = args.text(1).unwrap_or("");
    let done = match how {
        "handle" => handle(),
        "token" => token(),
        "pages" => pages(),
        "queue" => queue(),
        "full" => full(),
        "names" => names(),
        "batch" => batch(),
        "bits" => bits(),
        "endpoint" => endpoint(),
        "receive" => receive(),
        "wait" => wait(),
        "privileged" => privileged(),
        "port" => Ok(println!("port: {:?}", device::port_read(NO_PORT))),
        "touch" => touch(args.text(2).unwrap_or("")),
        "serve" => serve(args.text(2).unwrap_or("")),
        "call" => call(),
        "fetch" => fetch(),
        "lend" => lend(),
        "look" => look(),
        _ => {
            eprintln!(
                "usage: misuse-ipc handle|token|pages|queue|full|names|batch|bits|endpoint|receive|\
                 wait|privileged|port|call|fetch|lend|look|touch freed|queued|given|\
                 serve silent|twice|dying|batch|limit|keep|write|late"
            );
            return 2;
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("misuse-ipc: {how}: {error:?}");
            1
        },
        |printed| i32::from(!printed),
    )
}

/// The one handle that it was given.
fn name_service() -> Result<Handle, Error> {
    Handle::named(HANDLE_NAME).ok_or(Error::BadHandle)
}

/// Uses handles that it does not have.
fn handle() -> Result<bool, Error> {
    let mut good = true;
    for number in [NO_HANDLE, 1 << 40, u64::MAX] {
        let handle = Handle::new(number).ok_or(Error::BadHandle)?;
        let called = call_empty(handle).map(drop);
        good &= println!("handle: call {called:?}");
        good &= println!("handle: send {:?}", ipc::send(handle, &mut Message::default()));
        good &= println!("handle: notify {:?}", ipc::notify(handle, 1));
        good &= println!("handle: close {:?}", ipc::close(handle));
        let mut message = Message::default().with_handle(handle);
        good &= println!("handle: passed {:?}", ipc::send(name_service()?, &mut message));
    }
    Ok(good)
}

/// Replies to requests that it has not received.
fn token() -> Result<bool, Error> {
    ipc::open_endpoint()?;
    Ok([1, 0x0100, u64::MAX].iter().all(|&number| {
        let token = unchecked::forged_token(number);
        println!("token: {:?}", ipc::reply(token, &mut Message::default()))
    }))
}

/// Sends pages that are not its own, or not in a way that they can go.
fn pages() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let kept = Pages::alloc(2)?;
    let first = ((address(&kept) - ant_abi::layout::ICA_START) / 4096) as u32;
    let last = ant::system_info()?.ica_pages - 1;
    let lca = ((ant::lca_get(0)?.virt - ant_abi::layout::ICA_START) / 4096) as u32;
    let wrong = [
        ("not owned", Span::new(last, 1, Transfer::HandOver)),
        ("the LCA", Span::new(lca, 1, Transfer::HandOver)),
        ("beyond the end", Span::new(last, 2, Transfer::HandOver)),
        ("none", Span::new(first, 0, Transfer::HandOver)),
        ("half owned", Span::new(first + 1, 2, Transfer::HandOver)),
        ("lent by a send", Span::new(first, 2, Transfer::LendRead)),
        ("no mode", Span(first.into())),
        ("another mode", Span(9 << 48 | 1 << 24 | u64::from(first))),
    ];
    let mut good = true;
    for (what, span) in wrong {
        good &= println!("pages: {what}: {:?}", unchecked::send_span(own, span));
    }
    let given = Span::new(first, 2, Transfer::HandOver);
    ipc::send(own, &mut Message::default().with_pages(kept.hand_over()))?;
    good &= println!("pages: given away: {:?}", unchecked::send_span(own, given));
    let Received::Send(mut message) = ipc::receive(PATIENCE)? else { return Ok(false) };
    Ok(good & println!("pages: received back: {}", message.take_pages().is_some()))
}

/// Sends more than there is room for.
fn queue() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    for _ in 0..SENDS_MAX {
        ipc::send(own, &mut Message::default())?;
    }
    let mut message = Message::default().with_pages(Pages::alloc(1)?.hand_over());
    let refused = ipc::send(own, &mut message);
    Ok(println!("queue: {refused:?}, pages kept: {}", message.pages.is_some()))
}

/// Keeps as many messages unread as it can, until its standard input has something.
fn full() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let sent = (0..SENDS_MAX).filter(|_| ipc::send(own, &mut Message::default()).is_ok());
    let good = println!("full: {}", sent.count());
    linux::read(0, &mut [0; 64]).map_err(|_| Error::Io)?;
    Ok(good)
}

/// Registers more names than one process can have.
fn names() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let mut names = ["a", "b", "c", "d", "e"].into_iter();
    let refused = names.try_for_each(|name| ant_api_name::register(Name::new(name)?, own));
    let again = ant_api_name::register(Name::new("d")?, own);
    Ok(println!("names: {refused:?}, {} left, one's own again: {again:?}", names.count()))
}

/// Has a batch fail in part.
fn batch() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let mut batch = Batch::new();
    batch.notify(own, 1)?;
    batch.send(Handle::new(NO_HANDLE).ok_or(Error::BadHandle)?, Message::default())?;
    batch.reply(unchecked::forged_token(1), Message::default())?;
    for _ in 3..BATCH_MAX {
        batch.send(own, Message::default())?;
    }
    let full = batch.send(own, Message::default());
    let mut good = println!("batch: one too many: {full:?}");
    for (index, result) in batch.run()?.iter().enumerate().take(4) {
        good &= println!("batch: {index}: {result:?}");
    }
    Ok(good)
}

/// Raises notification bits that are the kernel's.
fn bits() -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    Ok(println!("bits: {:?}", ipc::notify(own, NOTIFY_EXITED)))
}

/// Opens a second endpoint.
fn endpoint() -> Result<bool, Error> {
    ipc::open_endpoint()?;
    Ok(println!("endpoint: {:?}", ipc::open_endpoint()))
}

/// Receives without an endpoint, then where nothing comes, then without waiting.
fn receive() -> Result<bool, Error> {
    let without = ipc::receive(PATIENCE).map(drop);
    let good = println!("receive: {without:?}");
    let own = ipc::open_endpoint()?;
    for timeout in [PATIENCE, Timeout::NOW] {
        let nothing = ipc::receive(timeout).map(drop);
        println!("receive: {nothing:?}");
    }
    ipc::send(own, &mut Message::default())?;
    let something = ipc::receive(Timeout::NOW).map(drop);
    Ok(good & println!("receive: {something:?}"))
}

/// Receives where nothing comes, for so long that it can be moved meanwhile.
fn wait() -> Result<bool, Error> {
    ipc::open_endpoint()?;
    let nothing = ipc::receive(Timeout::ms(WAIT_MS)).map(drop);
    Ok(println!("wait: {nothing:?}"))
}

/// What only `init` may do.
fn privileged() -> Result<bool, Error> {
    let name = name_service()?;
    let results = [
        init_calls::endpoint_create().map(drop),
        init_calls::endpoint_bind(name, 1).map(drop),
        init_calls::endpoint_close(name),
        init_calls::handle_grant(1, name, 0).map(drop),
        init_calls::process_priority(1, 7),
        init_calls::process_move(1, 0),
        init_calls::process_ended().map(drop),
    ];
    Ok(results.iter().all(|result| println!("privileged: {result:?}")))
}

/// Touches a page that was its own, and that the processor may still know as such.
fn touch(how: &str) -> Result<bool, Error> {
    let mut page = Pages::alloc(1)?;
    page.as_mut_slice().fill(7);
    let address = address(&page);
    match how {
        "freed" => drop(page),
        "queued" => {
            let own = ipc::open_endpoint()?;
            ipc::send(own, &mut Message::default().with_pages(page.hand_over()))?;
        }
        "given" => {
            let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
            let mut message = Message::default().with_pages(page.hand_over());
            ipc::call(server, &mut message, PATIENCE, OnRestart::Fail)?;
        }
        _ => return Err(Error::Invalid),
    }
    println!("touch: at {address:#x}");
    fail::read_at(address);
    Ok(false)
}

/// Takes one request, and does not do with it what it should.
fn serve(how: &str) -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    ant_api_name::register(Name::new(NAME)?, own)?;
    let Received::Call(mut request) = ipc::receive(Timeout::ms(WAIT_MS))? else { return Ok(false) };
    // Where its caller's pages are, in every process.
    let address = request.words[0];
    let pages = request.take_pages();
    let Some(token) = request.take_token() else { return Ok(false) };
    match how {
        "silent" => {
            // Until its caller has lost patience, and longer.
            let next = ipc::receive(Timeout::ms(1000)).map(drop);
            let late = ipc::reply(token, &mut Message::default());
            Ok(println!("serve: then {next:?}, too late {late:?}"))
        }
        "twice" => {
            let again = unchecked::copy_token(&token);
            let first = ipc::reply(token, &mut Message::default());
            let second = ipc::reply(again, &mut Message::default());
            Ok(println!("serve: first {first:?}, second {second:?}"))
        }
        "batch" => batch_of_replies(own, token),
        "limit" => {
            let again = unchecked::copy_token(&token);
            let then = ipc::reply_receive(Some(token), &mut Message::default(), PATIENCE).map(drop);
            let late = ipc::reply(again, &mut Message::default());
            Ok(println!("serve: then {then:?}, again {late:?}"))
        }
        "keep" => {
            let pages = pages.ok_or(Error::Fault)?;
            let then = ipc::reply_receive(Some(token), &mut Message::default(), PATIENCE).map(drop);
            let kept = pages.as_slice().iter().all(|&byte| byte == 7);
            Ok(println!("serve: then {then:?}, kept: {kept}"))
        }
        "write" => {
            // It may read them, and has.
            fail::read_at(address);
            println!("serve: at {address:#x}");
            fail::write_at(address);
            Ok(false)
        }
        "late" => {
            fail::write_at(address);
            ipc::reply(token, &mut Message::default())?;
            println!("serve: at {address:#x}");
            fail::write_at(address);
            Ok(false)
        }
        _ => {
            // Its caller must learn of its end.
            fail::read_nothing();
            Ok(false)
        }
    }
}

/// Replies with a page, and a second time in the same batch; the second page stays its own.
fn batch_of_replies(own: Handle, token: Token) -> Result<bool, Error> {
    let page = || Pages::alloc(1).map(|page| Message::default().with_pages(page.hand_over()));
    let mut batch = Batch::new();
    batch.reply(unchecked::copy_token(&token), page()?)?;
    batch.reply(token, page()?)?;
    batch.send(own, page()?)?;
    let results = batch.run()?;
    Ok(results.iter().enumerate().all(|(n, result)| println!("serve: {n}: {result:?}")))
}

/// Calls such a server, twice.
fn call() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let mut good = true;
    for _ in 0..2 {
        good &= println!("call: {:?}", call_empty(server).map(drop));
    }
    Ok(good)
}

/// Calls such a server once, and says whether pages came with the reply.
fn fetch() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let pages = call_empty(server)?.take_pages();
    Ok(println!("fetch: pages: {}", pages.is_some()))
}

/// Lends such a server a page to read, which must be as it was.
fn look() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let mut page = Pages::alloc(1)?;
    page.as_mut_slice().fill(7);
    let mut message = Message::new([address(&page), 0, 0, 0]).with_pages(page.lend_read());
    let called = ipc::call(server, &mut message, PATIENCE, OnRestart::Fail).map(drop);
    let same = page.as_slice().iter().all(|&byte| byte == 7);
    Ok(println!("look: {called:?}, as it was: {same}"))
}

/// Lends such a server pages, which must be back.
fn lend() -> Result<bool, Error> {
    let server = ant_api_name::wait_for(Name::new(NAME)?, WAIT_MS)?;
    let mut pages = Pages::alloc(1)?;
    let message = Message::new([address(&pages), 0, 0, 0]);
    let mut message = message.with_pages(pages.lend_write());
    let called = ipc::call(server, &mut message, PATIENCE, OnRestart::Fail).map(drop);
    pages.as_mut_slice().fill(7);
    let back = pages.as_slice().iter().all(|&byte| byte == 7);
    Ok(println!("lend: {called:?}, back: {back}"))
}

/// Where pages are.
fn address(pages: &Pages) -> u64 {
    pages.as_slice().as_ptr() as u64
}

fn call_empty(handle: Handle) -> Result<ipc::Reply, ipc::CallError> {
    ipc::call(handle, &mut Message::default(), PATIENCE, OnRestart::Fail)
}
