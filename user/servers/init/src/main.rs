//! The first process of AnT: supervises the OS servers of the bundle, and executes the commands of `antd`.
//!
//! One loop takes whatever comes: requests of `antd` ([`control`]), the ends and the requests of the
//! servers ([`servers`]), and the passing of time. Nothing here waits for a server or for Linux, so
//! that neither can keep the others from their `init`.
#![no_std]
#![no_main]

mod control;
mod program;
mod servers;

use ant_abi::Error;
use ant_abi::ipc::NOTIFY_EXITED;
use ant_rt::ipc::{self, Received, Timeout};
use ant_rt::time::Clock;
use ant_rt::{Args, log};

use control::Control;
use servers::Servers;

ant_rt::program!(main);

/// `init` must not end: if its channel does, the daemon has, and the partition is about to.
fn main(_: Args) -> i32 {
    match run() {
        Ok(never) => match never {},
        Err(error) => {
            log!("init cannot work: {error:?}");
            1
        }
    }
}

fn run() -> Result<core::convert::Infallible, Error> {
    let clock = Clock::new()?;
    let own = ipc::open_endpoint()?;
    let mut servers = Servers::new(own)?;
    let mut control = Control::new()?;
    loop {
        let now = clock.now_us();
        servers.advance(now);
        control.advance(&mut servers, now);
        let until = servers.deadline();
        let timeout = until.saturating_sub(clock.now_us());
        let timeout = if until == u64::MAX { Timeout::FOREVER } else { Timeout::us(timeout) };
        match ipc::receive(timeout) {
            Ok(Received::Notification(bits)) => {
                let now = clock.now_us();
                // Before exit notices: these heartbeats are of processes that served until now.
                servers.heartbeat(bits, now);
                if bits & NOTIFY_EXITED != 0 {
                    servers.collect_ended(now);
                }
                control.returned(bits);
            }
            Ok(Received::Call(request)) => servers.call(request, clock.now_us()),
            // No interface of `init` has a message without an answer.
            Ok(Received::Send(_)) | Err(Error::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}
