//! A stage, as it takes what the stage before hands it.

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::ica::Pages;
use ant_rt::ipc::{self, Message, Received, Timeout};

use crate::Request;

/// A stage before that hands over nothing for so long has ended or hangs.
const STALL_MS: u64 = 30_000;

/// The receiving end of a program, which has no other.
#[derive(Debug)]
pub struct Stage {
    /// Before anything has come there is no hurry.
    timeout: Timeout,
}

impl Stage {
    /// Makes this program the stage with this name.
    pub fn open(name: Name) -> Result<Self, Error> {
        ant_api_name::register(name, ipc::open_endpoint()?)?;
        Ok(Self { timeout: Timeout::FOREVER })
    }

    /// The next pages, and how many bytes are in them; `None` at the end.
    pub fn take(&mut self) -> Result<Option<(Pages, usize)>, Error> {
        loop {
            let Received::Call(request) = ipc::receive(self.timeout)? else { continue };
            self.timeout = Timeout::ms(STALL_MS);
            // The sender of an unknown request gets the error; this stage goes on.
            if let Ok(data) = answer(request) {
                return Ok(data);
            }
        }
    }
}

/// Replies to a request; what has come with it.
fn answer(mut request: ipc::Request) -> Result<Option<(Pages, usize)>, Error> {
    let data = Request::decode(request.words).and_then(|decoded| match decoded {
        Request::End => Ok(None),
        Request::Data(len) => {
            let pages = request.take_pages().ok_or(Error::Fault)?;
            let fits = len <= pages.as_slice().len();
            fits.then_some(Some((pages, len))).ok_or(Error::Fault)
        }
    });
    if let Some(token) = request.take_token() {
        let result = data.as_ref().map_or_else(|&error| Err(error), |_| Ok(0));
        // A caller that has stopped waiting has handed its pages over all the same.
        let _ = ipc::reply(token, &mut Message::result(result));
    }
    data
}
