//! Whether a server lives: `init` sends it `REQUEST_ALIVE` now and then, it answers by a
//! notification.

use ant_abi::ipc::REQUEST_ALIVE;
use ant_rt::ipc::{self, Handle, Message};

use crate::manifest;

/// `init` looks so much later than it wanted to only if the whole machine stood still.
const LATE_US: u64 = 100_000;

/// What is known of one server's life.
pub struct Watch {
    spec: Option<manifest::Watch>,
    state: State,
}

enum State {
    /// It does not serve.
    Off,
    /// It lives, and is asked next.
    Rests { ask_at: u64 },
    /// It was asked; or could not be, because its queue was full. It may have been given more time.
    Asked { until: u64, sent: bool, again: bool },
}

impl Watch {
    /// Of a server that does not serve yet.
    pub fn new(spec: Option<manifest::Watch>) -> Self {
        Self { spec, state: State::Off }
    }

    /// The server lives, as one knows now.
    pub fn lives(&mut self, now: u64) {
        if let Some(spec) = self.spec {
            self.state = State::Rests { ask_at: now + spec.every_us };
        }
    }

    /// The server does not serve.
    pub fn stop(&mut self) {
        self.state = State::Off;
    }

    /// When there is something to do.
    pub fn deadline(&self) -> u64 {
        match self.state {
            State::Off => u64::MAX,
            State::Rests { ask_at } => ask_at,
            State::Asked { until, .. } => until,
        }
    }

    /// Does what is due; `false`: the server has not answered in time.
    pub fn advance(&mut self, endpoint: Handle, now: u64) -> bool {
        let Some(spec) = self.spec else { return true };
        match self.state {
            State::Rests { ask_at } if ask_at <= now => {
                let sent = ask(endpoint);
                self.state = State::Asked { until: now + spec.answer_us, sent, again: false };
            }
            // Whatever kept `init` from looking in time may have kept the server from answering;
            // once, for a clock that goes wrong must not keep a server for ever.
            State::Asked { until, sent, again: false } if until + LATE_US <= now => {
                self.state = State::Asked { until: now + spec.answer_us, sent, again: true };
            }
            State::Asked { until, sent, .. } if until <= now => {
                // A full queue that has room by now was read from.
                if sent || !ask(endpoint) {
                    self.stop();
                    return false;
                }
                self.lives(now);
            }
            _ => {}
        }
        true
    }

    /// How long the server has to answer, in milliseconds.
    pub fn answer_ms(&self) -> u64 {
        self.spec.map_or(0, |spec| spec.answer_us / 1000)
    }
}

fn ask(endpoint: Handle) -> bool {
    ipc::send(endpoint, &mut Message::new([REQUEST_ALIVE, 0, 0, 0])).is_ok()
}
