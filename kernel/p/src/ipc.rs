//! The system calls of IPC: from registers to the [`IpcCpu`](ant_logic::ipc::IpcCpu) and back.

use ant_abi::ipc::{
    BATCH_MAX, CALL_ACROSS_RESTARTS, IpcOperation, NOTIFY_RETIRE, NOTIFY_USER, OperationKind,
    ReceivedKind, Span,
};
use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, EndpointId, Error, Generation, Priority, ThreadSlot};
use ant_logic::ica::{Sender, With};
use ant_logic::ipc::{
    CallOptions, CallOutcome, IpcHost, LoanEnd, Message, OnRestart, Packet, Raised, Received,
    SendError, Target, Token,
};
use ant_logic::releases::Release;
use zerocopy::{FromZeros, IntoBytes};

use crate::cpu::Cpu;
use crate::handles::Handle;
use crate::locals::{Caller, Locals};
use crate::mailbox;
use crate::process::Process;
use crate::syscalls::{Outcome, Served};
use crate::thread::{BlockReason, Calling, Thread};
use crate::user_memory::{self, UserRange};
use crate::{endpoints, ica, log, shared};

/// What a thread passes as a message: words, span, number of a handle.
struct Raw {
    words: [u64; 4],
    span: u64,
    handle: u64,
}

impl Raw {
    fn of(thread: &Thread) -> Self {
        let (words, span, handle) = thread.context.message();
        Self { words, span, handle }
    }

    /// The message, checked: the handle is the process's.
    fn message(&self, process: &Process) -> Result<Message, Error> {
        let handle = match self.handle {
            0 => 0,
            number => process.handles.get(number)?.encode(),
        };
        Ok(Message { words: self.words, span: Span(self.span), handle })
    }
}

/// Serves `IpcCall`.
pub fn call(cpu: &mut Cpu, slot: ThreadSlot, [number, timeout, flags]: [u64; 3]) -> Outcome {
    let index = cpu.index();
    let Caller { thread, process } = cpu.local.caller(slot)?;
    let message = Raw::of(thread).message(process)?;
    if process.handles.get(number)?.state()?.receiver() == Some((index, slot)) {
        // It would wait for itself.
        return Err(Error::Invalid);
    }
    let options = options(index, process, number, flags)?;
    ica::transfer_out(&mut cpu.local, slot, message.span, Sender::Waits)?;
    cpu.local.caller(slot)?.thread.calling = Calling { handle: number, span: message.span };
    cpu.local.block(slot, BlockReason::Reply, ProcessState::Calling);
    cpu.local.limit(slot, timeout);
    cpu.ipc.call(slot, options, message, &mut cpu.local);
    Ok(Served::Later)
}

/// Where a message goes that a process of CPU `here` sends through a handle; the CPU there takes
/// messages.
fn options(
    here: CpuIndex,
    process: &mut Process,
    number: u64,
    flags: u64,
) -> Result<CallOptions, Error> {
    let handle = process.handles.find(number).ok_or(Error::BadHandle)?;
    let state = handle.state()?;
    if let Some((there, _)) = state.receiver()
        && !mailbox::has_room(here, there)
    {
        return Err(Error::Again);
    }
    let (endpoint, badge, mut generation) = (handle.endpoint, handle.badge, handle.generation);
    let on_restart = on_restart(flags);
    if generation == Generation::UNKNOWN || on_restart == OnRestart::Wait {
        generation = state.generation();
        process.handles.set_generation(number, generation);
    }
    Ok(CallOptions { endpoint, generation, on_restart, badge })
}

/// What the flags of an `IpcCall` say about another generation.
#[inline]
pub(crate) fn on_restart(flags: u64) -> OnRestart {
    if flags & CALL_ACROSS_RESTARTS != 0 { OnRestart::Wait } else { OnRestart::Fail }
}

/// Serves `IpcReceive`.
pub fn receive(cpu: &mut Cpu, slot: ThreadSlot, timeout: u64) -> Outcome {
    if let Some(received) = cpu.ipc.receive(slot, &mut cpu.local) {
        deliver(&mut cpu.local, slot, received);
        return Ok(Served::Later);
    }
    if timeout == 0 {
        cpu.ipc.stop_receiving(slot, &mut cpu.local);
        return Err(Error::TimedOut);
    }
    cpu.local.block(slot, BlockReason::Receive, ProcessState::Receiving);
    cpu.local.limit(slot, timeout);
    Ok(Served::Later)
}

