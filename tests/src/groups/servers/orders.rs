//! What people may order of servers, and what of it lasts.

use super::{AT_ONCE, VICTIM, await_console, memory_of_init, restart, serial, up};
use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use anyhow::{Context, Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("moved_ones_stay_there", moved_ones_stay_there)
        .test("init_cannot_be_killed", init_cannot_be_killed)
        .test("one_is_replaced", one_is_replaced)
}

fn moved_ones_stay_there(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for name in ["name", "serial"] {
        let server = ant::server(guest, name)?;
        let pid = server.pid.context("it does not run")?;
        answers(guest, &format!("antctl move {pid} 2 && antctl priority {pid} 4"), 0, "")?;
        for restart in [false, true] {
            if restart {
                answers(guest, &format!("antctl server restart {name}"), 0, "")?;
                ant::await_server(guest, name, server.generation + 1, AT_ONCE)?;
            }
            guest.wait_until(
                &format!("antctl ps | grep ' {name}$' | grep -Eq '^ *[0-9]+ +2 +server .* 4 '"),
                AT_ONCE,
            )?;
            answers(guest, "antctl run -- names", 0, "serial\n")?;
            let words = format!("{name} there {restart}");
            answers(guest, &format!("antctl run --cpu 1 -- say {words}"), 0, "")?;
            await_console(&words)?;
        }
    }
    ant::down(guest)
}

fn init_cannot_be_killed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    answers(guest, "antctl kill 1", 1, "does not allow")?;
    for order in ["kill", "restart", "replace"] {
        let pid = serial(guest)?.pid.context("it does not run")?;
        let words = match order {
            "kill" => format!("kill {pid}"),
            "restart" => "server restart serial".into(),
            _ => format!("server replace serial {VICTIM}"),
        };
        let text = if order == "kill" { "you have no process" } else { "only root can" };
        expect(&guest.run_as("user", &format!("antctl {words}"), LIMIT)?, 1, text)?;
    }
    let users = guest.run_as("user", "antctl server list", LIMIT)?;
    expect(&users, 0, "serial")?;
    answers(guest, "antctl server restart init", 1, "AnT has no server init")
}

fn one_is_replaced(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = serial(guest)?;
    let mut memory = Vec::new();
    for generation in [1, 2].map(|more| before.generation + more) {
        let replace = format!("antctl server replace serial {VICTIM}");
        answers(guest, &replace, 0, "serial was replaced")?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        memory.push(memory_of_init(guest)?);
    }
    ensure!(memory[0] == memory[1], "init takes up more and more: {memory:?}");
    let after = serial(guest)?;
    ensure!(after.restarts == before.restarts, "{after:?}");
    let said = format!("count: 1 0, generation {}\n", after.generation);
    answers(guest, "antctl run -- victim call count", 0, &said)?;
    // It is this program that is started again from now on.
    restart(guest)?;
    ant::await_server(guest, "serial", after.generation + 1, AT_ONCE)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")
}
