//! Servers that have ended, until `init` asks how.

use ant_abi::ipc::{EXIT_TEXT, ExitNotice};
use ant_abi::lca::ExitKind;
use ant_p::process::Process;
use arrayvec::ArrayVec;

/// Ends that `init` may leave lying.
const KEPT: usize = 32;

/// A queue of ends, the oldest first.
pub struct ExitQueue(ArrayVec<ExitNotice, KEPT>);

impl ExitQueue {
    /// No server has ended.
    pub fn new() -> Self {
        Self(ArrayVec::new())
    }

    /// Notes the end of a process. If `init` asks for none for so long that there is no room, the
    /// oldest is forgotten.
    pub fn add(&mut self, process: &Process) {
        let mut end = ExitNotice {
            pid: process.pid.get(),
            kind: ExitKind::Killed as u32,
            number: 0,
            text: [0; EXIT_TEXT],
        };
        if let Some(exit) = &process.exit {
            end.kind = exit.kind as u32;
            end.number = exit.number;
            let len = exit.text.floor_char_boundary(EXIT_TEXT);
            end.text[..len].copy_from_slice(&exit.text.as_bytes()[..len]);
        }
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(end);
    }

    /// Takes the oldest.
    pub fn take(&mut self) -> Option<ExitNotice> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}
