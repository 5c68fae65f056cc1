//! The name service: which handle a name stands for.
//!
//! What it knows outlives it: the names are in its state page, `init` keeps the handles. A name is
//! its owner's until the owner's endpoint is gone. The table is `ant_logic::persist::names`.
#![no_std]
#![no_main]

mod host;

use ant_abi::Error;
use ant_api_name::{Name, Request, with_name};
use ant_logic::persist::names::Names;
use ant_rt::Args;
use ant_rt::ipc::{self, Message};
use ant_rt::server::{self, Service, Start};

use host::NameHost;

ant_rt::program!(main);

fn main(_: Args) -> i32 {
    server::run(NameService::start)
}

struct NameService(Names<NameHost>);

impl Service for NameService {
    fn call(&mut self, request: &mut ipc::Request) -> Message<'_> {
        self.serve(request).unwrap_or_else(|error| Message::result(Err(error)))
    }
}

impl NameService {
    fn start(start: Start) -> Result<Self, Error> {
        let kept = start.kept().map(|(slot, handle)| (slot as usize, handle));
        let host = NameHost(start.state.ok_or(Error::NoMemory)?);
        let is_name = |words| Name::from_words(words).is_ok();
        Ok(Self(Names::restore(host, kept, is_name)))
    }

    fn serve(&mut self, request: &mut ipc::Request) -> Result<Message<'static>, Error> {
        match Request::decode(request.words)? {
            Request::Register(name) => {
                let handle = request.take_handle().ok_or(Error::BadHandle)?;
                self.0.register(name.to_words(), request.badge, handle)?;
                Ok(Message::result(Ok(0)))
            }
            Request::Lookup(name) => {
                let handle = self.0.lookup(name.to_words()).ok_or(Error::NoEntry)?;
                Ok(Message::result(Ok(0)).with_handle(handle))
            }
            Request::List(index) => {
                let name = self.0.name(index as usize).ok_or(Error::NoEntry)?;
                Ok(Message::new(with_name(0, Name::from_words(name)?)))
            }
        }
    }
}
