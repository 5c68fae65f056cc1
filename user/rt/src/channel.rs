//! A channel to the daemon, of which `init` has two: calls that it does not wait for.

use ant_abi::Error;
use ant_abi::lca::{CFLAG_CONTINUE, Lca};
use ant_logic::lca::Builder;

use crate::ant;
use crate::raw::LcaPage;

/// A channel of this process.
#[derive(Debug)]
pub struct Channel {
    page: LcaPage,
    raddr: u64,
    /// A call is with Linux: the page is not this process's to touch.
    is_away: bool,
}

impl Channel {
    /// The channel with this number; nothing else in this process has it.
    pub fn open(number: usize) -> Result<Self, Error> {
        let grant = ant::lca_get(number)?;
        Ok(Self { page: LcaPage::of(&grant), raddr: grant.raddr, is_away: false })
    }

    /// Whether no call is under way.
    pub fn is_free(&self) -> bool {
        !self.is_away
    }

    /// Sends call `number` with a message, which must fit an LCA. A notification says when it has
    /// returned.
    pub fn send(&mut self, number: u64, message: &[u8]) -> Result<(), Error> {
        self.own()?;
        self.page.with(|lca| {
            lca.cflag = CFLAG_CONTINUE;
            let mut builder = Builder::new(lca, number);
            builder.input(message)?;
            builder.finish();
            Ok::<_, Error>(())
        })?;
        ant::linux_call_async(self.raddr)?;
        self.is_away = true;
        Ok(())
    }

    /// The call has returned.
    pub fn returned(&mut self) {
        self.is_away = false;
    }

    /// The message that has come with the return of the last call, in `out`. Linux may say what it likes:
    /// `Protocol` if that is no length.
    pub fn message<'a>(&mut self, out: &'a mut [u8]) -> Result<&'a [u8], Error> {
        self.own()?;
        self.page.with(|lca: &mut Lca| {
            let len = usize::try_from(lca.retval).map_err(|_| Error::Protocol)?;
            let (from, to) = (lca.buffer.get(..len), out.get_mut(..len));
            let (from, to) = from.zip(to).ok_or(Error::Protocol)?;
            to.copy_from_slice(from);
            Ok(&*to)
        })
    }

    fn own(&self) -> Result<(), Error> {
        if self.is_away { Err(Error::Busy) } else { Ok(()) }
    }
}
