//! From registers and a caller's memory into an LCA, by the table; and back.

use ant_abi::Error;
use ant_abi::lca::{ARGS, Lca, RELOCATIONS};
use arrayvec::ArrayVec;
use core::mem::offset_of;
use linux_raw_sys::general::iovec;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::{Builder, Memory};
use crate::calls::{self, ArgKind, Data, Direction, OutExtent, Overflow, Size};

/// Bytes of a [`Segment`].
const IOVEC: usize = size_of::<Segment>();
/// Most segments that Linux takes (`UIO_MAXIOV`).
const SEGMENTS_MAX: u64 = 1024;
/// A return value above its negative, and below 0, is an error.
const ERRNO_END: i64 = 4096;
/// `ERANGE`: the room was too small.
const ERANGE: i64 = linux_raw_sys::errno::ERANGE as i64;
/// Outputs of one call: every segment, or every argument.
const OUTPUTS: usize = RELOCATIONS;

/// A segment of a vector: a `struct iovec`, with its pointer as a number.
#[derive(FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Segment {
    base: u64,
    len: u64,
}

const _: () = assert!(IOVEC == size_of::<iovec>());
const _: () = assert!(offset_of!(Segment, len) == offset_of!(iovec, iov_len));

/// What to copy back when the call has returned.
#[derive(Clone, Debug)]
pub struct Plan {
    outputs: ArrayVec<Output, OUTPUTS>,
    /// Bytes of room that were left of what the caller offered, if that was more.
    squeezed: Option<usize>,
}

/// One piece of the buffer that goes back.
#[derive(Clone, Copy, Debug)]
struct Output {
    /// Where to, in the caller's memory.
    addr: u64,
    offset: usize,
    len: usize,
    extent: Extent,
}

/// How much of an output goes back.
#[derive(Clone, Copy, Debug)]
enum Extent {
    /// All if the call succeeded.
    OnSuccess,
    /// All.
    Always,
    /// What the call returned, in elements of so many bytes, less what earlier outputs took.
    Returned { unit: usize },
    /// As many bytes as the 32-bit number at this offset says, if the call succeeded.
    IndirectLen { at: usize },
}

/// Puts call `nr` with `args` into `lca`; pointers among `args` point into `memory`.
///
/// Fills number, arguments, relocations and buffer; `cid`, `cflag` and the stamps are others' to
/// fill. Pointers that are NULL stay 0. A transfer that is too long is shortened where a short
/// count is legal.
///
/// # Errors
///
/// * [`Error::NoSystemCall`]: the call, or this request of it, is not in the table.
/// * [`Error::TooLong`]: it does not fit an LCA.
/// * [`Error::Fault`]: a pointer points outside `memory`.
/// * [`Error::Invalid`]: an argument that Linux would refuse (number of segments).
pub fn encode(
    nr: u64,
    args: [u64; ARGS],
    memory: &impl Memory,
    lca: &mut Lca,
) -> Result<Plan, Error> {
    let call = calls::find(nr).ok_or(Error::NoSystemCall)?;
    let mut encoder = Encoder {
        args,
        memory,
        builder: Builder::new(lca, nr),
        plan: Plan { outputs: ArrayVec::new(), squeezed: None },
    };
    for (index, &value) in args.iter().enumerate().take(call.args.len()) {
        encoder.builder.set_value(index, value);
    }
    for turn in [Pass::First, Pass::AfterLengths, Pass::WhatIsLeft] {
        for (index, &place) in call.args.iter().enumerate() {
            let place = encoder.resolve(place)?;
            if args[index] != 0 && Pass::of(place) == turn {
                encoder.place(index, place)?;
            }
        }
    }
    let Encoder { builder, plan, .. } = encoder;
    builder.finish();
    Ok(plan)
}

/// When an argument is placed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    /// Its length is in what another argument points to, which must have its place.
    AfterLengths,
    /// It can be shortened, so it takes what the others leave.
    WhatIsLeft,
}

