//! Programs that have pages, and end with them or take all that they get.

use core::mem;

use ant_abi::Error;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Message, Received, Timeout};
use ant_rt::println;
use ant_user_tests::fail;

use crate::wait_for_input;

/// Ends by a fault, while it has pages of its own, shared ones, and some in messages that were not
/// received.
pub fn hold(count: u32) -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let shared = Pages::alloc(count)?.into_shared();
    ipc::send(own, &mut Message::default().with_pages(Pages::alloc(count)?.hand_over()))?;
    ipc::send(own, &mut Message::default().with_pages(shared.share()))?;
    let mut kept = Pages::alloc(count)?;
    kept.as_mut_slice().fill(1);
    fail::read_nothing();
    Ok(kept.as_slice()[0] == 0)
}

/// Takes pages one by one until it gets none; how many it got. They are free when it ends.
pub fn take_all() -> (u64, Error) {
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
pub fn hog() -> Result<bool, Error> {
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
    wait_for_input()?;
    Ok(good)
}
