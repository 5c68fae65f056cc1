//! One message: kind, id of the command, payload.

use std::io::{self, Read, Write};

/// Largest payload, in bytes; a longer one means that the stream is out of step.
const PAYLOAD_MAX: usize = 1 << 20;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Guest: the agent is ready.
    Hello,
    /// Host: start a command; payload is a [`crate::Start`].
    Start,
    /// Host: input for the command; empty: no more.
    Stdin,
    /// Host: kill the command and what it started.
    Kill,
    /// Host: the terminal's new size; payload is a [`crate::TermSize`].
    Resize,
    /// Guest: output of the command.
    Stdout,
    /// Guest: error output of the command.
    Stderr,
    /// Guest: the command has ended; payload is its status, an `i32` (128 + n for signal n).
    Exit,
}

const KINDS: [Kind; 8] = [
    Kind::Hello,
    Kind::Start,
    Kind::Stdin,
    Kind::Kill,
    Kind::Resize,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Exit,
];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says.
    pub kind: Kind,
    /// The command that it is about.
    pub id: u32,
    /// What belongs to it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame about the command `id`.
    pub fn new(kind: Kind, id: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, id, payload: payload.into() }
    }

    /// Writes the frame in one piece.
    ///
    /// # Errors
    /// What `to` says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or_default() as u32;
        let mut bytes = Vec::with_capacity(12 + self.payload.len());
        bytes.extend_from_slice(&(self.payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.payload);
        to.write_all(&bytes)
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// What `from` says, the end of the stream included; `InvalidData` for what is no frame.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut word = [0; 4];
        let mut next =
            |from: &mut _| Read::read_exact(from, &mut word).map(|()| u32::from_le_bytes(word));
        let len = next(from)? as usize;
        let kind = KINDS.get(next(from)? as usize).copied();
        let id = next(from)?;
        let (Some(kind), true) = (kind, len <= PAYLOAD_MAX) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut payload = vec![0; len];
        from.read_exact(&mut payload)?;
        Ok(Self { kind, id, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for kind in KINDS {
            let frame = Frame::new(kind, 7, b"payload".as_slice());
            let mut bytes = Vec::new();
            frame.write(&mut bytes).unwrap();
            assert_eq!(Frame::read(&mut bytes.as_slice()).unwrap(), frame);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let too_long = [0xff; 12];
        assert!(Frame::read(&mut too_long.as_slice()).is_err());
        assert!(Frame::read(&mut [0; 5].as_slice()).is_err());
    }
}