/// Serves `IpcReply`.
pub fn reply(cpu: &mut Cpu, slot: ThreadSlot, token: u64) -> Result<(), Error> {
    let Caller { thread, process } = cpu.local.caller(slot)?;
    let message = Raw::of(thread).message(process)?;
    reply_with(cpu, slot, token, message)
}

fn reply_with(cpu: &mut Cpu, slot: ThreadSlot, token: u64, message: Message) -> Result<(), Error> {
    ica::transfer_out(&mut cpu.local, slot, message.span, Sender::GoesOn)?;
    match cpu.ipc.reply(slot, Token(token), message, &mut cpu.local) {
        Ok(()) => {
            ica::detach(&mut cpu.local, slot, message.span);
            Ok(())
        }
        Err(_) => {
            ica::reclaim(&mut cpu.local, slot, message.span);
            Err(Error::NotWaiting)
        }
    }
}

/// Serves `IpcReplyReceive`.
pub fn reply_receive(cpu: &mut Cpu, slot: ThreadSlot, [token, timeout, _]: [u64; 3]) -> Outcome {
    if token != 0 {
        match reply(cpu, slot, token) {
            Ok(()) => {}
            Err(Error::NotWaiting) => {
                // The caller does not hear of it, so it takes the pages for gone.
                let span = Span(cpu.local.caller(slot)?.thread.context.message().1);
                ica::give_up(&mut cpu.local, slot, span);
            }
            Err(error) => return Err(error),
        }
        // Gone, whatever becomes of the waiting.
        cpu.local.caller(slot)?.thread.context.set_span(0);
    }
    receive(cpu, slot, timeout)
}

/// Serves `IpcSend`.
pub fn send(cpu: &mut Cpu, slot: ThreadSlot, number: u64) -> Result<(), Error> {
    let raw = Raw::of(cpu.local.caller(slot)?.thread);
    send_raw(cpu, slot, number, &raw)
}

fn send_raw(cpu: &mut Cpu, slot: ThreadSlot, number: u64, raw: &Raw) -> Result<(), Error> {
    let index = cpu.index();
    let Caller { thread, process } = cpu.local.caller(slot)?;
    let message = raw.message(process)?;
    let priority = thread.priority;
    let sender = if process.is_init { endpoints::Sender::Init } else { endpoints::Sender::Other };
    let options = options(index, process, number, 0)?;
    if message.span.lends() {
        return Err(Error::Invalid);
    }
    if !endpoints::reserve_send(options.endpoint, sender) {
        // Or it would wait behind messages of lower priorities, for which the server may never run.
        raise(cpu, options.endpoint, 0, priority);
        return Err(Error::QueueFull);
    }
    let sent = send_message(cpu, slot, priority, options, &message);
    if let Err(error) = sent {
        endpoints::send_dequeued(options.endpoint);
        return Err(refused(cpu, slot, number, error));
    }
    if !message.span.is_none() {
        ica::detach(&mut cpu.local, slot, message.span);
    }
    Ok(())
}

/// Why a message was not sent, for which there was room.
enum NotSent {
    Pages(Error),
    Receiver(SendError),
}

fn send_message(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    priority: Priority,
    options: CallOptions,
    message: &Message,
) -> Result<(), NotSent> {
    let Cpu { ipc, local, .. } = cpu;
    ica::transfer_out(local, slot, message.span, Sender::GoesOn).map_err(NotSent::Pages)?;
    ipc.send(priority, options, message, local).map_err(|error| {
        ica::reclaim(local, slot, message.span);
        NotSent::Receiver(error)
    })
}

#[cold]
fn refused(cpu: &mut Cpu, slot: ThreadSlot, number: u64, why: NotSent) -> Error {
    match why {
        NotSent::Pages(error) => error,
        NotSent::Receiver(SendError::Closed) => Error::PeerGone,
        NotSent::Receiver(SendError::Unbound) => Error::Again,
        NotSent::Receiver(SendError::Restarted { generation }) => {
            if let Ok(Caller { thread, process }) = cpu.local.caller(slot) {
                process.handles.set_generation(number, generation);
                thread.context.set_generation(generation.get());
            }
            Error::PeerRestarted
        }
    }
}

