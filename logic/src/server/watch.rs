//! Whether a server lives: it is asked now and then, and has to answer.

/// Who looks so much later than it wanted to did so only because the whole machine stood still.
const LATE_US: u64 = 100_000;

/// How a server shows that it lives.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// How often it is asked.
    pub every_us: u64,
    /// How long it has to answer.
    pub answer_us: u64,
}

/// What is known of one server's life.
pub(super) struct Watcher {
    watch: Option<Watch>,
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

impl Watcher {
    /// Of a server that does not serve yet.
    pub fn new(watch: Option<Watch>) -> Self {
        Self { watch, state: State::Off }
    }

    /// The server lives, as one knows now.
    pub fn lives(&mut self, now: u64) {
        if let Some(watch) = self.watch {
            self.state = State::Rests { ask_at: now + watch.every_us };
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

    /// Does what is due; `false`: the server has not answered in time. `ask` says whether there was
    /// room for the question.
    pub fn advance(&mut self, now: u64, mut ask: impl FnMut() -> bool) -> bool {
        let Some(watch) = self.watch else { return true };
        match self.state {
            State::Rests { ask_at } if ask_at <= now => {
                let sent = ask();
                self.state = State::Asked { until: now + watch.answer_us, sent, again: false };
            }
            // Whatever kept one from looking in time may have kept the server from answering; once,
            // for a clock that goes wrong must not keep a server for ever.
            State::Asked { until, sent, again: false } if until + LATE_US <= now => {
                self.state = State::Asked { until: now + watch.answer_us, sent, again: true };
            }
            State::Asked { until, sent, .. } if until <= now => {
                // A full queue that has room by now was read from.
                if sent || !ask() {
                    self.stop();
                    return false;
                }
                self.lives(now);
            }
            _ => {}
        }
        true
    }
}
