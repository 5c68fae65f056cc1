//! Devices that servers are granted: interrupts, ports, memory; input on COM2. What is not granted is
//! not there.

use crate::ant::{self, answers, expect};
use crate::com2::{LINE, await_all_come, await_heard, interrupts};
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const VICTIM: &str = "/usr/lib/ant/tests/victim";
const SERIAL: &str = "/usr/lib/ant/servers/ant-serial";
/// Where every PC has its HPET. Its first register names its maker: Intel, revision 1.
const HPET: u64 = 0xfed0_0000;
const HPET_ID: u64 = 0x8086_0001;
/// Input that no client has read, as much as `serial` keeps.
const RECEIVED_MAX: usize = 256;

pub fn group() -> Group {
    Group::with_console("devices")
        .test("input_reaches_a_client", input_reaches_a_client)
        .test("input_reaches_the_next_server", input_reaches_the_next_server)
        .test("too_much_input_is_cut", too_much_input_is_cut)
        .test("a_line_that_is_stuck", a_line_that_is_stuck)
        .test("input_reaches_a_cpu_that_polls", input_reaches_a_cpu_that_polls)
        .test(
            "interrupts_reach_the_server_with_the_grant",
            interrupts_reach_the_server_with_the_grant,
        )
        .test("an_interrupt_reaches_its_cpu_directly", an_interrupt_reaches_its_cpu_directly)
        .test("no_interrupt_is_lost_on_the_way", no_interrupt_is_lost_on_the_way)
        .test(
            "device_memory_reaches_the_server_with_the_grant",
            device_memory_reaches_the_server_with_the_grant,
        )
        .test("device_memory_takes_tables", device_memory_takes_tables)
        .test("device_memory_goes_to_the_next", device_memory_goes_to_the_next)
        .test("ports_are_checked_one_by_one", ports_are_checked_one_by_one)
        .test("a_whole_device_has_all_its_ports", a_whole_device_has_all_its_ports)
        .test("a_device_that_is_not_there", a_device_that_is_not_there)
        .test("a_grant_that_makes_no_sense", a_grant_that_makes_no_sense)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// Has the servers of `tests/manifest.toml` running.
pub fn up_with_probe(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::FAILING)
}

/// Waits until the last of these servers has ended for good: nothing else happens.
pub fn await_rest(guest: &TestGuest) -> Result<()> {
    ant::await_server_state(guest, "greedy", "given up", SOON)
}

fn input_reaches_a_client(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_heard(guest, "")?;
    let before = interrupts(guest)?;
    let mut line = LINE.open()?;
    for text in ["a", "hello AnT\r\n", "and a line that is longer than the words of one message\n"]
    {
        line.write_all(text.as_bytes())?;
        await_heard(guest, text)?;
    }
    ensure!(interrupts(guest)? >= before + 3, "there was no interrupt");
    Ok(())
}

fn input_reaches_the_next_server(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let mut line = LINE.open()?;
    for command in ["restart serial", &format!("replace serial {SERIAL}"), "restart serial"] {
        let generation = ant::server(guest, "serial")?.generation + 1;
        answers(guest, &format!("antctl server {command}"), 0, "serial was re")?;
        ant::await_server(guest, "serial", generation, SOON)?;
        let text = format!("to generation {generation}\n");
        line.write_all(text.as_bytes())?;
        await_heard(guest, &text)?;
    }
    Ok(())
}

fn too_much_input_is_cut(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let text: String = ('a'..='z').cycle().take(RECEIVED_MAX + 100).collect();
    let mut line = LINE.open()?;
    let before = interrupts(guest)?;
    line.write_all(text.as_bytes())?;
    await_all_come(guest, before)?;
    await_heard(guest, &text[..RECEIVED_MAX])?;
    line.write_all(b"on it goes")?;
    await_heard(guest, "on it goes")
}

