//! A server ends, whatever it is at: what its clients are told, and that it comes back whole.
//!
//! Each test is a row: what the server is at, and in which ways it is ended there. Each way is taken
//! twice: with the client beside the server and on another CPU, once on a p-kernel's CPU and once on
//! the m-kernel's. The short run has one cell of each row, other ways and places from row to row; states and
//! orders without a machine are in the random histories of `ant-logic` (`ipc/tests/histories.rs`). The
//! server is `victim`, which is not watched here: only the test ends it.
//!
//! | the server                        | kill | restart | fault | exit |
//! |-----------------------------------|------|---------|-------|------|
//! | receives                          |  x   |    x    |       |      |
//! | has just taken a request          |      |         |   x   |  x   |
//! | has a request and computes        |  x   |    x    |       |      |
//! | has a request and sleeps          |  x   |    x    |       |      |
//! | calls another that serves it      |  x   |    x    |   x   |  x   |
//! | calls another that is busy        |  x   |    x    |       |      |
//! | calls another that is not there   |  x   |    x    |       |      |
//! | the same, with a page lent along  |  x   |    x    |   x   |      |
//! | has a page lent to it to write    |  x   |    x    |   x   |  x   |
//! | has a page lent to it to read     |  x   |    x    |   x   |  x   |
//! | keeps pages handed over to it     |  x   |    x    |   x   |  x   |
//! | shares a page                     |  x   |    x    |   x   |  x   |
//! | has put requests aside            |  x   |    x    |   x   |  x   |
//! | has messages and bits unread      |  x   |    x    |   x   |  x   |
//! | asks the m-kernel for pages       |  x   |    x    |       |      |
//! | is about to go to another CPU    |  x   |    x    |   x   |  x   |
//!
//! Where a process waits or computes without end, it cannot fault. Below the table are one that is moved
//! and killed, and those that are starting or being replaced. `name` and `serial` themselves end in
//! `every_call`. How a server is found that does not answer, and what becomes of one that keeps ending,
//! is in `servers`.

mod cell;
mod change;

use crate::ant::{self, answers};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use cell::{Cell, End, Helper, Row, SOON};

use End::{Exit, Fault, Kill, Restart};

const ALL: &[End] = &[Kill, Restart, Fault, Exit];
/// Where a process does not go on by itself.
const FROM_OUTSIDE: &[End] = &[Kill, Restart];

/// Runs the cells of a row.
type Run = fn(&Row, &TestGuest, Extent) -> Result<()>;

/// The rows, each with its name.
const ROWS: [(&str, &Row, Run); 16] = [
    ("receives", &RECEIVES, Row::run),
    ("has_just_taken_a_request", &TAKES, Row::run),
    ("computes", &COMPUTES, Row::run),
    ("sleeps", &SLEEPS, Row::run),
    ("calls", &CALLS, Row::run),
    ("calls_one_that_is_busy", &CALLS_A_BUSY_ONE, Row::run),
    ("calls_one_that_is_not_there", &CALLS_AN_ABSENT_ONE, calls_one_that_is_not_there),
    ("lends_a_page_along", &LENDS, Row::run),
    ("has_a_loan_to_write", &HAS_A_LOAN_TO_WRITE, Row::run),
    ("has_a_loan_to_read", &HAS_A_LOAN_TO_READ, Row::run),
    ("keeps_pages", &KEEPS_PAGES, Row::run),
    ("shares_a_page", &SHARES, Row::run),
    ("has_put_requests_aside", &HAS_PUT_ASIDE, Row::run),
    ("has_messages_unread", &CALLS, has_messages_unread),
    ("asks_the_m_kernel", &ASKS, Row::run),
    ("is_about_to_move", &CALLS, is_about_to_move),
];

pub fn group() -> Group {
    let mut group = Group::with_console("matrix");
    for (name, row, run) in ROWS {
        group = group.sweep(name, move |guest, extent| run(row, guest, extent));
    }
    change::add_to(group.sweep("is_moved_and_killed", is_moved_and_killed))
}

const RECEIVES: Row =
    Row { at: "receiving", request: "", says: "", helper: Helper::None, ends: FROM_OUTSIDE };

/// Another client asks it to.
const TAKES: Row = Row { ends: &[Fault, Exit], ..RECEIVES };

const COMPUTES: Row = Row {
    at: "running",
    request: "spin",
    says: "spin: PeerRestarted { generation: NEW }\n",
    helper: Helper::None,
    ends: FROM_OUTSIDE,
};

const SLEEPS: Row = Row {
    at: "sleeping",
    request: "sleep 3600000",
    says: "sleep: PeerRestarted { generation: NEW }\n",
    helper: Helper::None,
    ends: FROM_OUTSIDE,
};

const CALLS: Row = Row {
    at: "calling",
    request: "sleep 0 pass",
    says: "sleep: PeerRestarted { generation: NEW }\n",
    helper: Helper::Serves,
    ends: ALL,
};

const CALLS_A_BUSY_ONE: Row = Row { helper: Helper::IsBusy, ends: FROM_OUTSIDE, ..CALLS };

const CALLS_AN_ABSENT_ONE: Row = Row {
    request: "pass-absent",
    says: "pass-absent: PeerRestarted { generation: NEW }\n",
    helper: Helper::None,
    ends: FROM_OUTSIDE,
    ..CALLS
};

const LENDS: Row = Row { request: "sleep 0 pass-lent", ends: &[Kill, Restart, Fault], ..CALLS };

