//! What AnT begins with: the servers of a manifest that is read when it boots, and what each can reach.

use crate::ant::{self, answers};
use crate::group::Group;
use crate::guest::TestGuest;
use ant_vm::image::ExtraFile;
use anyhow::{Result, ensure};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// A manifest that no other test has.
const MANIFEST: &str = "/root/manifest.toml";
/// The name service; a server that uses it, one that uses both, one that uses none and wants to register.
const SERVERS: &str = r#"
[[server]]
name = "name"
program = "ant-name"
priority = 5
cpu = 0
state_pages = 1
restart = { tries = 5, within_ms = 10_000, delay_ms = 20 }

[[server]]
name = "absent"
program = "../usr/lib/ant/tests/victim"
priority = 4
cpu = 1
uses = ["name"]
restart = { tries = 5, within_ms = 10_000, delay_ms = 20 }

[[server]]
name = "caller"
program = "/usr/lib/ant/tests/victim"
priority = 5
cpu = 2
uses = ["absent", "name"]
restart = { tries = 5, within_ms = 10_000, delay_ms = 20 }

[[server]]
name = "alone"
program = "ant-template"
priority = 5
cpu = 0
restart = { tries = 1, within_ms = 60_000, delay_ms = 20 }
"#;

pub fn group() -> Group {
    Group::new("bundle")
        .machine(|machine| {
            let content = SERVERS.as_bytes().to_vec();
            machine.files.push(ExtraFile { path: MANIFEST.into(), mode: 0o644, content });
        })
        .test("a_wrong_manifest_is_refused", a_wrong_manifest_is_refused)
        .test("another_manifests_servers_run", another_manifests_servers_run)
        .test("servers_reach_what_they_use", servers_reach_what_they_use)
        .test("it_comes_with_every_boot", it_comes_with_every_boot)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, &format!("{} --manifest {MANIFEST}", ant::USUAL))
}

/// Nothing is taken from Linux, and the line is said.
fn a_wrong_manifest_is_refused(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    for (edit, text) in [
        ("s/^priority = 4/priority = 40/", "/tmp/wrong.toml:13: a priority must be 0 to 7, not 40"),
        ("s/^cpu = 2/core = 2/", "/tmp/wrong.toml:22: unknown field `core`"),
        ("s/\"absent\", /\"disk\", /", "/tmp/wrong.toml:23: there is no server `disk` to use"),
        (
            "s/ant-template/ant-none/",
            "/tmp/wrong.toml:28: cannot take /usr/lib/ant/servers/ant-none",
        ),
        ("s/ant-template/..\\/etc\\/passwd/", "it is no program"),
        (
            "s/^name = \"alone\"/name = \"name\"/",
            "/tmp/wrong.toml:27: there is a server `name` already",
        ),
        (
            "s/^state_pages = 1/ica_pages = 2048/",
            "/tmp/wrong.toml:11: with `absent`, the servers want",
        ),
        ("s/\\[\\[server/[server/", "/tmp/wrong.toml:2: "),
    ] {
        guest.succeed(&format!("sed '{edit}' {MANIFEST} > /tmp/wrong.toml"))?;
        refused(guest, "/tmp/wrong.toml", text)?;
    }
    refused(guest, "/no/such", "cannot read the manifest /no/such: No such file")?;
    refused(guest, "/tmp", "name another with --manifest")
}

fn refused(guest: &TestGuest, manifest: &str, text: &str) -> Result<()> {
    let command = format!("antctl boot --cpus 1-3 --memory 32M --manifest {manifest}");
    answers(guest, &command, 1, text)?;
    ant::cpus_are_linuxs(guest)?;
    answers(guest, "antctl status", 3, "AnT does not run")
}

fn another_manifests_servers_run(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (name, priority, cpu) in [("name", 5, 1), ("absent", 4, 2), ("caller", 5, 3)] {
        ant::await_server(guest, name, 1, SOON)?;
        let process = ant::process_of(guest, name)?;
        ensure!((process.priority, process.cpu) == (priority, cpu), "{process:?}");
    }
    let all = ant::servers(guest)?;
    let names: Vec<_> = all.iter().map(|server| server.name.as_str()).collect();
    ensure!(names == ["name", "absent", "caller", "alone"], "{names:?}");
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, generation 1\n")?;
    // What one was replaced by lasts until the next boot.
    let template = "/usr/lib/ant/servers/ant-template";
    answers(guest, &format!("antctl server replace caller {template}"), 0, "caller was replaced")?;
    answers(guest, "antctl run -- counter 5", 0, "5\n")?;
    ant::down(guest)?;
    up(guest)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, generation 1\n")
}

fn servers_reach_what_they_use(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_server(guest, "caller", 1, SOON)?;
    ant::await_server(guest, "absent", 1, SOON)?;
    let call =
        |how: &str, text: &str| answers(guest, &format!("antctl run -- victim {how}"), 0, text);
    for count in 1..=2 {
        call("call use", &format!("use: {count} 0, generation 1\n"))?;
    }
    // The next one has it, too, and is told of the other's next one.
    answers(guest, "antctl server restart caller", 0, "was restarted")?;
    call("call use", "use: 3 0, generation 2\n")?;
    answers(guest, "antctl server restart absent", 0, "was restarted")?;
    call("call use", "use: Some(PeerRestarted)\n")?;
    call("call use", "use: 1 0, generation 2\n")?;
    // Another has not.
    call("at absent call use", "use: Some(NotPermitted)\n")?;
    // And one that uses none cannot even register.
    ant::await_server_state(guest, "alone", "given up", SOON)?;
    let alone = ant::server(guest, "alone")?;
    ensure!(alone.last_end == "exited with status 1", "{alone:?}");
    answers(guest, "antctl log", 0, "ends: NotPermitted")?;
    answers(guest, "antctl run -- names | sort", 0, "absent\nvictim\n")
}

/// However little memory there is, and wherever it is.
fn it_comes_with_every_boot(guest: &TestGuest) -> Result<()> {
    for memory in ["16M", "20M", "100M"] {
        ant::down(guest)?;
        ant::up(guest, &format!("--cpus 1-3 --memory {memory} --manifest {MANIFEST}"))?;
        ant::await_server(guest, "caller", 1, SOON)?;
        answers(guest, "antctl run -- victim call use", 0, "use: 1 0, generation 1\n")?;
    }
    ant::down(guest)
}
