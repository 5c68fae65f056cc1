//! Runs commands in the guest for the host: each with its own input, output, status, user.

mod account;
mod command;
mod port;

use ant_agent::{BOOT_COMMAND, BOOT_ID, Frame, Kind, Start, TermSize};
use command::Running;
use port::Sender;
use std::collections::HashMap;
use std::process::Output;

/// Bytes of output in a frame.
const CHUNK: usize = 32 << 10;

fn main() -> std::io::Result<()> {
    // Before the first frame to the host: its answers come a little sooner or later each time.
    let boot_command = std::fs::read(BOOT_COMMAND).ok().and_then(|bytes| Start::decode(&bytes));
    let done = boot_command.map(|start| command::run_to_end(&start));

    let (mut receiver, sender) = port::open()?;
    sender.send(Frame::new(Kind::Hello, 0, []));
    done.into_iter().for_each(|result| report(BOOT_ID, result, &sender));

    let mut running = HashMap::new();
    loop {
        let frame = Frame::read(&mut receiver)?;
        match frame.kind {
            Kind::Start => {
                running.retain(|_, command: &mut Running| !command.is_over());
                if let Some(start) = Start::decode(&frame.payload) {
                    launch(&mut running, frame.id, &start, &sender);
                }
            }
            Kind::Stdin => with(&running, frame.id, |command| command.input(frame.payload)),
            Kind::Kill => with(&running, frame.id, Running::kill),
            Kind::Resize => with(&running, frame.id, |command| {
                let size = std::str::from_utf8(&frame.payload).ok().and_then(TermSize::decode);
                size.into_iter().for_each(|size| command.resize(size));
            }),
            Kind::Hello | Kind::Stdout | Kind::Stderr | Kind::Exit => {}
        }
    }
}

fn launch(running: &mut HashMap<u32, Running>, id: u32, start: &Start, sender: &Sender) {
    match command::start(id, start, sender) {
        Ok(command) => drop(running.insert(id, command)),
        Err(error) => report(id, Err(error), sender),
    }
}

/// Sends all that a command came to.
fn report(id: u32, result: std::io::Result<Output>, sender: &Sender) {
    let send = |kind, bytes: &[u8]| sender.send(Frame::new(kind, id, bytes));
    let status = match result {
        Ok(output) => {
            output.stdout.chunks(CHUNK).for_each(|chunk| send(Kind::Stdout, chunk));
            output.stderr.chunks(CHUNK).for_each(|chunk| send(Kind::Stderr, chunk));
            command::code(output.status)
        }
        Err(error) => {
            send(Kind::Stderr, format!("cannot run it: {error}\n").as_bytes());
            // As a shell has it: 127 for not found, 126 for found but not to be run.
            if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
        }
    };
    send(Kind::Exit, &status.to_le_bytes());
}

fn with(running: &HashMap<u32, Running>, id: u32, act: impl FnOnce(&Running)) {
    if let Some(command) = running.get(&id) {
        act(command);
    }
}
