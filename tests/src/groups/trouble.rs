//! The harness notices when Linux is damaged: without this, the other groups prove little.

use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::guest::GuestError;
use anyhow::{Result, bail, ensure};
use std::thread;
use std::time::{Duration, Instant};

pub fn group() -> Group {
    Group::new("trouble")
        .expecting_trouble()
        .test("is_seen_in_the_log", is_seen_in_the_log)
        .test("panic_ends_the_guest", panic_ends_the_guest)
}

fn is_seen_in_the_log(guest: &TestGuest) -> Result<()> {
    ensure!(guest.check_log().is_ok(), "trouble before there is any");
    guest.succeed("echo 'WARNING: CPU: 0 PID: 1 at test' > /dev/kmsg")?;
    let deadline = Instant::now() + LIMIT;
    while guest.check_log().is_ok() {
        ensure!(Instant::now() < deadline, "a warning went unseen");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn panic_ends_the_guest(guest: &TestGuest) -> Result<()> {
    let start = Instant::now();
    let result = guest.inner().run("echo c > /proc/sysrq-trigger; sleep 60", LIMIT);
    let Err(GuestError::Gone { panicked: true, tail, .. }) = result else {
        bail!("not taken for a panic: {result:?}");
    };
    ensure!(tail.iter().any(|line| line.contains("Kernel panic")), "{tail:?}");
    ensure!(start.elapsed() < LIMIT / 2, "noticed late");
    Ok(())
}
