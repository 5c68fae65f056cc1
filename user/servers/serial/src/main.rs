//! The server of a serial line, COM2: AnT's console.
//!
//! Input that no client has read is in its state page (`ant_logic::persist::replay_buffer`), so it outlives the
//! server. A byte is taken out of the device and then put there; one that is on its way when the
//! server is killed is lost. What was written is in the device, which goes on.
#![no_std]
#![no_main]

mod uart;

use core::fmt::Write;

use ant_abi::Error;
use ant_api_name::Name;
use ant_api_serial::{INLINE_MAX, Inline, NAME, Request, encode_read};
use ant_logic::persist::replay_buffer::{ReplayBuffer, TAKEN_MAX};
use ant_rt::Args;
use ant_rt::ica::{LentPages, SharedPages};
use ant_rt::ipc::{self, Message};
use ant_rt::server::{self, Service, Start};
use arrayvec::ArrayString;

use uart::{FIFO_LEN, Uart};

ant_rt::program!(main);

/// Where the ports are of the device that the manifest names.
const COM2: u16 = 0x2f8;
/// Bytes that are taken out of lent pages at a time.
const CHUNK: usize = 256;

// A reading goes into one message.
const _: () = assert!(TAKEN_MAX == INLINE_MAX);

fn main(_: Args) -> i32 {
    server::run(Serial::start)
}

struct Serial {
    uart: Uart,
    input: ReplayBuffer<SharedPages>,
}

impl Service for Serial {
    fn call(&mut self, request: &mut ipc::Request) -> Message<'_> {
        let done = match Request::decode(request.words) {
            Ok(Request::Write(data)) => self.write(data.as_slice()),
            Ok(Request::WriteLent(len)) => match request.lent() {
                Some(pages) => self.write_lent(&pages, len),
                None => Err(Error::Fault),
            },
            Ok(Request::Read(number)) => return Message::new(encode_read(self.read(number))),
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
        let input = ReplayBuffer::restore(start.state.ok_or(Error::NoMemory)?);
        let serial = Self { uart: Uart::start(COM2)?, input };
        let mut hello = ArrayString::<64>::new();
        // It fits.
        let _ = write!(hello, "AnT: serial console, generation {}\r\n", start.generation);
        // A line that is stuck does not keep the server from starting: writers get the error.
        let _ = serial.uart.send_all(hello.as_bytes());
        ant_api_name::register(Name::new(NAME)?, start.endpoint)?;
        // What has come since the last one ended; no interrupt was raised. Last, because it is lost with
        // a server that does not get so far.
        serial.receive();
        Ok(serial)
    }

    fn write_lent(&self, pages: &LentPages<'_>, len: usize) -> Result<(), Error> {
        let mut chunk = [0; CHUNK];
        for offset in (0..len).step_by(CHUNK) {
            let chunk = &mut chunk[..CHUNK.min(len - offset)];
            pages.read(offset, chunk)?;
            self.write(chunk)?;
        }
        Ok(())
    }

    /// Sends all of it. What comes meanwhile would be more than the device keeps.
    fn write(&self, data: &[u8]) -> Result<(), Error> {
        data.chunks(FIFO_LEN).try_for_each(|chunk| {
            self.uart.send_all(chunk)?;
            self.receive();
            Ok(())
        })
    }

    fn read(&self, number: u64) -> Inline {
        let mut bytes = [0; TAKEN_MAX];
        let len = self.input.take(number, &mut bytes);
        Inline::first_of(&bytes[..len])
    }

    /// Takes what the line has received; without room the newest is lost, as on any line.
    fn receive(&self) {
        while let Some(byte) = self.uart.receive() {
            self.input.push(byte);
        }
    }
}
