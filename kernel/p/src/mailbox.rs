//! Messages between CPUs: a ring for each pair of CPUs in each direction, and the doorbell. With
//! a message that hands a process over goes the ownership of it.
//!
//! A CPU that hangs takes nothing out. What can be refused is refused early then
//! ([`has_room`]), so that the rest always finds room.

use ant_abi::ipc::{DeviceGrant, Span};
#[cfg(feature = "fault-injection")]
use ant_abi::syscall::Injection;
use ant_abi::syscall::Sysnum;
use ant_abi::{CpuIndex, EndpointId, MAX_CPUS, Pid, Priority, ProcessSlot, ThreadSlot, Tid};
use ant_logic::doorbell::DoorbellSuppression;
use ant_logic::ipc::Packet;
use ant_logic::rings::Full;
use ant_logic::rings::packet::{PACKET_WORDS, PacketRing};

use crate::owned::Owned;
use crate::process::WithThread;
use crate::table::Table;
use crate::{doorbell, shared};

/// What one CPU tells another.
pub enum Message {
    /// IPC between their processes.
    Ipc(Packet),
    /// Run this process from now on.
    Adopt(WithThread),
    /// End the process with this id, if it is yours, as the signal would. From the m-kernel.
    Kill {
        /// Process id.
        pid: Pid,
        /// Linux's signal number.
        signal: u8,
    },
    /// Linux has released the LCA of the thread with this id. From the m-kernel.
    Released {
        /// Thread id.
        tid: Tid,
    },
    /// Linux has closed the channel of the thread with this id. From the m-kernel.
    Closed {
        /// Thread id.
        tid: Tid,
    },
    /// Fail on purpose. From the m-kernel.
    #[cfg(feature = "fault-injection")]
    Inject(Injection),
    /// An endpoint has another receiver, or none. From the m-kernel.
    ReceiverChanged {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The process with this id has another priority. From the m-kernel.
    Priority {
        /// Process id.
        pid: Pid,
        /// Its priority from now on.
        priority: Priority,
    },
    /// Give the process with this id to another CPU. From the m-kernel.
    Move {
        /// Process id.
        pid: Pid,
        /// Index of the CPU.
        cpu: CpuIndex,
    },
    /// The process with this id gets a device. From the m-kernel; device memory is mapped by then.
    Grant {
        /// Process id.
        pid: Pid,
        /// What it gets.
        grant: DeviceGrant,
    },
    /// The m-kernel's answer to `MCall`.
    MReply {
        /// Slot of the thread that asked.
        slot: ThreadSlot,
        /// As the system call returns it.
        result: i64,
    },
    /// A process of a p-kernel makes a system call that only the m-kernel can serve.
    MCall {
        /// Its slot.
        slot: ThreadSlot,
        /// Number of the call.
        number: Sysnum,
        /// Its arguments.
        args: [u64; 3],
    },
    /// ICA pages that a process gives back; it has them unmapped. To the m-kernel.
    Freed {
        /// Slot of the process.
        slot: ProcessSlot,
        /// Its id.
        pid: Pid,
        /// The pages.
        span: Span,
    },
    /// ICA pages of an IPC message that is not received. To the m-kernel.
    Dropped(Span),
    /// This process is over, and only the memory manager still knows it. To the m-kernel.
    Reap(WithThread),
}

const ADOPT: u64 = 16;
const KILL: u64 = 17;
const RELEASED: u64 = 18;
#[cfg(feature = "fault-injection")]
const INJECT: u64 = 19;
const RECEIVER_CHANGED: u64 = 20;
const PRIORITY: u64 = 21;
const MOVE: u64 = 22;
const GRANT: u64 = 23;
const M_REPLY: u64 = 24;
const M_CALL: u64 = 25;
const FREED: u64 = 26;
const DROPPED: u64 = 27;
const REAP: u64 = 28;
const CLOSED: u64 = 29;

impl Message {
    /// The thread that it is about, if it is for the CPU that has that thread: of a process, the first.
    pub fn target(&self) -> Option<Tid> {
        match *self {
            Message::Released { tid } | Message::Closed { tid } => Some(tid),
            Message::Kill { pid, .. }
            | Message::Priority { pid, .. }
            | Message::Move { pid, .. }
            | Message::Grant { pid, .. } => Some(Tid::first_of(pid)),
            _ => None,
        }
    }