/// Serves `IpcNotify`.
pub fn notify(cpu: &mut Cpu, slot: ThreadSlot, number: u64, bits: u64) -> Result<(), Error> {
    let Caller { thread, process } = cpu.local.caller(slot)?;
    let (handle, priority) = (process.handles.get(number)?, thread.priority);
    handle.state()?;
    if bits & !NOTIFY_USER != 0 {
        return Err(Error::Invalid);
    }
    if bits != 0 {
        raise(cpu, handle.endpoint, bits, priority);
    }
    Ok(())
}

/// Raises notification bits, and tells the receiver if it has to hear of them.
fn raise(cpu: &mut Cpu, endpoint: EndpointId, bits: u64, priority: Priority) {
    if endpoints::raise(endpoint, bits, priority) {
        cpu.ipc.notify(endpoint, &mut cpu.local);
    }
}

/// Serves `IpcBatch`.
pub fn batch(cpu: &mut Cpu, slot: ThreadSlot, at: u64, count: u64) -> Result<(), Error> {
    let mut operations = [IpcOperation::new_zeroed(); BATCH_MAX];
    let count = usize::try_from(count).ok().filter(|&count| count <= BATCH_MAX);
    let operations = &mut operations[..count.ok_or(Error::TooLong)?];
    let range = UserRange::new(at, size_of_val(operations) as u64);
    // At once, because to find the memory of a process takes longer than an operation.
    user_memory::read(&cpu.local.caller(slot)?.process.space, range, operations.as_mut_bytes())?;
    for operation in &mut *operations {
        let result = operate(cpu, slot, operation);
        operation.result = result.err().map_or(0, |error| -(error as i32));
    }
    user_memory::write(&cpu.local.caller(slot)?.process.space, range, operations.as_bytes())
}

fn operate(cpu: &mut Cpu, slot: ThreadSlot, operation: &IpcOperation) -> Result<(), Error> {
    let IpcOperation { kind, target, words, span, handle, .. } = *operation;
    let raw = Raw { words, span, handle };
    match OperationKind::try_from(kind).map_err(|_| Error::Invalid)? {
        OperationKind::Send => send_raw(cpu, slot, target, &raw),
        OperationKind::Notify => notify(cpu, slot, target, words[0]),
        OperationKind::Reply => {
            let message = raw.message(cpu.local.caller(slot)?.process)?;
            reply_with(cpu, slot, target, message)
        }
    }
}

/// Makes an endpoint that the m-kernel has bound to a thread of this CPU the thread's own; gives
/// the number of the handle.
pub fn take_endpoint(cpu: &mut Cpu, slot: ThreadSlot, endpoint: EndpointId) -> i64 {
    let Ok(Caller { thread, process }) = cpu.local.caller(slot) else {
        return Error::NoProcess.to_return();
    };
    thread.endpoint = Some(endpoint);
    thread.owns_endpoint = true;
    cpu.ipc.bind(slot, endpoint);
    let handle = Handle::new(endpoint, 0);
    process.handles.add(handle).expect("it had room when it asked") as i64
}

/// Raises notification bits of the kernel's at the endpoint of a thread of this CPU.
pub fn notify_own(cpu: &mut Cpu, slot: ThreadSlot, bits: u64) {
    let endpoint = cpu.local.thread(slot).and_then(|thread| thread.endpoint);
    if let Some(endpoint) = endpoint {
        raise(cpu, endpoint, bits, Priority::HIGHEST);
    }
}

/// Puts what a thread has received into its registers, and its pages into its ICA.
fn deliver(local: &mut Locals, slot: ThreadSlot, received: Received) {
    let (kind, token, badge, message) = match received {
        Received::Notification(bits) => {
            (ReceivedKind::Notification, 0, 0, Message::of([bits, 0, 0, 0]))
        }
        Received::Call { token, badge, message } => (ReceivedKind::Call, token.0, badge, message),
        Received::Send { badge, message } => (ReceivedKind::Send, 0, badge, message),
    };
    let with = if kind == ReceivedKind::Call { With::Call } else { With::Other };
    deliver_message(local, slot, &message, with);
    if let Some(thread) = local.thread(slot) {
        thread.context.set_received(kind.into(), token, u64::from(badge));
        thread.context.set_result(0);
    }
}

