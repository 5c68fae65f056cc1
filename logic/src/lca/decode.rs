//! Checks what a process wrote into the head of its LCA.
//!
//! The head is a copy: it does not change while it is looked at. The proxy that executes the call must not
//! look at the original again.

use core::fmt;
use core::mem::offset_of;
use core::ops::Range;

use ant_abi::Error;
use ant_abi::lca::{
    ARG_BUFFER, ARG_LOAN, ARG_VALUE, ARGS, Arg, CFLAG_CONTINUE, CFLAG_TRACE, ExitKind, LCA_BUFFER,
    LCA_HEADER, Lca, RELOCATIONS, Relocation, SYSCALL_EXIT,
};
use arrayvec::ArrayVec;
use zerocopy::FromBytes;

/// What an LCA asks for.
#[expect(clippy::large_enum_variant, reason = "calls are the rule, and there is no heap")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A system call.
    Call(Request),
    /// The notice that the process has ended.
    End(End),
}

/// A system call to execute. Every offset and length in it is inside the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number: any, so ask [`crate::calls::must_not_delegate`].
    pub nr: u64,
    /// CPU that the result goes back to, as the LCA says; the module checks it.
    pub cid: u32,
    /// `CFLAG_*`.
    pub flags: u32,
    /// Its arguments.
    pub args: [Argument; ARGS],
    /// Pointers to set in (a copy of) the buffer before the call. No two are of the same place.
    pub relocations: ArrayVec<Pointer, RELOCATIONS>,
}

/// An argument to rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// This value.
    Value(u64),
    /// The address of `buffer[offset .. offset + len]`.
    Buffer {
        /// Offset into the buffer.
        offset: usize,
        /// Bytes that the call may read or write there.
        len: usize,
    },
}

/// A pointer inside the buffer: the eight bytes at `at` must point to
/// `buffer[target .. target + len]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Offset of the pointer, a multiple of 8.
    pub at: usize,
    /// Offset of what it points to.
    pub target: usize,
    /// Bytes that the call may read or write there.
    pub len: usize,
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub kind: ExitKind,
    /// The number that goes with it.
    pub number: u64,
    /// Where in the buffer the text for people is; perhaps not UTF-8.
    pub text: Range<usize>,
}

/// What is wrong with the head of an LCA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Something reserved is not zero.
    Reserved,
    /// A flag that does not exist, or must not be set here.
    Flags,
    /// An argument, counted from 0, of a kind that does not exist, or that is wrong here.
    Kind(usize),
    /// An argument, counted from 0, is a page loan, which is not supported.
    Loan(usize),
    /// An argument, counted from 0, that reaches beyond the buffer.
    Bounds(usize),
    /// More relocations than there can be.
    RelocationCount,
    /// A relocation, counted from 0, that reaches beyond the buffer, is unaligned, or is of the
    /// same place as another.
    Relocation(usize),
    /// An end of a kind that does not exist.
    EndKind,
}

