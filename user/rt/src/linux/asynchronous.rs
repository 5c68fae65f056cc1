//! Calls of Linux that the program does not wait for (`LINUX_CALL_ASYNC`).
//!
//! One at a time: the LCA is Linux's until notification bit `NOTIFY_LINUX` has come and
//! [`Call::finish`] has taken the result. Meanwhile every other call of Linux is `Busy`.

use ant_abi::lca::{CFLAG_CONTINUE, Lca};
use ant_logic::calls::nr;
use ant_logic::lca::Builder;
use linux_raw_sys::net::MSG_DONTWAIT;

use super::{Errno, Error, Result};
use crate::raw;

/// A call that Linux has; the program needs an endpoint.
#[derive(Debug)]
#[must_use = "the LCA stays Linux's until it is finished"]
pub struct Call {
    /// Where in the LCA's buffer the data will be, if it is a `read`.
    read_at: Option<usize>,
    /// Most bytes.
    len: usize,
}

impl Call {
    /// `read` of at most `len` bytes from `fd`.
    pub fn read(fd: i32, len: usize) -> Result<Self> {
        Self::take(nr::READ, fd, len, 0)
    }

    /// `recv` of at most `len` bytes from the socket `fd`; `EAGAIN` if nothing has come.
    pub fn receive_now(fd: i32, len: usize) -> Result<Self> {
        Self::take(nr::RECVFROM, fd, len, u64::from(MSG_DONTWAIT))
    }

    fn take(number: u64, fd: i32, len: usize, flags: u64) -> Result<Self> {
        raw::find_lca()?;
        let offset = raw::with_lca(|lca| {
            let mut builder = begin(lca, number);
            builder.value(fd as u64);
            let offset = builder.output(len)?;
            builder.value(len as u64);
            builder.value(flags);
            builder.finish();
            Ok::<_, Error>(offset)
        })?;
        send()?;
        Ok(Self { read_at: Some(offset), len })
    }

    /// `write` of `data`, which must fit an LCA, to `fd`.
    pub fn write(fd: i32, data: &[u8]) -> Result<Self> {
        raw::find_lca()?;
        raw::with_lca(|lca| {
            let mut builder = begin(lca, nr::WRITE);
            builder.value(fd as u64);
            builder.input(data)?;
            builder.value(data.len() as u64);
            builder.finish();
            Ok::<_, Error>(())
        })?;
        send()?;
        Ok(Self { read_at: None, len: data.len() })
    }

    /// Takes the result, after `NOTIFY_LINUX`: how many bytes were read, into `out`, or written. Linux
    /// may say what it likes: `EPROTO` if it is more than was asked for.
    pub fn finish(self, out: &mut [u8]) -> Result<usize> {
        raw::set_lca_away(false);
        raw::with_lca(|lca| {
            let count = ant_logic::lca::count(lca.retval, self.len).map_err(Errno)?;
            if let Some(offset) = self.read_at {
                let read = out.get_mut(..count).ok_or(Errno::PROTO)?;
                read.copy_from_slice(&lca.buffer[offset..offset + count]);
            }
            Ok(count)
        })
    }
}

fn begin(lca: &mut Lca, number: u64) -> Builder<'_> {
    lca.cflag = CFLAG_CONTINUE;
    Builder::new(lca, number)
}

fn send() -> Result<()> {
    crate::ant::linux_call_async(raw::lca_raddr())?;
    raw::set_lca_away(true);
    Ok(())
}
