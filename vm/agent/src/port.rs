//! The virtio-serial port to the host.

use ant_agent::{Frame, PORT};
use std::fs::{self, File};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sends frames; any thread may.
#[derive(Clone)]
pub struct Sender(Arc<Mutex<File>>);

impl Sender {
    /// Sends `frame`; waits while the host does not read.
    pub fn send(&self, frame: Frame) {
        let mut port = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A host that is gone ends the guest: the error cannot be reported.
        frame.write(&mut *port).ok();
    }
}

/// Opens the port; waits for it at boot.
pub fn open() -> io::Result<(File, Sender)> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let path = loop {
        match find() {
            Some(path) => break path,
            None if Instant::now() > deadline => return Err(io::ErrorKind::NotFound.into()),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let port = File::options().read(true).write(true).open(path)?;
    let sender = Sender(Arc::new(Mutex::new(port.try_clone()?)));
    Ok((port, sender))
}

fn find() -> Option<String> {
    for entry in fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT {
            return Some(format!("/dev/{}", entry.file_name().to_string_lossy()));
        }
    }
    None
}