impl Pass {
    fn of(place: ArgKind) -> Self {
        match place {
            ArgKind::Data(Data {
                excess: Overflow::Shorten | Overflow::TruncateOrFail, ..
            })
            | ArgKind::Vector { .. } => Pass::WhatIsLeft,
            ArgKind::Data(Data { size: Size::IndirectLen { .. }, .. }) => Pass::AfterLengths,
            ArgKind::Value | ArgKind::Text | ArgKind::Data(_) | ArgKind::Select { .. } => {
                Pass::First
            }
        }
    }
}

/// A call on its way into an LCA.
struct Encoder<'a, M> {
    args: [u64; ARGS],
    memory: &'a M,
    builder: Builder<'a>,
    plan: Plan,
}

impl<M: Memory> Encoder<'_, M> {
    /// The place that the values of the other arguments select.
    fn resolve(&self, place: ArgKind) -> Result<ArgKind, Error> {
        let ArgKind::Select { by, cases } = place else { return Ok(place) };
        // Linux looks at the lower half only.
        let selector = self.args[by] & u64::from(u32::MAX);
        let case = cases.iter().find(|(value, _)| *value == selector);
        case.map(|&(_, place)| place).ok_or(Error::NoSystemCall)
    }

    fn place(&mut self, index: usize, place: ArgKind) -> Result<(), Error> {
        match place {
            ArgKind::Value => Ok(()),
            ArgKind::Text => self.place_text(index),
            ArgKind::Data(data) => self.place_data(index, data),
            ArgKind::Vector { direction, count } => self.place_vector(index, direction, count),
            ArgKind::Select { .. } => Err(Error::NoSystemCall),
        }
    }

    fn place_text(&mut self, index: usize) -> Result<(), Error> {
        let len = self.memory.read_string(self.args[index], self.builder.free())?;
        let offset = self.builder.reserve(len)?;
        self.builder.set_buffer(index, offset, len);
        Ok(())
    }

    fn place_data(&mut self, index: usize, data: Data) -> Result<(), Error> {
        let len = self.fit(data)?;
        let offset = self.builder.reserve(len)?;
        self.builder.set_buffer(index, offset, len);
        let addr = self.args[index];
        if data.direction != Direction::Out {
            self.memory.read(addr, self.builder.bytes(offset, len))?;
        }
        if data.direction != Direction::In {
            let extent = match (data.filled, data.size) {
                (OutExtent::Always, _) => Extent::Always,
                (OutExtent::Returned, Size::Counted { unit, .. }) => Extent::Returned { unit },
                (OutExtent::OnSuccess, Size::IndirectLen { arg }) => {
                    Extent::IndirectLen { at: self.builder.offset(arg).ok_or(Error::Fault)? }
                }
                _ => Extent::OnSuccess,
            };
            self.push_output(Output { addr, offset, len, extent })?;
        }
        Ok(())
    }

    /// How many bytes of the data the call is made with; the argument that counts them is changed
    /// if there are fewer than the caller asked for.
    fn fit(&mut self, data: Data) -> Result<usize, Error> {
        let room = self.builder.room();
        let (wanted, unit) = match data.size {
            Size::Fixed(len) => (len as u64, 1),
            Size::Counted { arg, unit } => (self.args[arg], unit),
            Size::Bits { arg } => (self.args[arg].div_ceil(64), 8),
            Size::IndirectLen { arg } => {
                let mut len = [0; 4];
                self.memory.read(self.args[arg], &mut len)?;
                (u32::from_le_bytes(len).into(), 1)
            }
        };
        let most = (room / unit) as u64;
        if wanted <= most {
            return Ok(wanted as usize * unit);
        }
        let (Overflow::Shorten | Overflow::TruncateOrFail, Size::Counted { arg, .. }) =
            (data.excess, data.size)
        else {
            return Err(Error::TooLong);
        };
        if most == 0 {
            return Err(Error::TooLong);
        }
        self.builder.set_value(arg, most);
        let len = most as usize * unit;
        if data.excess == Overflow::TruncateOrFail {
            self.plan.squeezed = Some(len);
        }
        Ok(len)
    }

    fn place_vector(
        &mut self,
        index: usize,
        direction: Direction,
        count: usize,
    ) -> Result<(), Error> {
        let segments = self.segments(index, count)?;
        self.builder.set_value(count, segments.len() as u64);
        if segments.is_empty() {
            self.builder.set_value(index, 0);
            return Ok(());
        }
        let table = self.builder.reserve(segments.len() * IOVEC)?;
        self.builder.set_buffer(index, table, segments.len() * IOVEC);
        for (n, &(addr, len)) in segments.iter().enumerate() {
            let offset = self.builder.reserve(len)?;
            let at = table + n * IOVEC;
            // The proxy puts the address in.
            let segment = Segment { base: 0, len: len as u64 };
            self.builder.bytes(at, IOVEC).copy_from_slice(segment.as_bytes());
            self.builder.relocate(at, offset, len);
            if direction == Direction::Out {
                let extent = Extent::Returned { unit: 1 };
                self.push_output(Output { addr, offset, len, extent })?;
            } else {
                self.memory.read(addr, self.builder.bytes(offset, len))?;
            }
        }
        Ok(())
    }

    /// Addresses and lengths of the segments that can be carried, the last one perhaps shortened;
    /// empty ones are left out.
    fn segments(
        &self,
        index: usize,
        count: usize,
    ) -> Result<ArrayVec<(u64, usize), RELOCATIONS>, Error> {
        let count = self.args[count];
        if count > SEGMENTS_MAX {
            return Err(Error::Invalid);
        }
        let mut segments = ArrayVec::new();
        let mut room = self.builder.room();
        for n in 0..count {
            if segments.is_full() || room <= IOVEC {
                break;
            }
            let at = self.args[index].checked_add(n * IOVEC as u64).ok_or(Error::Fault)?;
            let mut segment = Segment::new_zeroed();
            self.memory.read(at, segment.as_mut_bytes())?;
            let Segment { base, len } = segment;
            if len == 0 {
                continue;
            }
            let most = room - IOVEC;
            let taken = usize::try_from(len).map_or(most, |len| len.min(most));
            segments.push((base, taken));
            if taken as u64 != len {
                break;
            }
            room = most.saturating_sub(taken.next_multiple_of(8));
        }
        Ok(segments)
    }

    fn push_output(&mut self, output: Output) -> Result<(), Error> {
        self.plan.outputs.try_push(output).map_err(|_| Error::TooLong)
    }
}

