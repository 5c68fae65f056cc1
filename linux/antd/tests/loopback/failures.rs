//! AnT fails: CPUs that hang or panic, an `init` that does not answer.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ant_abi::control::REQUEST_KILL;
use ant_abi::cpu_block::{CpuRole, CpuState};
use ant_abi::log::LEVEL_ERROR;
use ant_logic::rings::log::LogWriter;
use ant_protocol::{Reply, Request};

use crate::client::{done, failed};
use crate::player::{Process, World, has_gone, null, wait_for};

scenarios!(
    status_finds_a_cpu_that_hangs,
    a_cpu_that_hangs_ends_its_programs_only,
    an_init_that_does_not_answer,
    a_panic_ends_everything_and_is_remembered,
);

fn status_finds_a_cpu_that_hangs() {
    let world = World::booted("hang", 0);
    let client = world.client();
    let start = Instant::now();
    client.send(&Request::Status);
    wait_for("a kick", || (world.ant.kicks(1) > 0).then_some(()));
    world.ant.count_doorbell(0);
    let status = client.status();
    let answers: Vec<bool> = status.partition.unwrap().cpus.iter().map(|cpu| cpu.answers).collect();
    assert_eq!(answers, [true, false]);
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(done(world.ask(&Request::Stop)).contains("again"));
}

fn a_cpu_that_hangs_ends_its_programs_only() {
    let (mut world, client, process, proxy) = World::running("stuck");
    let healthy = world.run_request(null().as_fd());
    let (other, _) = world.init_spawns(0);
    assert!(matches!(healthy.reply(), Reply::Started { cpu: 1, .. }));
    let other_proxy = world.proxy_of(other);
    (0..2).for_each(|cpu_index| world.ant.count_doorbell(cpu_index));
    // CPU 0 is in its kernel, too, but not for long at a time.
    world.ant.set_kernel_entries(1, 77);
    let start = Instant::now();
    let mut kernel_entries = 1;
    while !client.has_reply() {
        world.ant.set_kernel_entries(0, kernel_entries);
        kernel_entries += 2;
        std::thread::sleep(Duration::from_millis(10));
        assert!(start.elapsed() < Duration::from_secs(12), "not noticed");
    }
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    let text = client.lost();
    assert!(text.contains("CPU 2 hangs in AnT's kernel") && text.contains("antctl stop"), "{text}");
    world.closed(process);
    assert!(has_gone(proxy));
    assert_eq!(world.proxy_of(other), other_proxy);
    assert!(!healthy.has_reply());
    let partition = world.status().partition.unwrap();
    assert_eq!(partition.cpus.iter().map(|cpu| cpu.hangs).collect::<Vec<_>>(), [false, true]);
    assert_eq!(partition.programs, 1);
    // A program that starts there now ends soon.
    let late = world.run_request(null().as_fd());
    let _ = world.init_spawns(1);
    assert!(matches!(late.reply(), Reply::Started { cpu: 2, .. }));
    let _ = late.lost();
}

fn an_init_that_does_not_answer() {
    let mut world = World::booted("deaf", 0);
    let client = world.run_request(null().as_fd());
    let ps = world.request(&Request::Ps);
    for client in [&client, &ps] {
        let text = client.refusal();
        assert!(text.contains("AnT does not answer (CPU 1)"), "{text}");
        assert!(text.contains("antctl stop"), "{text}");
    }
    // The process is created too late: it has to end.
    let (process, _) = world.init_spawns(1);
    world.comes_asked_to_kill(process);
    assert!(done(world.ask(&Request::Stop)).contains("again"));
}

impl World {
    fn comes_asked_to_kill(&mut self, process: Process) {
        let asked = wait_for("a kill", || {
            let asked = self.init_asked();
            if asked.head.kind == REQUEST_KILL {
                return Some(asked);
            }
            self.init_answers(&asked, Ok(&[]));
            None
        });
        assert_eq!(asked.head.a, process.pid);
    }
}

fn a_panic_ends_everything_and_is_remembered() {
    let (world, client, _, proxy) = World::running("panic");
    let waiting = world.request(&Request::Ps);
    let mut writer = LogWriter::new();
    world.ant.log(1, &mut writer, 5, LEVEL_ERROR, "kernel panic: out of tea");
    world.ant.set_state(1, CpuState::Panicked, CpuRole::PKernel);
    world.ant.ring();
    let text = client.lost();
    assert!(text.contains("on CPU 2 panicked") && text.contains("out of tea"), "{text}");
    assert!(waiting.refusal().contains("panicked"));
    wait_for("the stop", || (world.ant.stops() == 1).then_some(()));
    assert!(has_gone(proxy));
    let status = world.request(&Request::Status).status();
    assert_eq!(status.partition, None);
    assert!(status.last_failure.unwrap().contains("out of tea"));
    let text = failed(world.ask(&Request::Ps));
    assert!(text.contains("not running") && text.contains("panicked"), "{text}");
}