impl DecodeError {
    /// The error that the call returns.
    #[must_use]
    pub const fn to_error(self) -> Error {
        match self {
            DecodeError::Loan(_) => Error::NoSystemCall,
            _ => Error::Invalid,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Reserved => f.write_str("a reserved field is not zero"),
            DecodeError::Flags => f.write_str("an unknown or misplaced flag"),
            DecodeError::Kind(n) => write!(f, "argument {n} is of a wrong kind"),
            DecodeError::Loan(n) => write!(f, "argument {n} is a page loan (not supported)"),
            DecodeError::Bounds(n) => write!(f, "argument {n} reaches beyond the buffer"),
            DecodeError::RelocationCount => f.write_str("too many relocations"),
            DecodeError::Relocation(n) => write!(f, "relocation {n} is out of place"),
            DecodeError::EndKind => f.write_str("an unknown kind of end"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Checks the head of an LCA and takes it apart.
///
/// # Errors
///
/// The first thing that is wrong; nothing of it must be executed then.
pub fn decode(head: &[u8; LCA_HEADER]) -> Result<Decoded, DecodeError> {
    if get::<u32>(head, offset_of!(Lca, reserved)) != 0
        || get::<[u64; 12]>(head, offset_of!(Lca, reserved_tail)) != [0; 12]
    {
        return Err(DecodeError::Reserved);
    }
    let flags: u32 = get(head, offset_of!(Lca, cflag));
    if flags & !(CFLAG_CONTINUE | CFLAG_TRACE) != 0 {
        return Err(DecodeError::Flags);
    }
    let raw: [Arg; ARGS] = get(head, offset_of!(Lca, args));
    let mut args = [Argument::Value(0); ARGS];
    for (n, arg) in raw.iter().enumerate() {
        args[n] = argument(n, arg)?;
    }
    let request = Request {
        nr: get(head, offset_of!(Lca, syscallno)),
        cid: get(head, offset_of!(Lca, cid)),
        flags,
        args,
        relocations: relocations(head)?,
    };
    if request.nr == SYSCALL_EXIT {
        end(&request).map(Decoded::End)
    } else {
        Ok(Decoded::Call(request))
    }
}

fn argument(n: usize, arg: &Arg) -> Result<Argument, DecodeError> {
    if arg.reserved != [0; 3] {
        return Err(DecodeError::Reserved);
    }
    match arg.kind {
        ARG_VALUE if arg.len == 0 => Ok(Argument::Value(arg.value)),
        ARG_BUFFER => match span(arg.value, arg.len) {
            Some((offset, len)) => Ok(Argument::Buffer { offset, len }),
            None => Err(DecodeError::Bounds(n)),
        },
        ARG_LOAN => Err(DecodeError::Loan(n)),
        _ => Err(DecodeError::Kind(n)),
    }
}

fn relocations(head: &[u8; LCA_HEADER]) -> Result<ArrayVec<Pointer, RELOCATIONS>, DecodeError> {
    let count: u32 = get(head, offset_of!(Lca, relocation_count));
    let raw: [Relocation; RELOCATIONS] = get(head, offset_of!(Lca, relocations));
    let raw = raw.get(..count as usize).ok_or(DecodeError::RelocationCount)?;
    let mut pointers: ArrayVec<Pointer, RELOCATIONS> = ArrayVec::new();
    for (n, relocation) in raw.iter().enumerate() {
        let wrong = DecodeError::Relocation(n);
        let (at, _) = span(relocation.at.into(), 8).ok_or(wrong)?;
        let (target, len) = span(relocation.target.into(), relocation.len).ok_or(wrong)?;
        if !at.is_multiple_of(8) || pointers.iter().any(|other| other.at == at) {
            return Err(wrong);
        }
        pointers.push(Pointer { at, target, len });
    }
    Ok(pointers)
}

fn end(request: &Request) -> Result<End, DecodeError> {
    if request.flags & CFLAG_CONTINUE != 0 {
        return Err(DecodeError::Flags);
    }
    let [kind, number, text, rest @ ..] = request.args;
    let Argument::Value(kind) = kind else { return Err(DecodeError::Kind(0)) };
    let Argument::Value(number) = number else { return Err(DecodeError::Kind(1)) };
    let text = match text {
        Argument::Buffer { offset, len } => offset..offset + len,
        Argument::Value(0) => 0..0,
        Argument::Value(_) => return Err(DecodeError::Kind(2)),
    };
    if let Some(n) = rest.iter().position(|&arg| arg != Argument::Value(0)) {
        return Err(DecodeError::Kind(3 + n));
    }
    if !request.relocations.is_empty() {
        return Err(DecodeError::RelocationCount);
    }
    let kind = ExitKind::try_from(kind).map_err(|_| DecodeError::EndKind)?;
    Ok(End { kind, number, text })
}

/// Offset and length, if they stay inside the buffer.
fn span(offset: u64, len: u32) -> Option<(usize, usize)> {
    let end = offset.checked_add(len.into())?;
    (end <= LCA_BUFFER as u64).then_some((offset as usize, len as usize))
}

/// The field at `offset`, which lies inside the head.
fn get<T: FromBytes>(head: &[u8; LCA_HEADER], offset: usize) -> T {
    match T::read_from_prefix(&head[offset..]) {
        Ok((value, _)) => value,
        Err(_) => unreachable!("the field is inside the head"),
    }
}
