//! A message as bytes: JSON in an envelope that names the protocol's revision.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Revision of these messages.
pub const PROTOCOL: u32 = 5;

/// What goes over the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    protocol: u32,
    body: T,
}

/// A message did not arrive, or cannot be understood.
#[derive(Debug, Error)]
pub enum MessageError {
    /// The other side speaks another revision.
    #[error(
        "antctl and antd are of different versions (protocol {theirs} here is {PROTOCOL}): restart \
         antd, or install both from one build"
    )]
    Protocol {
        /// Its revision.
        theirs: u32,
    },
    /// Not a message.
    #[error("not a message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Socket(#[from] Errno),
    /// The other side closed the connection.
    #[error("the other side closed the connection")]
    Closed,
}

/// A message as bytes.
///
/// # Panics
///
/// Never: these types can all be written.
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(&Envelope { protocol: PROTOCOL, body }).expect("messages can be written")
}

/// A message from bytes.
///
/// # Errors
///
/// They are no message, or one of another revision.
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, MessageError> {
    match serde_json::from_slice::<Envelope<T>>(bytes) {
        Ok(envelope) if envelope.protocol == PROTOCOL => Ok(envelope.body),
        Ok(envelope) => Err(MessageError::Protocol { theirs: envelope.protocol }),
        // A newer peer's message may be unknown: its revision is the better thing to say.
        Err(error) => match serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(bytes) {
            Ok(envelope) if envelope.protocol != PROTOCOL => {
                Err(MessageError::Protocol { theirs: envelope.protocol })
            }
            _ => Err(error.into()),
        },
    }
}