/// A peer that is connected to the line and does not read stops it: writers are told, the server goes on.
fn a_line_that_is_stuck(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = ant::server(guest, "serial")?;
    let mut line = LINE.open()?;
    let long = "x".repeat(1000);
    for cpu in [1, 2] {
        let say = format!("antctl run --cpu {cpu} -- say {long}");
        guest.wait_until(&format!("{say} 2>&1 | grep -q '^say: Io$'"), SOON)?;
    }
    // Nor does it keep the server from starting.
    answers(guest, "antctl server restart serial", 0, "serial was restarted")?;
    line.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut heard = Vec::new();
    // Until nothing more comes.
    let _ = line.read_to_end(&mut heard);
    ensure!(heard.contains(&b'x'), "nothing came");
    answers(guest, "antctl run -- say and on it goes", 0, "")?;
    let mut heard = Vec::new();
    let _ = line.read_to_end(&mut heard);
    let heard = String::from_utf8_lossy(&heard).into_owned();
    ensure!(heard.ends_with("and on it goes\r\n"), "{heard:?}");
    let after = ant::server(guest, "serial")?;
    ensure!(after.generation == before.generation + 1 && after.state == "serves", "{after:?}");
    Ok(())
}

fn input_reaches_a_cpu_that_polls(guest: &TestGuest) -> Result<()> {
    ant::up(guest, &format!("{} --poll", ant::USUAL))?;
    let mut line = LINE.open()?;
    for text in ["to a CPU that polls", "and polls again"] {
        line.write_all(text.as_bytes())?;
        await_heard(guest, text)?;
    }
    Ok(())
}

fn interrupts_reach_the_server_with_the_grant(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let mut line = LINE.open()?;
    // Not a server without a grant, on the same CPU or another.
    for cpu in [1, 3] {
        let server = ant::start(guest, &format!("--cpu {cpu} -- victim serve victim"));
        ant::await_process(guest, "victim serve", "receiving")?;
        line.write_all(b"not for you")?;
        await_heard(guest, "not for you")?;
        answers(guest, "antctl run -- victim call told", 0, "told: 0 0, generation 0\n")?;
        drop(server);
        ant::await_idle(guest)?;
    }
    // What takes the server's place has them: bit 0.
    answers(guest, &format!("antctl server replace serial {VICTIM}"), 0, "serial was replaced")?;
    answers(guest, "antctl run -- victim call told", 0, "told: 0 0, ")?;
    line.write_all(b"x")?;
    guest.wait_until("antctl run -- victim call told | grep -q '^told: 0 1,'", SOON)?;
    // The one before has left them, and in the device what it has not taken out.
    answers(guest, &format!("antctl server replace serial {SERIAL}"), 0, "serial was replaced")?;
    line.write_all(b"back")?;
    await_heard(guest, "xback")?;
    // While no server runs, the device keeps what comes.
    ant::kill_server(guest, "serial")?;
    line.write_all(b"not lost")?;
    ant::await_serving(guest, "serial", SOON)?;
    await_heard(guest, "not lost")?;
    line.write_all(b"again")?;
    await_heard(guest, "again")?;
    ant::works_on(guest, &[1, 2, 3])
}

/// Interrupts of devices that each CPU of the partition has taken.
fn device_interrupts(guest: &TestGuest) -> Result<Vec<u64>> {
    let status = ant::status(guest)?;
    let cpus = status["partition"]["cpus"].as_array().context("no CPUs")?;
    let counts = cpus.iter().map(|cpu| cpu["device_interrupts"].as_u64().context("no count"));
    counts.collect()
}

