//! What IPC needs of the machine around it, and tells it.

use ant_abi::ipc::Span;
use ant_abi::{CpuIndex, EndpointId, Generation, Priority, ThreadSlot};

use crate::ipc::message::{Message, Packet, Token};
use crate::ipc::raised::Raised;

/// The receiver at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The thread in slot `server`, which is CPU `cpu`'s.
    Bound {
        /// Index of the CPU.
        cpu: CpuIndex,
        /// Slot of the thread.
        server: ThreadSlot,
    },
    /// None now; there will be one.
    Unbound,
    /// None ever again.
    Closed,
}

/// The machine around a [`IpcCpu`]: threads, endpoints, other CPUs.
pub trait IpcHost {
    /// The receiver at an endpoint, and the endpoint's generation: raised whenever a receiver goes.
    fn target(&self, endpoint: EndpointId) -> (Target, Generation);
    /// The endpoint's first generation: those before it were another endpoint's of the same number.
    fn first_generation(&self, endpoint: EndpointId) -> Generation;
    /// Sends to another CPU; the order between two CPUs is kept.
    fn post(&mut self, cpu: CpuIndex, packet: Packet);
    /// The call of a client of this CPU is over.
    fn ended(&mut self, client: ThreadSlot, outcome: CallOutcome);
    /// A server of this CPU, which waited in [`IpcCpu::receive`](super::IpcCpu::receive), gets this.
    fn received(&mut self, server: ThreadSlot, received: Received);
    /// A thread of this CPU runs with this priority from now on. It may be between two CPUs: see
    /// [`IpcCpu::enter`](super::IpcCpu::enter).
    fn set_priority(&mut self, slot: ThreadSlot, priority: Priority);
    /// The notification bits that wait at an endpoint.
    fn bits(&self, endpoint: EndpointId) -> Raised;
    /// Takes them.
    fn take_bits(&mut self, endpoint: EndpointId) -> Raised;
    /// A message sent to an endpoint waits no more: it was received, or dropped.
    fn send_dequeued(&mut self, endpoint: EndpointId);
    /// This message will not be received: one that was sent, or a reply to a client that is gone.
    fn dropped(&mut self, message: &Message);
    /// A server of this CPU must not reach these pages any more, which it had been lent.
    fn loan_ends(&mut self, server: ThreadSlot, span: Span, how: LoanEnd);
    /// Nothing is left of a thread for which [`IpcCpu::leave`](super::IpcCpu::leave) said
    /// [`Gone::Later`](super::Gone::Later).
    fn gone(&mut self, slot: ThreadSlot);
}

/// How a loan of pages ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoanEnd {
    /// The borrower has replied, or has ended.
    Returned,
    /// The call was cancelled: the borrower does not know it yet, and may touch the pages without
    /// having done wrong.
    Revoked,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With the reply.
    Reply(Message),
    /// The server is another one by now, or will be.
    Restarted {
        /// Generation of the endpoint.
        generation: Generation,
    },
    /// The endpoint is closed.
    Closed,
    /// Taken back in time.
    TimedOut,
}

/// What a server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Notification bits.
    Notification(u64),
    /// A request.
    Call {
        /// For the reply.
        token: Token,
        /// Badge of the client's handle.
        badge: u32,
        /// What it sent.
        message: Message,
    },
    /// A message without a reply.
    Send {
        /// Badge of the sender's handle.
        badge: u32,
        /// What it sent.
        message: Message,
    },
}
