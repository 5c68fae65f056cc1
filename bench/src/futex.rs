//! A round trip between two Linux threads by futex: what two programs pay to wake each other.

use std::sync::atomic::{AtomicU32, Ordering};

use ant_protocol::time_stamp;
use rustix::thread::futex::{self, Flags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs of the two threads: two different ones if Linux has them.
pub fn cpus() -> rustix::io::Result<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    let first = cpus.next().unwrap_or(0);
    Ok([first, cpus.next().unwrap_or(first)])
}

/// Measures `count` round trips.
pub fn round_trips(count: usize, cpus: [usize; 2]) -> rustix::io::Result<Vec<u64>> {
    let (ping, pong) = (AtomicU32::new(0), AtomicU32::new(0));
    let before = sched_getaffinity(None)?;
    let samples = std::thread::scope(|scope| {
        let partner = scope.spawn(|| {
            pin(cpus[1])?;
            for turn in 1..=count as u32 {
                wait_for(&ping, turn);
                ring(&pong, turn);
            }
            Ok(())
        });
        pin(cpus[0])?;
        let samples = (1..=count as u32).map(|turn| {
            let start = time_stamp();
            ring(&ping, turn);
            wait_for(&pong, turn);
            time_stamp() - start
        });
        let samples = samples.collect();
        partner.join().expect("the partner does not panic")?;
        Ok(samples)
    });
    sched_setaffinity(None, &before)?;
    samples
}

/// Lets the calling thread run on one CPU only.
pub fn pin(cpu: usize) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
}

/// `word` is written by one thread and read by the other: release here, acquire in `wait_for`.
fn ring(word: &AtomicU32, turn: u32) {
    word.store(turn, Ordering::Release);
    // Fails only if there is no such word.
    let _ = futex::wake(word, Flags::PRIVATE, 1);
}

fn wait_for(word: &AtomicU32, turn: u32) {
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen == turn {
            return;
        }
        // Comes back at once if the word has changed since; whatever it says, the loop looks again.
        let _ = futex::wait(word, Flags::PRIVATE, seen, None);
    }
}
