//! The watchdog of one server: asks for a heartbeat at intervals, and says when one is overdue.

/// A timer that fires this late means that the machine was paused: one more period is granted.
const PAUSED_US: u64 = 100_000;

/// How a server shows that it serves.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// Time from one heartbeat until the next is asked for.
    pub every_us: u64,
    /// How long the server has to send it.
    pub answer_us: u64,
}

/// The watchdog; without a [`Heartbeat`], it never fires.
pub(super) struct Watchdog {
    heartbeat: Option<Heartbeat>,
    state: WatchState,
}

enum WatchState {
    /// The server does not serve.
    Off,
    /// A heartbeat has come; the next one is asked for at `ask_at`.
    Idle { ask_at: u64 },
    /// A heartbeat was asked for; or, if not `sent`, the server's queue was full. `extended`: the one more
    /// period was granted.
    Asked { until: u64, sent: bool, extended: bool },
}

impl Watchdog {
    /// Of a server that does not serve yet.
    pub fn new(heartbeat: Option<Heartbeat>) -> Self {
        Self { heartbeat, state: WatchState::Off }
    }

    /// A heartbeat has come.
    pub fn heartbeat(&mut self, now: u64) {
        if let Some(heartbeat) = self.heartbeat {
            self.state = WatchState::Idle { ask_at: now + heartbeat.every_us };
        }
    }

    /// The server does not serve.
    pub fn stop(&mut self) {
        self.state = WatchState::Off;
    }

    /// When something is due; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        match self.state {
            WatchState::Off => u64::MAX,
            WatchState::Idle { ask_at } => ask_at,
            WatchState::Asked { until, .. } => until,
        }
    }

    /// Does what is due; `false`: the heartbeat is overdue. `ask` says whether the queue had room for the
    /// question.
    pub fn advance(&mut self, now: u64, mut ask: impl FnMut() -> bool) -> bool {
        let Some(heartbeat) = self.heartbeat else { return true };
        match self.state {
            WatchState::Idle { ask_at } if ask_at <= now => {
                let until = now + heartbeat.answer_us;
                self.state = WatchState::Asked { until, sent: ask(), extended: false };
            }
            // The pause may have kept the server from answering. Once only: a clock that goes wrong
            // must not keep a hung server.
            WatchState::Asked { until, sent, extended: false } if until + PAUSED_US <= now => {
                let until = now + heartbeat.answer_us;
                self.state = WatchState::Asked { until, sent, extended: true };
            }
            WatchState::Asked { until, sent, .. } if until <= now => {
                // A full queue that has room by now was read from.
                if sent || !ask() {
                    self.stop();
                    return false;
                }
                self.heartbeat(now);
            }
            _ => {}
        }
        true
    }
}
