//! The host's side of the guest agent: commands in the guest, several at a time.

use ant_agent::{Frame, Kind, Start, TermSize};
use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It printed.
    Stdout(Vec<u8>),
    /// It printed to its error output.
    Stderr(Vec<u8>),
    /// It ended with this status (128 + n for signal n).
    Exit(i32),
}

/// The waiting sessions: id of the command to its events.
#[derive(Default)]
struct Waiting {
    commands: HashMap<u32, mpsc::Sender<Event>>,
    /// The connection is gone; no session may wait any more.
    closed: bool,
}

/// The connection to one guest's agent.
#[derive(Clone)]
pub struct Agent {
    port: Arc<Mutex<UnixStream>>,
    waiting: Arc<Mutex<Waiting>>,
    /// Any thread draws from it; only uniqueness matters.
    next_id: Arc<AtomicU32>,
}

/// A command in the guest; its events arrive until [`Event::Exit`], or until the guest is gone.
pub struct Session {
    agent: Agent,
    id: u32,
    /// Ends without [`Event::Exit`] when the guest is gone.
    pub events: mpsc::Receiver<Event>,
}

impl Agent {
    /// Talks over `port`; `ready` hears when the agent is there.
    pub(crate) fn connect(port: UnixStream, ready: mpsc::Sender<()>) -> io::Result<Self> {
        let reader = port.try_clone()?;
        let agent = Self {
            port: Arc::new(Mutex::new(port)),
            waiting: Arc::default(),
            next_id: Arc::default(),
        };
        let waiting = agent.waiting.clone();
        thread::spawn(move || {
            dispatch(reader, &waiting, &ready);
            let mut waiting = lock(&waiting);
            waiting.closed = true;
            waiting.commands.clear();
        });
        Ok(agent)
    }

    /// Starts a command.
    pub fn start(&self, start: &Start) -> Session {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let session = self.attach(id);
        self.send(Frame::new(Kind::Start, id, start.encode()));
        session
    }

    /// The events of the command `id`, which the guest starts by itself.
    pub(crate) fn attach(&self, id: u32) -> Session {
        let (sender, events) = mpsc::channel();
        let mut waiting = lock(&self.waiting);
        if !waiting.closed {
            waiting.commands.insert(id, sender);
        }
        Session { agent: self.clone(), id, events }
    }

    fn send(&self, frame: Frame) {
        // When the guest is gone, the reader tells each session that waits.
        frame.write(&mut *lock(&self.port)).ok();
    }
}

impl Session {
    /// The command's input.
    pub fn input(&self) -> Input {
        Input { agent: self.agent.clone(), id: self.id }
    }

    /// Kills the command and what it started.
    pub fn kill(&self) {
        self.agent.send(Frame::new(Kind::Kill, self.id, []));
    }

    /// Tells the command's terminal its size.
    pub fn resize(&self, size: TermSize) {
        self.agent.send(Frame::new(Kind::Resize, self.id, size.encode()));
    }
}

/// The input of one command.
pub struct Input {
    agent: Agent,
    id: u32,
}

impl Input {
    /// Gives the command input.
    pub fn send(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.agent.send(Frame::new(Kind::Stdin, self.id, bytes));
        }
    }

    /// Ends the command's input.
    pub fn end(&self) {
        self.agent.send(Frame::new(Kind::Stdin, self.id, []));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.agent.waiting).commands.remove(&self.id);
    }
}

fn dispatch(mut from: UnixStream, waiting: &Mutex<Waiting>, ready: &mpsc::Sender<()>) {
    let mut said_hello = false;
    while let Ok(frame) = Frame::read(&mut from) {
        let event = match frame.kind {
            Kind::Hello => {
                if std::mem::replace(&mut said_hello, true) {
                    // Another agent, which knows nothing of the first one's commands.
                    lock(waiting).commands.clear();
                }
                ready.send(()).ok();
                continue;
            }
            Kind::Stdout => Event::Stdout(frame.payload),
            Kind::Stderr => Event::Stderr(frame.payload),
            Kind::Exit => {
                let status = frame.payload.try_into().map_or(255, i32::from_le_bytes);
                Event::Exit(status)
            }
            Kind::Start | Kind::Stdin | Kind::Kill | Kind::Resize => continue,
        };
        if let Some(events) = lock(waiting).commands.get(&frame.id) {
            events.send(event).ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
