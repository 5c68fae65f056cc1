//! The one list of error numbers.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Errors of AnT's system calls, of control messages and of the module.
///
/// The numbers are Linux's, so a process meets one set of numbers whichever kernel answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(i32)]
pub enum Error {
    /// The caller may not do that.
    NotPermitted = 1,
    /// No such file.
    NoEntry = 2,
    /// No such process.
    NoProcess = 3,
    /// A wait was interrupted.
    Interrupted = 4,
    /// A transfer failed.
    Io = 5,
    /// The arguments do not fit.
    TooLong = 7,
    /// Not a program of AnT.
    NotExecutable = 8,
    /// Not a handle of the caller.
    BadHandle = 9,
    /// Nothing there now, try again.
    Again = 11,
    /// No memory, or no free slot.
    NoMemory = 12,
    /// An address outside what the caller owns.
    Fault = 14,
    /// It is taken.
    Busy = 16,
    /// No such CPU, partition or device.
    NoDevice = 19,
    /// A value outside its range.
    Invalid = 22,
    /// The endpoint is closed.
    PeerGone = 32,
    /// No such system call.
    NoSystemCall = 38,
    /// A message that is not of the protocol.
    Protocol = 71,
    /// No caller waits for that reply.
    NotWaiting = 74,
    /// The server is another one by now.
    PeerRestarted = 104,
    /// The receiver has no room for another message.
    QueueFull = 105,
    /// The other side did not answer in time.
    TimedOut = 110,
    /// The caller has as many as it may have at a time.
    OverQuota = 122,
}

impl Error {
    /// The value a system call returns for this error: its number, negated.
    #[must_use]
    pub const fn to_return(self) -> i64 {
        -(self as i32 as i64)
    }

    /// The error a negative return value stands for, if it is one of this list.
    #[must_use]
    pub fn from_return(value: i64) -> Option<Error> {
        let number = value.checked_neg().and_then(|number| i32::try_from(number).ok())?;
        Error::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_value_stands_for_its_error() {
        for error in [Error::NotPermitted, Error::NotWaiting, Error::OverQuota] {
            assert_eq!(Error::from_return(error.to_return()), Some(error));
        }
        for value in [0, 1, -6, i64::MIN, -(1 << 32) - 1] {
            assert_eq!(Error::from_return(value), None);
        }
    }
}