impl Plan {
    /// Copies back what the call has written, after it returned `retval`.
    ///
    /// # Errors
    ///
    /// * [`Error::Fault`]: an output lies outside `memory`.
    /// * [`Error::TooLong`]: the result needs more room than an LCA has, though not more than the
    ///   caller offered. Nothing was copied; the call was made.
    pub fn finish(&self, retval: i64, lca: &Lca, memory: &mut impl Memory) -> Result<(), Error> {
        if let Some(room) = self.squeezed
            && (retval == room as i64 || retval == -ERANGE)
        {
            return Err(Error::TooLong);
        }
        let success = !(-ERRNO_END < retval && retval < 0);
        let mut returned = usize::try_from(retval).unwrap_or(0);
        for output in &self.outputs {
            let len = match output.extent {
                Extent::Always => output.len,
                Extent::Returned { unit } => {
                    let elements = returned.min(output.len / unit);
                    returned -= elements;
                    elements * unit
                }
                Extent::IndirectLen { at } if success => told(lca, at).min(output.len),
                Extent::OnSuccess if success => output.len,
                Extent::IndirectLen { .. } | Extent::OnSuccess => 0,
            };
            memory.write(output.addr, &lca.buffer[output.offset..output.offset + len])?;
        }
        Ok(())
    }
}

/// The 32-bit number at this offset of the buffer.
fn told(lca: &Lca, at: usize) -> usize {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&lca.buffer[at..at + 4]);
    u32::from_le_bytes(bytes) as usize
}