/// The CPU of the server takes them, whichever kernel is there, and no other.
fn an_interrupt_reaches_its_cpu_directly(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_heard(guest, "")?;
    let mut line = LINE.open()?;
    for (cpu_index, cpu) in [(1, 2), (2, 3), (0, 1)] {
        if ant::process_of(guest, "serial")?.cpu != cpu {
            ant::move_server(guest, "serial", cpu, SOON)?;
        }
        let before = device_interrupts(guest)?;
        line.write_all(b"here")?;
        await_heard(guest, "here")?;
        let after = device_interrupts(guest)?;
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            let right = if index == cpu_index { after > before } else { after == before };
            ensure!(right, "serial is on CPU {cpu}: {before} to {after} on CPU index {index}");
        }
    }
    // So does that of its successor.
    answers(guest, "antctl server restart serial", 0, "serial was restarted")?;
    let before = device_interrupts(guest)?;
    line.write_all(b"again")?;
    await_heard(guest, "again")?;
    let after = device_interrupts(guest)?;
    ensure!(after[0] > before[0] && after[1..] == before[1..], "{before:?}, {after:?}");
    Ok(())
}

/// Input that comes while the server goes from CPU to CPU.
fn no_interrupt_is_lost_on_the_way(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_heard(guest, "")?;
    let line = LINE.open()?;
    let text: String = (b'a'..=b'z').map(char::from).cycle().take(4 * 26).collect();
    let typed = text.clone();
    let typist = std::thread::spawn(move || {
        let mut line = line;
        for byte in typed.bytes() {
            line.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(40));
        }
        Ok::<(), std::io::Error>(())
    });
    while !typist.is_finished() {
        for cpu in [2, 3, 1] {
            ant::move_server(guest, "serial", cpu, SOON)?;
        }
    }
    typist.join().expect("the typist does not panic")?;
    await_heard(guest, &text)
}

/// Asks the probe what is in device memory.
fn peek(guest: &TestGuest, at: u64) -> Result<String> {
    guest.succeed(&format!("antctl run -- victim call peek {at}"))
}

/// Fails unless the probe reads the HPET.
fn sees_the_hpet(guest: &TestGuest) -> Result<()> {
    let said = peek(guest, HPET)?;
    let value = said.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
    let value = value.with_context(|| said.clone())?;
    ensure!(value & 0xffff_00ff == HPET_ID, "{value:#x} is no HPET's: {said}");
    Ok(())
}

fn device_memory_reaches_the_server_with_the_grant(guest: &TestGuest) -> Result<()> {
    up_with_probe(guest)?;
    ant::await_server(guest, "probe", 1, SOON)?;
    ensure!(ant::server(guest, "probe")?.priority == 5);
    let free = ant::free_memory(guest)?;
    sees_the_hpet(guest)?;
    // The page behind it was not granted; the fault ends the server, which then comes back with what
    // is its own, and nothing of the device's has become AnT's memory.
    for generation in [2, 3] {
        let said = peek(guest, HPET + 0x1000)?;
        ensure!(said == format!("peek: PeerRestarted {{ generation: {generation} }}\n"), "{said}");
        let server = ant::await_server(guest, "probe", generation, SOON)?;
        ensure!(server.last_end.starts_with("page fault (read 0x7000fed01000)"), "{server:?}");
        sees_the_hpet(guest)?;
        ant::await_free_memory(guest, free)?;
    }
    let output = guest.run("antctl run --cpu 2 -- crash device")?;
    expect(&output, 139, "page fault (read 0x7000fed00000)")?;
    sees_the_hpet(guest)?;
    ant::await_free_memory(guest, free)
}

/// The tables that lead there are memory of AnT's, and of the server's.
fn device_memory_takes_tables(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up_with_probe(guest)?;
    await_rest(guest)?;
    ant::await_server(guest, "probe", 1, SOON)?;
    let free = ant::free_memory(guest)?;
    answers(guest, "antctl server restart probe", 0, "probe was restarted")?;
    ant::await_server(guest, "probe", 2, SOON)?;
    ant::await_free_memory(guest, free)?;
    // The same program, with and without.
    let [with, without] = ["probe", "absent"].map(|name| ant::process_of(guest, name));
    let kib = |memory: &str| memory.strip_suffix(" KiB").and_then(|text| text.parse::<u32>().ok());
    let (with, without) = (with?.memory, without?.memory);
    ensure!(kib(&with) == kib(&without).map(|kib| kib + 12), "{with} with, {without} without");
    Ok(())
}

