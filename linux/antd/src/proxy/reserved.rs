//! The descriptors that a proxy needs for itself.
//!
//! A program that closes all its descriptors in a loop, or copies one to a high number, must not
//! lose its proxy. So calls that would close, replace, copy or use one of them get `-EBADF`, as if
//! it were not open. A program can still reach them on purpose (through `/proc/self/fd`, say), which
//! harms only itself: the module takes one result for each call, for the CPU that waits.

use std::os::fd::RawFd;

use ant_logic::calls::{closes, nr};

/// Calls with a descriptor as first argument that they copy, or use with side effects.
const NAMED_FIRST: &[u64] = &[
    nr::DUP,
    nr::DUP2,
    nr::DUP3,
    nr::FCNTL,
    nr::IOCTL,
    nr::READ,
    nr::READV,
    nr::WRITE,
    nr::WRITEV,
];

/// A proxy's own descriptors.
#[derive(Clone, Copy, Debug)]
pub struct Reserved(pub [RawFd; 2]);

impl Reserved {
    /// Whether the call would do something to one of them.
    #[must_use]
    pub fn named_by(self, number: u64, args: &[u64; 6]) -> bool {
        // Linux looks at the lower half of a register only.
        let own = |descriptor: u32| self.0.contains(&descriptor.cast_signed());
        closes(number, args).is_some_and(own)
            || NAMED_FIRST.contains(&number) && own(args[0] as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Reserved = Reserved([1000, 1001]);

    #[test]
    fn its_own_descriptors_are_out_of_reach() {
        assert!(OWN.named_by(nr::CLOSE, &[1000, 0, 0, 0, 0, 0]));
        assert!(OWN.named_by(nr::CLOSE, &[0xffff_ffff_0000_03e9, 0, 0, 0, 0, 0]));
        assert!(OWN.named_by(nr::DUP2, &[1, 1001, 0, 0, 0, 0]));
        assert!(OWN.named_by(nr::DUP2, &[1001, 1, 0, 0, 0, 0]));
        assert!(OWN.named_by(nr::IOCTL, &[1000, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn everything_else_is_the_programs() {
        assert!(!OWN.named_by(nr::CLOSE, &[3, 0, 0, 0, 0, 0]));
        assert!(!OWN.named_by(nr::READ, &[3, 0, 1000, 0, 0, 0]));
        assert!(!OWN.named_by(nr::UMASK, &[1000, 0, 0, 0, 0, 0]));
    }
}
