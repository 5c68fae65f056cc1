//! Servers that have ended, until `init` asks how.

use ant_abi::ipc::{END_TEXT, ProcessEnd};
use ant_abi::lca::END_KILLED;
use ant_p::process::Owned;
use arrayvec::ArrayVec;

/// Ends that `init` may leave lying.
const KEPT: usize = 32;

/// A queue of ends, the oldest first.
pub struct Endings(ArrayVec<ProcessEnd, KEPT>);

impl Endings {
    /// Nobody has ended.
    pub fn new() -> Self {
        Self(ArrayVec::new())
    }

    /// Notes the end of a process. If `init` asks for none for so long that there is no room, the
    /// oldest is forgotten.
    pub fn add(&mut self, process: &Owned) {
        let mut end = ProcessEnd {
            pid: process.pid,
            kind: END_KILLED as u32,
            number: 0,
            text: [0; END_TEXT],
        };
        if let Some(ending) = &process.ending {
            end.kind = ending.kind as u32;
            end.number = ending.number;
            let len = ending.text.floor_char_boundary(END_TEXT);
            end.text[..len].copy_from_slice(&ending.text.as_bytes()[..len]);
        }
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(end);
    }

    /// Takes the oldest.
    pub fn take(&mut self) -> Option<ProcessEnd> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}