const HAS_A_LOAN_TO_WRITE: Row = Row {
    request: "borrow 0 pass",
    // What it has written is there; the page is the client's again, and no other process writes it.
    says: "borrow: PeerRestarted { generation: NEW }\nborrow: [1, 2], later [9, 2]\n",
    ..CALLS
};

const HAS_A_LOAN_TO_READ: Row = Row {
    request: "look 0 pass",
    says: "look: PeerRestarted { generation: NEW }\nlook: as it was: true\n",
    ..CALLS
};

const KEEPS_PAGES: Row = Row {
    request: "keep 50",
    // Its client is served before the server ends.
    says: "keep: 50 0, generation OLD\n",
    ends: ALL,
    ..RECEIVES
};

const SHARES: Row = Row {
    request: "share",
    // The page is the client's, now and when the server has ended.
    says: "share: 6 0, generation OLD\nshare: 6, then 7\n",
    ends: ALL,
    ..RECEIVES
};

const HAS_PUT_ASIDE: Row = Row {
    request: "borrow 0 aside",
    says: "borrow: PeerRestarted { generation: NEW }\nborrow: [1, 2], later [9, 2]\n",
    ends: ALL,
    ..RECEIVES
};

const ASKS: Row = Row {
    // It asks, runs, asks: it is somewhere there.
    at: "",
    request: "churn",
    says: "churn: PeerRestarted { generation: NEW }\n",
    helper: Helper::None,
    ends: &[Kill, Restart, Kill, Restart, Kill],
};

fn calls_one_that_is_not_there(row: &Row, guest: &TestGuest, extent: Extent) -> Result<()> {
    cell::up(guest)?;
    // The second time it stays away for an hour.
    for state in ["serves", "waits"] {
        ant::kill_server(guest, "absent")?;
        ant::await_server_state(guest, "absent", state, SOON)?;
    }
    answers(guest, "antctl run -- victim at absent try count", 0, "count: TimedOut\n")?;
    row.run_cells(guest, extent, |_| Ok(()), |_| Ok(()))?;
    answers(guest, "antctl server restart absent", 0, "absent was restarted")?;
    ant::await_server(guest, "absent", 3, SOON)?;
    // A client that has ended does not call any more, nor does one that has ceased to wait.
    answers(guest, "antctl run -- victim call pass-absent", 0, "pass-absent: 1 0, ")
}

/// Three messages, each with a page, and two bits; with a client that waits.
fn has_messages_unread(row: &Row, guest: &TestGuest, extent: Extent) -> Result<()> {
    row.run_with(
        guest,
        extent,
        |cell| {
            let words = format!("--cpu {} -- victim send 3", cell.client_cpu);
            answers(guest, &format!("antctl run {words}"), 0, "send: Ok(()), notify: Ok(())\n")
        },
        // Messages were the old one's, bits are for the next that receives there.
        |cell| {
            let said = format!("told: 0 5, generation {}\n", cell.new_generation());
            answers(guest, "antctl run -- victim call told", 0, &said)
        },
    )
}

/// It cannot go before its call has returned; where it was to go, it is started again.
fn is_about_to_move(row: &Row, guest: &TestGuest, extent: Extent) -> Result<()> {
    let elsewhere = |cell: &Cell| if cell.server_cpu == 3 { 2 } else { 3 };
    row.run_with(
        guest,
        extent,
        |cell| {
            let (pid, cpu) = (cell.pid(), elsewhere(cell));
            let said = format!("process {pid} goes to CPU {cpu}");
            answers(guest, &format!("antctl move {pid} {cpu}"), 0, &said)
        },
        |cell| {
            let cpu = ant::process_of(guest, "probe")?.cpu;
            ensure!(cpu == elsewhere(cell), "it is started on CPU {cpu}");
            Ok(())
        },
    )
}

/// It is told to go and killed in one breath, in this or the other order.
fn is_moved_and_killed(guest: &TestGuest, extent: Extent) -> Result<()> {
    cell::up(guest)?;
    ant::await_idle(guest)?;
    let cell = Cell::begin(guest, 2, 3)?;
    let mut moved = 0;
    // Six rounds have each CPU in each order.
    for round in 1..=extent.rounds(30, 12) {
        let pid = ant::process_of(guest, "probe")?.pid;
        let (cpu, sooner) = (round % 3 + 1, if round % 2 == 0 { "" } else { "sleep 0.005;" });
        let both = format!("antctl move {pid} {cpu} & {sooner} antctl kill {pid}; wait");
        let output = guest.run(&both)?;
        moved += u32::from(output.stdout.contains("goes to CPU"));
        ant::await_server(guest, "probe", cell.server.generation + round, SOON)
            .with_context(|| format!("round {round}"))?;
        answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    }
    ensure!(moved > 0, "it was always killed first");
    // Where it was in the beginning.
    Cell::begin(guest, 2, 3)?;
    cell.is_whole()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_each_way_in_each_place() {
        let mut sample = Vec::new();
        for (turn, (name, row, _)) in ROWS.into_iter().enumerate() {
            assert_eq!(group().names().nth(turn), Some(format!("matrix::{name}")));
            sample.extend(Extent::Sample(turn).of(row.cells()));
        }
        let missing = CALLS.cells().find(|cell| !sample.contains(cell));
        assert!(missing.is_none(), "{missing:?} is not in {sample:?}");
        // A server that ends by itself in a call of its own: the other one has to let it.
        for end in [Fault, Exit] {
            let ends = |(turn, (_, row, _)): (usize, (&str, &Row, Run))| {
                row.helper != Helper::None && Extent::Sample(turn).of(row.cells())[0].0 == end
            };
            assert!(ROWS.into_iter().enumerate().any(ends), "{end:?}");
        }
    }
}
