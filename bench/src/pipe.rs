//! A round trip between two Linux threads by two pipes: what two programs pay to send each other a
//! message.

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};

use ant_protocol::time_stamp;
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::futex::pin;

/// Bytes of one message: as many as a message of AnT has in registers.
const MESSAGE: usize = 32;

/// Measures `count` round trips of one message between threads on two CPUs.
pub fn round_trips(count: usize, cpus: [usize; 2]) -> io::Result<Vec<u64>> {
    let (mut from_ping, mut to_pong) = pipe()?;
    let (mut from_pong, mut to_ping) = pipe()?;
    let before = sched_getaffinity(None)?;
    let samples = std::thread::scope(|scope| {
        let partner = scope.spawn(move || {
            pin(cpus[1])?;
            (0..count).try_for_each(|_| pass(&mut from_ping, &mut to_ping))
        });
        pin(cpus[0])?;
        let samples = (0..count).map(|_| {
            let start = time_stamp();
            to_pong.write_all(&[0; MESSAGE])?;
            from_pong.read_exact(&mut [0; MESSAGE])?;
            Ok(time_stamp() - start)
        });
        let samples = samples.collect();
        partner.join().expect("the partner does not panic")?;
        samples
    });
    sched_setaffinity(None, &before)?;
    samples
}

fn pass(from: &mut PipeReader, to: &mut PipeWriter) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    from.read_exact(&mut message)?;
    to.write_all(&message)
}
