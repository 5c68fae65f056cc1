//! A server to copy: counts. Its interface is `user/api/counter`, which clients have, too.
//!
//! `README.md` beside it says how a copy gets into the manifest.
#![no_std]
#![no_main]

use ant_api_counter::{Add, NAME};
use ant_api_name::Name;
use ant_rt::Args;
use ant_rt::ipc::{Handle, Message, Request};
use ant_rt::server::{self, Service};

ant_rt::program!(main);

/// The loop is `server::run`'s: it begins when `init` says so, sends heartbeats, and ends
/// when another takes its place. What this does first is done for every generation anew.
fn main(_: Args) -> i32 {
    server::run(|_start| {
        // Handle::OWN is this server's endpoint; from now on clients find it by this name.
        ant_api_name::register(Name::new(NAME)?, Handle::OWN)?;
        Ok(Counter { count: 0 })
    })
}

/// What the server knows. It is gone when the server ends; what must not be belongs into the state
/// pages (`Start::state`), see `user/servers/name`.
struct Counter {
    count: u32,
}

impl Service for Counter {
    fn call(&mut self, request: &mut Request) -> Message<'_> {
        let Add(number) = Add::decode(request.words);
        self.count = self.count.wrapping_add(number);
        Message::result(Ok(self.count.into()))
    }
}
