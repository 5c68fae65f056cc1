//! The server of a serial line, COM2: AnT's console.
#![no_std]
#![no_main]

mod uart;

use core::fmt::Write;

use ant_abi::Error;
use ant_api_name::Name;
use ant_api_serial::{INLINE_MAX, Inline, NAME, Request, encode_read};
use ant_rt::Args;
use ant_rt::ica::LentPages;
use ant_rt::ipc::{self, Handle, Message};
use ant_rt::server::{self, Service, Start};
use arrayvec::{ArrayString, ArrayVec};

use uart::Uart;

ant_rt::program!(main);

/// Where the manifest grants the ports.
const COM2: u16 = 0x2f8;
/// Bytes that have come and nobody has read; more are lost.
const RECEIVED_MAX: usize = 256;
/// Bytes that are taken out of lent pages at a time.
const CHUNK: usize = 256;

fn main(_: Args) -> i32 {
    server::run(Serial::start)
}

struct Serial {
    uart: Uart,
    received: ArrayVec<u8, RECEIVED_MAX>,
}

impl Service for Serial {
    fn call(&mut self, request: &mut ipc::Request) -> Message<'_> {
        let done = match Request::decode(request.words) {
            Ok(Request::Write(data)) => self.uart.write(data.as_slice()),
            Ok(Request::WriteLent(len)) => match request.lent() {
                Some(pages) => self.write_lent(&pages, len),
                None => Err(Error::Fault),
            },
            Ok(Request::Read) => return Message::new(encode_read(self.read())),
            Err(error) => Err(error),
        };
        Message::result(done.map(|()| 0))
    }

    /// The line's interrupt is the only notification that is granted.
    fn notified(&mut self, _: u64) {
        self.receive();
    }
}

impl Serial {
    fn start(start: Start) -> Result<Self, Error> {
        let uart = Uart::start(COM2)?;
        let mut hello = ArrayString::<64>::new();
        // It fits.
        let _ = write!(hello, "AnT: serial console, generation {}\r\n", start.generation);
        uart.write(hello.as_bytes())?;
        ant_api_name::register(Name::new(NAME)?, Handle::OWN)?;
        Ok(Self { uart, received: ArrayVec::new() })
    }

    fn write_lent(&self, pages: &LentPages<'_>, len: usize) -> Result<(), Error> {
        let mut chunk = [0; CHUNK];
        for offset in (0..len).step_by(CHUNK) {
            let chunk = &mut chunk[..CHUNK.min(len - offset)];
            pages.read(offset, chunk)?;
            self.uart.write(chunk)?;
        }
        Ok(())
    }

    fn read(&mut self) -> Inline {
        let data = Inline::first_of(&self.received);
        self.received.drain(..self.received.len().min(INLINE_MAX));
        data
    }

    /// Takes what the line has received; without room the newest is lost, as on any line.
    fn receive(&mut self) {
        while let Some(byte) = self.uart.receive() {
            let _ = self.received.try_push(byte);
        }
    }
}