fn device_memory_goes_to_the_next(guest: &TestGuest) -> Result<()> {
    up_with_probe(guest)?;
    for _ in 0..2 {
        let generation = ant::server(guest, "probe")?.generation;
        answers(guest, &format!("antctl server replace probe {VICTIM}"), 0, "probe was replaced")?;
        ant::await_server(guest, "probe", generation + 1, SOON)?;
        sees_the_hpet(guest)?;
    }
    // And where it goes.
    for cpu in [1, 3, 2] {
        ant::move_server(guest, "probe", cpu, SOON)?;
        sees_the_hpet(guest)?;
    }
    Ok(())
}

fn ports_are_checked_one_by_one(guest: &TestGuest) -> Result<()> {
    up_with_probe(guest)?;
    // COM2's modem status, the ports before and behind the probe's, the keyboard's, and none at all.
    let output = guest.run(&format!("antctl run -- victim call port {}", 0x2fe))?;
    ensure!(output.stdout.starts_with("port: 176 0, "), "a peer is connected: 0xb0: {output:?}");
    for port in [0x2fd, 0x300, 0x60, 0xffff] {
        answers(
            guest,
            &format!("antctl run -- victim call port {port}"),
            0,
            "port: Some(NotPermitted)\n",
        )?;
    }
    // The processor's own instructions fault in every process.
    for how in ["port-read", "port-write"] {
        answers(guest, &format!("antctl run -- crash {how}"), 139, "general protection at 0x")?;
    }
    Ok(())
}

/// What takes the place of `serial`, which has COM2 by its name. That interrupts come along, other tests show.
fn a_whole_device_has_all_its_ports(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up(guest)?;
    ant::await_server(guest, "serial", 1, SOON)?;
    answers(guest, &format!("antctl server replace serial {VICTIM}"), 0, "serial was replaced")?;
    let port = |port: u16| guest.succeed(&format!("antctl run -- victim call port {port}"));
    for inside in 0x2f8..=0x2ff {
        let said = port(inside)?;
        ensure!(said.ends_with(" 0, generation 2\n"), "{inside:#x}: {said}");
    }
    for outside in [0x2f7, 0x300] {
        let said = port(outside)?;
        ensure!(said == "port: Some(NotPermitted)\n", "{outside:#x}: {said}");
    }
    ant::down(guest)
}

/// As a device that Linux keeps: the server is not tried again, also not with another program.
fn a_device_that_is_not_there(guest: &TestGuest) -> Result<()> {
    up_with_probe(guest)?;
    await_rest(guest)?;
    let is_given_up = || {
        let server = ant::server(guest, "lacking")?;
        let is_it = server.last_end == "Linux keeps its device" && server.state == "given up";
        ensure!(is_it && server.restarts == 0 && server.pid.is_none(), "{server:?}");
        Ok(())
    };
    is_given_up()?;
    answers(guest, "antctl log", 0, "server lacking is not started: Linux keeps its device")?;
    let free = ant::free_memory(guest)?;
    answers(guest, "antctl server restart lacking", 1, "lacking was not restarted")?;
    let replace = format!("antctl server replace lacking {VICTIM}");
    answers(guest, &replace, 1, "lacking was not replaced")?;
    is_given_up()?;
    ant::await_free_memory(guest, free)
}

fn a_grant_that_makes_no_sense(guest: &TestGuest) -> Result<()> {
    up_with_probe(guest)?;
    await_rest(guest)?;
    let greedy = ant::server(guest, "greedy")?;
    ensure!(
        greedy.last_end == "could not be started: Invalid" && greedy.pid.is_none(),
        "{greedy:?}"
    );
    sees_the_hpet(guest)?;
    ant::down(guest)
}
