//! What the interfaces of the servers promise: what is kept over a restart and over a replacement, and
//! what clients notice of one. And the server that is there to be copied.

use crate::ant::{self, answers};
use crate::com2::{LINE, await_all_come, await_heard, interrupts};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const SERIAL: &str = "/usr/lib/ant/servers/ant-serial";
const NAME_SERVICE: &str = "/usr/lib/ant/servers/ant-name";
const TEMPLATE: &str = "/usr/lib/ant/servers/ant-template";

pub fn group() -> Group {
    Group::with_console("interfaces")
        .test("unread_input_is_kept", unread_input_is_kept)
        .sweep("input_is_read_once", input_is_read_once)
        .test("names_go_on_while_it_is_replaced", names_go_on_while_it_is_replaced)
        .test("lines_stay_whole_while_it_is_replaced", lines_stay_whole_while_it_is_replaced)
        .test("a_program_serves", a_program_serves)
        .test("the_template_serves", the_template_serves)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// Puts a program in the place of a server.
fn replace(guest: &TestGuest, name: &str, program: &str) -> Result<()> {
    let generation = ant::server(guest, name)?.generation + 1;
    let replace = format!("antctl server replace {name} {program}");
    answers(guest, &replace, 0, &format!("{name} was replaced\n"))?;
    ant::await_server(guest, name, generation, SOON).map(drop)
}

fn unread_input_is_kept(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_heard(guest, "")?;
    let mut line = LINE.open()?;
    for how in ["replace", "restart", "kill"] {
        let server = ant::server(guest, "serial")?;
        let before = interrupts(guest)?;
        let text: String = ('a'..='z').cycle().take(200).collect();
        line.write_all(text.as_bytes())?;
        await_all_come(guest, before)?;
        match how {
            "replace" => replace(guest, "serial", SERIAL)?,
            "restart" => answers(guest, "antctl server restart serial", 0, "serial was")?,
            _ => {
                ant::kill_server(guest, "serial")?;
            }
        }
        // Maybe before the next one has started: the device keeps it.
        line.write_all(b" and more")?;
        ant::await_server(guest, "serial", server.generation + 1, SOON)?;
        await_heard(guest, &format!("{text} and more")).context(how)?;
    }
    Ok(())
}

/// Whatever the reader and the server are at.
fn input_is_read_once(guest: &TestGuest, extent: Extent) -> Result<()> {
    up(guest)?;
    await_heard(guest, "")?;
    let mut line = LINE.open()?;
    let text: String = ('a'..='z').cycle().take(250).collect();
    for cpu in extent.of([1, 2, 3]) {
        let server = ant::server(guest, "serial")?;
        let pid = server.pid.context("it does not run")?;
        let before = interrupts(guest)?;
        line.write_all(text.as_bytes())?;
        await_all_come(guest, before)?;
        let heard = guest.succeed(&format!(
            "antctl run --cpu {cpu} -- say listening > /tmp/heard &
             antctl kill {pid} > /dev/null && wait $! && cat /tmp/heard"
        ))?;
        ensure!(heard == text, "heard {heard:?}");
        ant::await_server(guest, "serial", server.generation + 1, SOON)?;
        await_heard(guest, "")?;
    }
    Ok(())
}

fn names_go_on_while_it_is_replaced(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let helper = ant::start(guest, "--cpu 3 -- victim serve helper");
    ant::await_process(guest, "victim serve helper", "receiving")?;
    let lookups = [1, 2, 3]
        .map(|cpu| guest.until_enough(&format!("antctl run --cpu {cpu} -- names helper 10000")));
    // Each takes over the names of the one before, which is dead.
    let registers = guest.until_enough("antctl run --cpu 2 -- misuse-ipc names")?;
    for _ in 0..3 {
        ant::await_started(guest, 1, "names helper")?;
        replace(guest, "name", NAME_SERVICE)?;
    }
    for client in lookups {
        let printed = client?.enough(SOON)?;
        let served = |line: &str| line == "10000 requests served";
        ensure!(!printed.is_empty() && printed.lines().all(served), "{printed}");
    }
    let printed = registers.enough(SOON)?;
    let done = |line: &str| line == "names: Err(OverQuota), 0 left, one's own again: Ok(())";
    ensure!(!printed.is_empty() && printed.lines().all(done), "{printed}");
    answers(guest, "antctl run -- names | sort", 0, "helper\nserial\n")?;
    drop(helper);
    ant::await_idle(guest)
}

fn lines_stay_whole_while_it_is_replaced(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let console = || std::fs::read_to_string(LINE.console());
    let before = console()?.len();
    let generation = ant::server(guest, "serial")?.generation;
    // One fits into the words of a message, the other takes a page.
    let padding = "x".repeat(300);
    let says = [(1, "1".to_owned()), (2, format!("2 {padding}"))];
    let says = says.map(|(cpu, text)| {
        let said =
            guest.until_enough(&format!("antctl run --cpu {cpu} -- say {text} && echo said"));
        said.map(|shell| (text, shell))
    });
    for _ in 0..3 {
        ant::await_started(guest, 1, "say")?;
        replace(guest, "serial", SERIAL)?;
    }
    let mut expected = Vec::new();
    for said in says {
        let (text, shell) = said?;
        let count = shell.enough(SOON)?.lines().filter(|line| *line == "said").count();
        ensure!(count > 0, "{text} was never said");
        expected.extend(std::iter::repeat_n(text, count));
    }
    let hello = |generation| format!("AnT: serial console, generation {generation}");
    expected.extend((1..=3).map(|more| hello(generation + more)));
    // None is missing, none is there twice, none has something of another in it.
    let console = console()?;
    let mut lines: Vec<_> = console[before..].split_terminator("\r\n").collect();
    lines.sort_unstable();
    expected.sort_unstable();
    ensure!(lines == expected, "{lines:?}, not {expected:?}");
    Ok(())
}

fn a_program_serves(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let service = ant::start(guest, "--cpu 2 -- counter serve");
    ant::await_process(guest, "counter serve", "receiving")?;
    answers(guest, "antctl run --cpu 1 -- counter 4", 0, "4\n")?;
    answers(guest, "antctl run --cpu 2 -- counter 6 8", 0, "10\n18\n")?;
    drop(service);
    ant::await_idle(guest)?;
    answers(guest, "antctl run -- counter 1", 1, "counter: NoEntry")
}

fn the_template_serves(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    replace(guest, "serial", TEMPLATE)?;
    answers(guest, "antctl run --cpu 1 -- counter 5", 0, "5\n")?;
    answers(guest, "antctl run --cpu 2 -- counter 7 30", 0, "12\n42\n")?;
    // It shows that it lives whenever it is asked.
    guest.succeed("sleep 3")?;
    answers(guest, "antctl run --cpu 3 -- counter 1", 0, "43\n")?;
    // It keeps nothing.
    let generation = ant::server(guest, "serial")?.generation + 1;
    answers(guest, "antctl server restart serial", 0, "serial was")?;
    ant::await_server(guest, "serial", generation, SOON)?;
    answers(guest, "antctl run -- counter 3", 0, "3\n")?;
    // It ends when it is to.
    replace(guest, "serial", SERIAL)?;
    answers(guest, "antctl run -- say back again", 0, "")?;
    let console = std::fs::read_to_string(LINE.console())?;
    ensure!(console.ends_with("\r\nback again\r\n"), "{console:?}");
    Ok(())
}
