//! Messages and calls of Linux that nothing in this process checks: what they answer is the kernel's.

use ant_abi::Error;
use ant_abi::ipc::Span;
use ant_abi::lca::{CFLAG_CONTINUE, Lca};
use ant_abi::syscall::Sysnum;
use ant_rt::ant;
use ant_rt::ipc::{Handle, Token};
use ant_rt::raw::{self, Registers};
use zerocopy::FromZeros;

/// A token that no request has come with, or one that was used.
pub fn forged_token(number: u64) -> Token {
    raw::token(number).expect("a number but 0")
}

/// A token to use a second time.
pub fn copy_token(token: &Token) -> Token {
    forged_token(raw::token_number(token))
}

/// Sends pages that are not this process's, or not in such a way.
pub fn send_span(handle: Handle, span: Span) -> Result<(), Error> {
    let operands = [handle.number(), 0, 0];
    let mut registers = Registers { operands, span: span.0, ..Registers::default() };
    // SAFETY: none; the kernel is meant to refuse it.
    let result = unsafe { raw::exchange(Sysnum::IpcSend, &mut registers) };
    Error::from_return(result).map_or(Ok(()), Err)
}

/// Sends the LCA as `fill` leaves it; what the proxy answers.
pub fn linux_call(fill: impl FnOnce(&mut Lca)) -> Result<i64, Error> {
    self::fill(fill)?;
    ant::linux_call(raw::lca_raddr())?;
    Ok(raw::with_lca(|lca| lca.retval))
}

/// As [`linux_call`], but goes on at once, and changes the LCA while Linux has it.
pub fn linux_call_and_change(
    fill: impl FnOnce(&mut Lca),
    change: impl FnOnce(&mut Lca),
) -> Result<(), Error> {
    self::fill(fill)?;
    ant::linux_call_async(raw::lca_raddr())?;
    raw::with_lca(change);
    Ok(())
}

fn fill(fill: impl FnOnce(&mut Lca)) -> Result<(), Error> {
    raw::find_lca()?;
    raw::with_lca(|lca| {
        *lca = Lca::new_zeroed();
        lca.cflag = CFLAG_CONTINUE;
        fill(lca);
    });
    Ok(())
}