    fn encode(&self) -> [u64; PACKET_WORDS] {
        let [a, b, c, d, e] = match *self {
            Message::Ipc(ref packet) => return packet.encode(),
            Message::Adopt(ref new) => with_thread(ADOPT, new),
            Message::Kill { pid, signal } => [KILL, u64::from(pid), u64::from(signal), 0, 0],
            Message::Released { tid } => [RELEASED, u64::from(tid), 0, 0, 0],
            Message::Closed { tid } => [CLOSED, u64::from(tid), 0, 0, 0],
            #[cfg(feature = "fault-injection")]
            Message::Inject(kind) => [INJECT, u64::from(u32::from(kind)), 0, 0, 0],
            Message::ReceiverChanged { endpoint } => [RECEIVER_CHANGED, endpoint.bits(), 0, 0, 0],
            Message::Priority { pid, priority } => {
                [PRIORITY, u64::from(pid), priority.bits(), 0, 0]
            }
            Message::Move { pid, cpu } => [MOVE, u64::from(pid), cpu.bits(), 0, 0],
            Message::Grant { pid, ref grant } => {
                [GRANT, u64::from(pid), u64::from(grant.kind), grant.start, grant.len]
            }
            Message::MReply { slot, result } => [M_REPLY, slot.bits(), result as u64, 0, 0],
            Message::MCall { slot, number, args: [a, b, c] } => {
                return [M_CALL, slot.bits(), number.into(), a, b, c, 0, 0];
            }
            Message::Freed { slot, pid, span } => [FREED, slot.bits(), u64::from(pid), span.0, 0],
            Message::Dropped(span) => [DROPPED, span.0, 0, 0, 0],
            Message::Reap(ref zombie) => with_thread(REAP, zombie),
        };
        [a, b, c, d, e, 0, 0, 0]
    }