fn deliver_message(local: &mut Locals, slot: ThreadSlot, message: &Message, with: With) {
    let span = match message.span {
        Span::NONE => Span::NONE,
        span => ica::arrive(local, slot, span, with),
    };
    let Ok(Caller { thread, process }) = local.caller(slot) else { return };
    let handle = Handle::decode(message.handle).and_then(|handle| process.handles.add(handle));
    thread.context.set_message(message.words, span.0, handle.unwrap_or(0));
}

/// Sends a packet to another CPU, which takes it.
#[inline(always)]
pub(crate) fn post(from: CpuIndex, to: CpuIndex, packet: &Packet) {
    let words = packet.encode();
    if mailbox::put(from, to, &words).is_err() {
        lost(to, words[0]);
    }
}

/// By its first word, which has all that matters: the whole packet would be written to memory for
/// this, each time.
#[cold]
fn lost(cpu: CpuIndex, first: u64) {
    if let Some(Packet::Wakeup { endpoint }) = Packet::decode(&[first, 0, 0, 0, 0, 0, 0, 0]) {
        endpoints::bits(endpoint).end_wakeup();
    }
    let linux_cpu = shared::linux_cpu(cpu);
    log::error!("CPU {linux_cpu} takes no messages: the packet {first:#x} is lost");
}

impl IpcHost for Locals {
    fn target(&self, endpoint: EndpointId) -> (Target, Generation) {
        endpoints::target(endpoint)
    }

    fn first_generation(&self, endpoint: EndpointId) -> Generation {
        endpoints::first_generation(endpoint)
    }

    fn post(&mut self, cpu: CpuIndex, packet: Packet) {
        if let Packet::Wakeup { endpoint } = packet
            && !endpoints::bits(endpoint).begin_wakeup()
        {
            return;
        }
        post(self.index(), cpu, &packet);
    }

    fn ended(&mut self, client: ThreadSlot, outcome: CallOutcome) {
        let Some(thread) = self.thread(client) else { return };
        let Calling { handle, span } = core::mem::take(&mut thread.calling);
        let kept = ica::reclaim(self, client, span);
        let Ok(Caller { thread, process }) = self.caller(client) else { return };
        let result = match outcome {
            CallOutcome::Reply(message) => {
                deliver_message(self, client, &message, With::Other);
                0
            }
            CallOutcome::Restarted { generation } => {
                process.handles.set_generation(handle, generation);
                thread.context.set_generation(generation.get());
                thread.context.set_span(kept.0);
                Error::PeerRestarted.to_return()
            }
            CallOutcome::Closed => {
                thread.context.set_span(kept.0);
                Error::PeerGone.to_return()
            }
            CallOutcome::TimedOut => {
                thread.context.set_span(kept.0);
                Error::TimedOut.to_return()
            }
        };
        self.wake_with(client, result);
    }

    fn received(&mut self, server: ThreadSlot, received: Received) {
        deliver(self, server, received);
        self.wake(server);
    }

    fn set_priority(&mut self, slot: ThreadSlot, priority: Priority) {
        let has_cpu = self.queue.current() == Some(slot);
        if let Some(thread) = self.thread(slot) {
            thread.priority = priority;
            if has_cpu {
                // Another may come before it now.
                thread.set_state(ProcessState::Ready);
            }
            self.queue.set_priority(slot, priority);
        }
    }

    fn bits(&self, endpoint: EndpointId) -> Raised {
        Raised(endpoints::bits(endpoint).raised())
    }

    fn take_bits(&mut self, endpoint: EndpointId) -> Raised {
        Raised(endpoints::bits(endpoint).take())
    }

    fn send_dequeued(&mut self, endpoint: EndpointId) {
        endpoints::send_dequeued(endpoint);
    }

    fn dropped(&mut self, message: &Message) {
        ica::drop_span(self, message.span);
    }

    fn loan_ends(&mut self, server: ThreadSlot, span: Span, how: LoanEnd) {
        ica::return_loan(self, server, span, how);
    }

    fn gone(&mut self, slot: ThreadSlot) {
        self.complete(slot, Release::Ipc);
    }
}

// What init may raise to ask a server to end is a bit like the user's.
const _: () = assert!(NOTIFY_RETIRE & NOTIFY_USER != 0);
