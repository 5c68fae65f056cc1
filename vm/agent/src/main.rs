//! Runs commands in the guest for the host: each with its own input, output, status, user.

mod account;
mod command;
mod port;

use ant_agent::{BOOT_COMMAND, BOOT_ID, Frame, Kind, Start, TermSize};
use command::Running;
use port::Sender;
use std::collections::HashMap;

fn main() -> std::io::Result<()> {
    let (mut receiver, sender) = port::open()?;
    sender.send(Frame::new(Kind::Hello, 0, []));

    let mut running = HashMap::new();
    if let Some(start) = std::fs::read(BOOT_COMMAND).ok().and_then(|bytes| Start::decode(&bytes)) {
        launch(&mut running, BOOT_ID, &start, &sender);
    }
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
        Err(error) => {
            let program = start.argv.first().map_or("", String::as_str);
            let message = format!("{program}: {error}\n");
            sender.send(Frame::new(Kind::Stderr, id, message));
            // As a shell has it: 127 for not found, 126 for found but not to be run.
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let status: i32 = if missing { 127 } else { 126 };
            sender.send(Frame::new(Kind::Exit, id, status.to_le_bytes()));
        }
    }
}

fn with(running: &HashMap<u32, Running>, id: u32, act: impl FnOnce(&Running)) {
    if let Some(command) = running.get(&id) {
        act(command);
    }
}
