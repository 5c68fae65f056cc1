//! The 16550 UART: 115,200 bits per second, 8 bits, no parity, its FIFOs in use.

use ant_abi::Error;
use ant_rt::{ant, device};

/// Data, or the divisor's low byte while `LINE_DIVISOR` is set.
const DATA: u16 = 0;
/// Which interrupts are wanted, or the divisor's high byte.
const INTERRUPTS: u16 = 1;
const FIFO: u16 = 2;
const LINE: u16 = 3;
const MODEM: u16 = 4;
const STATUS: u16 = 5;

const INTERRUPT_RECEIVED: u8 = 1 << 0;
/// FIFOs on; one byte raises the interrupt. The device empties them when it turns them on, and only
/// then: the last server may have left something in them.
const FIFO_ON: u8 = 0b0000_0001;
const LINE_8N1: u8 = 0b0000_0011;
const LINE_DIVISOR: u8 = 1 << 7;
/// DTR and RTS, and OUT2, without which a PC's UART raises no interrupt.
const MODEM_ON: u8 = 0b0000_1011;
const STATUS_RECEIVED: u8 = 1 << 0;
/// There is room for as many bytes as go into the FIFO.
const STATUS_SENT: u8 = 1 << 5;
/// The last byte has left.
const STATUS_IDLE: u8 = 1 << 6;
/// What is read where there is no device.
const NOTHING: u8 = 0xff;

/// Bytes that go into the FIFO once it is empty.
pub const FIFO_LEN: usize = 16;
/// The FIFO is empty after 16 × 87 µs; a line that takes ten times as long is stuck.
const POLLS: u32 = 140;
const POLL_US: u64 = 100;

/// The device, at its ports.
pub struct Uart {
    ports: u16,
}

impl Uart {
    /// Sets up the device at these ports, and leaves what is under way. `NoDevice`: there is none.
    pub fn start(ports: u16) -> Result<Self, Error> {
        let uart = Self { ports };
        if uart.get(STATUS)? == NOTHING {
            return Err(Error::NoDevice);
        }
        // Another divisor would spoil the byte that is just being sent. A line that is stuck is set up,
        // too: writers get the error.
        let _ = uart.wait_for(STATUS_IDLE);
        uart.set(INTERRUPTS, 0)?;
        uart.set(LINE, LINE_DIVISOR)?;
        uart.set(DATA, 1)?;
        uart.set(INTERRUPTS, 0)?;
        uart.set(LINE, LINE_8N1)?;
        uart.set(FIFO, FIFO_ON)?;
        uart.set(MODEM, MODEM_ON)?;
        uart.set(INTERRUPTS, INTERRUPT_RECEIVED)?;
        Ok(uart)
    }

    /// Sends all of `data`. `Io`: the line is stuck.
    pub fn send_all(&self, data: &[u8]) -> Result<(), Error> {
        for chunk in data.chunks(FIFO_LEN) {
            self.wait_for(STATUS_SENT)?;
            chunk.iter().try_for_each(|&byte| self.set(DATA, byte))?;
        }
        Ok(())
    }

    /// The next byte that has come.
    pub fn receive(&self) -> Option<u8> {
        // Where the device is gone, nothing comes.
        let status = self.get(STATUS).ok().filter(|&status| status != NOTHING)?;
        if status & STATUS_RECEIVED == 0 {
            return None;
        }
        self.get(DATA).ok()
    }

    /// Waits until a bit of the status is set.
    fn wait_for(&self, bit: u8) -> Result<(), Error> {
        for _ in 0..POLLS {
            if self.get(STATUS)? & bit != 0 {
                return Ok(());
            }
            ant::sleep_us(POLL_US);
        }
        Err(Error::Io)
    }

    fn get(&self, register: u16) -> Result<u8, Error> {
        device::port_read(self.ports + register)
    }

    fn set(&self, register: u16, value: u8) -> Result<(), Error> {
        device::port_write(self.ports + register, value)
    }
}