    /// # Safety
    /// Each message that was encoded is decoded once.
    unsafe fn decode(words: &[u64; PACKET_WORDS]) -> Option<Self> {
        if let Some(packet) = Packet::decode(words) {
            return Some(Message::Ipc(packet));
        }
        let [kind, a, b, c, d, e, ..] = *words;
        let pid = |word| Pid::try_from(word).ok();
        let tid = |word| Tid::try_from(word).ok();
        Some(match kind {
            // SAFETY: the sender gave the owner up.
            ADOPT => Message::Adopt(unsafe { owned(a, b) }),
            KILL => Message::Kill { pid: pid(a)?, signal: b as u8 },
            RELEASED => Message::Released { tid: tid(a)? },
            CLOSED => Message::Closed { tid: tid(a)? },
            #[cfg(feature = "fault-injection")]
            INJECT => Message::Inject(Injection::try_from(a as u32).ok()?),
            RECEIVER_CHANGED => Message::ReceiverChanged { endpoint: EndpointId::from_bits(a) },
            PRIORITY => Message::Priority { pid: pid(a)?, priority: Priority::from_bits(b) },
            MOVE => Message::Move { pid: pid(a)?, cpu: CpuIndex::from_bits(b) },
            GRANT => {
                let grant = DeviceGrant { kind: b as u32, reserved: 0, start: c, len: d };
                Message::Grant { pid: pid(a)?, grant }
            }
            M_REPLY => Message::MReply { slot: ThreadSlot::from_bits(a), result: b as i64 },
            M_CALL => Message::MCall {
                slot: ThreadSlot::from_bits(a),
                number: Sysnum::try_from(b).ok()?,
                args: [c, d, e],
            },
            FREED => {
                Message::Freed { slot: ProcessSlot::from_bits(a), pid: pid(b)?, span: Span(c) }
            }
            DROPPED => Message::Dropped(Span(a)),
            // SAFETY: as for `ADOPT`.
            REAP => Message::Reap(unsafe { owned(a, b) }),
            _ => return None,
        })
    }
}

/// The words of a message with which a process and its thread go.
fn with_thread(kind: u64, owned: &WithThread) -> [u64; 5] {
    [kind, owned.process.slot().bits(), owned.thread.slot().bits(), 0, 0]
}

/// A process and its thread that came with a message.
///
/// # Safety
/// The sender of the message gave both up, and they are taken once.
unsafe fn owned(process: u64, thread: u64) -> WithThread {
    // SAFETY: the caller's promise.
    unsafe {
        WithThread {
            process: Owned::from_slot(ProcessSlot::from_bits(process)),
            thread: Owned::from_slot(ThreadSlot::from_bits(thread)),
        }
    }
}

/// The rings to each CPU, by the CPU that sends.
static RINGS: [Table<PacketRing>; MAX_CPUS] = [const { Table::empty() }; MAX_CPUS];
/// Which CPUs look into their rings by themselves.
static DOORBELL_SUPPRESSION: [DoorbellSuppression; MAX_CPUS] =
    [const { DoorbellSuppression::new() }; MAX_CPUS];
/// Messages that may wait in a ring before what can be refused is refused.
const REFUSABLE: usize = 64;

/// Memory that the rings to one CPU take.
pub fn bytes() -> usize {
    Table::<PacketRing>::bytes(shared::cpu_count())
}

/// Gives the rings to a CPU their memory.
///
/// # Safety
/// [`bytes`] zeroed bytes, aligned to a page, mapped on every CPU, never used for anything else.
pub unsafe fn place(to: CpuIndex, memory: *mut u8) {
    // SAFETY: the caller's promise; zeroed bytes are an empty ring.
    unsafe { RINGS[to.index()].place_filled(memory, shared::cpu_count()) }
}

/// The rings to one CPU, by the CPU that sends.
pub type Incoming = &'static [PacketRing];

/// The rings to CPU `to`.
#[inline]
pub fn incoming(to: CpuIndex) -> Incoming {
    RINGS[to.index()].all()
}

/// Sends from CPU `from`, which is the caller's, to CPU `to`. `Err`: the CPU has not taken
/// messages for long.
pub fn send(from: CpuIndex, to: CpuIndex, message: Message) -> Result<(), Message> {
    put(from, to, &message.encode()).map_err(|Full| message)
}

/// As [`send`], of words: a packet of IPC, encoded.
#[inline(always)]
pub(crate) fn put(from: CpuIndex, to: CpuIndex, words: &[u64; PACKET_WORDS]) -> Result<(), Full> {
    incoming(to)[from.index()].push(words)?;
    if DOORBELL_SUPPRESSION[to.index()].needs_doorbell() {
        doorbell::ring_cpu(to);
    }
    Ok(())
}

/// Whether CPU `to` takes messages, so that one more that can be refused may be sent.
pub fn has_room(from: CpuIndex, to: CpuIndex) -> bool {
    from == to || incoming(to)[from.index()].has_room(REFUSABLE)
}

/// The next message in a ring to this CPU.
pub fn receive(ring: &PacketRing) -> Option<Message> {
    let words = ring.pop()?;
    // SAFETY: `send` encoded it, and a ring gives each entry once.
    unsafe { Message::decode(&words) }
}

/// As [`receive`], of what `take` does not take as a packet of IPC.
#[inline]
pub fn receive_unless<T>(
    ring: &PacketRing,
    take: impl FnOnce(&[u64; PACKET_WORDS]) -> Option<T>,
) -> Option<Result<T, Message>> {
    let words = ring.pop()?;
    if let Some(taken) = take(&words) {
        return Some(Ok(taken));
    }
    let [a, b, c, d, e, f, g, h] = words;
    // SAFETY: as in `receive`.
    unsafe { decode_words(a, b, c, d, e, f, g, h) }.map(Err)
}

/// As `Message::decode`. One by one the words stay in registers as long as this is not called.
///
/// # Safety
/// As of `Message::decode`.
#[cold]
#[expect(clippy::too_many_arguments, reason = "the words of a packet")]
unsafe fn decode_words(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
) -> Option<Message> {
    // SAFETY: the caller's promise.
    unsafe { Message::decode(&[a, b, c, d, e, f, g, h]) }
}

/// A CPU from which something waits for this one.
#[inline]
pub fn waiting(incoming: Incoming) -> Option<CpuIndex> {
    incoming.iter().position(|ring| !ring.is_empty()).and_then(CpuIndex::new)
}

/// This CPU looks into its rings all the time from now on.
pub fn start_polling(cpu: CpuIndex) {
    DOORBELL_SUPPRESSION[cpu.index()].start_polling();
}

/// This CPU must be rung from now on. What came before is in its rings.
pub fn stop_polling(cpu: CpuIndex) {
    DOORBELL_SUPPRESSION[cpu.index()].stop_polling();
}
