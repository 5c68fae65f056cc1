//! The channels of `init`, which the daemon serves itself: requests out, replies in.

use ant_abi::Error;
use ant_abi::control::{CALL_NEXT, CALL_REPLY, CHANNEL_REQUESTS, INIT_CHANNELS};
use ant_abi::store::StoreEntry;
use ant_dev::{LcaPage, OperationError};
use ant_logic::lca::{Argument, Decoded, Request, decode};

use super::{Ctx, PartitionFailed, RunningPartition};
use crate::partition::Partition;

/// Both channels.
pub(super) struct InitChannels {
    lcas: [StoreEntry; INIT_CHANNELS],
    pages: [LcaPage; INIT_CHANNELS],
    /// `init` waits for a request, which goes to the CPU of this index.
    waits_on: Option<u32>,
}

impl InitChannels {
    /// Those of a partition that has come up.
    ///
    /// # Errors
    ///
    /// They cannot be bound or mapped.
    pub(super) fn new(partition: &Partition) -> Result<Self, OperationError> {
        let lcas = partition.init_lcas();
        let control = partition.control();
        let map = |lca| control.bind(lca).and_then(|()| control.map(lca));
        let pages = [map(lcas[0])?, map(lcas[1])?];
        Ok(Self { lcas, pages, waits_on: None })
    }

    /// Which of them has this LCA.
    pub(super) fn position(&self, lca: StoreEntry) -> Option<usize> {
        self.lcas.iter().position(|&own| own == lca)
    }
}

impl RunningPartition {
    /// Serves a call of `init` on one of its channels.
    pub(super) fn init_called(
        &mut self,
        channel: usize,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let page = &self.channels.pages[channel];
        let Ok(Decoded::Call(call)) = decode(&page.head()) else {
            tracing::warn!("init sent what is no call");
            return Ok(());
        };
        if channel == CHANNEL_REQUESTS && call.nr == CALL_NEXT {
            self.channels.waits_on = Some(call.cid);
            return Ok(());
        }
        let result = match reply_of(page, &call) {
            Some(message) => self.init_replied(&message, ctx).map(|()| 0)?,
            None => Error::NoSystemCall.to_return(),
        };
        self.channels.pages[channel].set_retval(result);
        self.return_to_init(channel, call.cid);
        Ok(())
    }

    /// Gives `init` the next request, if there is one and it waits.
    pub(super) fn feed_init(&mut self) {
        let Some(cpu_index) = self.channels.waits_on else { return };
        let Some(request) = self.init.take() else { return };
        let page = &self.channels.pages[CHANNEL_REQUESTS];
        page.set_buffer(&request);
        page.set_retval(request.len() as i64);
        self.channels.waits_on = None;
        self.return_to_init(CHANNEL_REQUESTS, cpu_index);
    }

    fn return_to_init(&self, channel: usize, cpu_index: u32) {
        let lca = self.channels.lcas[channel];
        if let Err(error) = self.partition.control().ret(lca, cpu_index) {
            tracing::warn!("{error}");
        }
    }
}

/// The message of a call that is a reply.
fn reply_of(page: &LcaPage, call: &Request) -> Option<Vec<u8>> {
    match call.args[0] {
        Argument::Buffer { offset, len } if call.nr == CALL_REPLY => {
            Some(page.buffer(offset..offset + len))
        }
        _ => None,
    }
}
