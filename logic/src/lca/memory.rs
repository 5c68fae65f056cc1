//! The memory of a caller, as far as encoding needs it.

use ant_abi::{Error, PAGE_SIZE};

/// Bytes of a string that are copied at once: most paths fit, and little is copied in vain. It
/// divides a page, so no piece crosses into the next one.
const PIECE: usize = 128;

const _: () = assert!(PAGE_SIZE.is_multiple_of(PIECE));

/// Memory that a call's pointers point into.
pub trait Memory {
    /// Copies `out.len()` bytes from `addr` on.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if any of them is outside.
    fn read(&self, addr: u64, out: &mut [u8]) -> Result<(), Error>;

    /// Copies `data` to `addr`.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if any byte is outside; then it is open what was written.
    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Error>;

    /// Copies bytes from `addr` on, up to and with the first NUL; how many.
    ///
    /// Touches no page beyond the one with the NUL. What is in `out` beyond the NUL is open.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the memory ends before the NUL, [`Error::TooLong`] if `out` does.
    fn read_string(&self, addr: u64, out: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < out.len() {
            let from = addr.checked_add(done as u64).ok_or(Error::Fault)?;
            let in_piece = PIECE - (from % PIECE as u64) as usize;
            let len = in_piece.min(out.len() - done);
            let part = &mut out[done..done + len];
            self.read(from, part)?;
            if let Some(nul) = part.iter().position(|&byte| byte == 0) {
                return Ok(done + nul + 1);
            }
            done += len;
        }
        Err(Error::TooLong)
    }
}
