//! One call: from what is in the LCA to a system call, and its result back (paper 4.3 (5), (6)).

use std::mem::offset_of;

use ant_abi::Error;
use ant_abi::lca::{
    ARGS, CFLAG_CONTINUE, CFLAG_TRACE, LCA_HEADER, Lca, STEP_PROXY_DONE, STEP_PROXY_EXECUTES,
    STEP_PROXY_WAKES, Stamp,
};
use ant_dev::LcaPage;
use ant_logic::calls::must_not_delegate;
use ant_logic::lca::{Argument, Decoded, Request, decode};
use nix::sched::sched_getcpu;
use nix::unistd::getpid;

use super::reserved::Reserved;
use crate::channel::{Notice, printable};
use crate::sys;

/// What became of a wake-up.
#[derive(Debug, PartialEq, Eq)]
pub enum Served {
    /// A call was executed or refused; its result is in the LCA.
    Call {
        /// Index of the CPU that it goes back to.
        cpu_index: u32,
        /// Whether the proxy stays.
        continues: bool,
    },
    /// The AP process is over.
    Ended(Notice),
}

/// Serves the call that is in the LCA. `woken`: the time-stamp counter when the proxy was woken.
pub fn serve(page: &LcaPage, own: Reserved, woken: u64) -> Served {
    let head = page.head();
    match decode(&head) {
        Ok(Decoded::End(end)) => Served::Ended(Notice::Ended {
            kind: end.kind.into(),
            number: end.number,
            text: printable(&page.buffer(end.text)),
        }),
        Ok(Decoded::Call(request)) => {
            page.set_retval(perform(page, &request, own, woken));
            let continues = request.flags & CFLAG_CONTINUE != 0;
            Served::Call { cpu_index: request.cid, continues }
        }
        Err(error) => {
            page.set_retval(error.to_error().to_return());
            malformed(&head)
        }
    }
}

/// Where a call that makes no sense goes back to. If its flags do, they hold.
fn malformed(head: &[u8; LCA_HEADER]) -> Served {
    let continues = word(head, offset_of!(Lca, cflag)) & CFLAG_CONTINUE != 0;
    Served::Call { cpu_index: word(head, offset_of!(Lca, cid)), continues }
}

fn word(head: &[u8; LCA_HEADER], at: usize) -> u32 {
    u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"))
}

fn perform(page: &LcaPage, request: &Request, own: Reserved, woken: u64) -> i64 {
    if must_not_delegate(request.nr) {
        return Error::NoSystemCall.to_return();
    }
    let args = request.args.map(|argument| rebuild(page, argument));
    if own.named_by(request.nr, &args) {
        return -i64::from(libc::EBADF);
    }
    let saved = relocate(page, request);
    let traced = request.flags & CFLAG_TRACE != 0;
    if traced {
        page.stamp(STEP_PROXY_WAKES, stamp(woken));
        page.stamp(STEP_PROXY_EXECUTES, stamp(sys::time_stamp()));
    }
    let retval = sys::execute(request.nr, args);
    if traced {
        page.stamp(STEP_PROXY_DONE, stamp(sys::time_stamp()));
    }
    for (at, word) in saved {
        page.replace_buffer_word(at, word);
    }
    retval
}

/// A step at time `tsc`, here.
fn stamp(tsc: u64) -> Stamp {
    let cpu = sched_getcpu().unwrap_or(0) as u32;
    Stamp { tsc, cpu, pid: getpid().as_raw() as u32 }
}

fn rebuild(page: &LcaPage, argument: Argument) -> u64 {
    match argument {
        Argument::Value(value) => value,
        Argument::Buffer { offset, .. } => page.buffer_address(offset),
    }
}

/// Sets the pointers inside the buffer. What was there before, to be put back: AnT must not see
/// addresses of this process.
fn relocate(page: &LcaPage, request: &Request) -> Vec<(usize, u64)> {
    let set = |pointer: &ant_logic::lca::Pointer| {
        let address = page.buffer_address(pointer.target);
        (pointer.at, page.replace_buffer_word(pointer.at, address))
    };
    request.relocations.iter().map(set).collect()
}

const _: () = assert!(ARGS == 6);
