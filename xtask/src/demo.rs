//! `./ant demo`: AnT at work on a stock kernel, on one screen, without a question.

use crate::{prepare, step};
use ant_vm::guest::{Guest, OnTrouble};
use ant_vm::machine::Machine;
use anyhow::{Result, bail};
use std::time::Duration;

/// One thing that is shown: what it is, and the command in the guest that does it.
struct Scene {
    title: &'static str,
    command: &'static str,
}

/// How long one scene may take.
const LIMIT: Duration = Duration::from_secs(60);

const SCENES: &[Scene] = &[
    Scene {
        title: "A stock Linux, with all its CPUs",
        command: "uname -sr; echo \"CPUs of Linux: $(cat /sys/devices/system/cpu/online)\"",
    },
    Scene {
        title: "AnT takes CPUs 1 to 3 and 256 MiB, and boots there",
        command: "antctl boot --cpus 1-3 --memory 256M
            echo \"CPUs of Linux: $(cat /sys/devices/system/cpu/online)\"",
    },
    Scene {
        title: "Three programs on AnT's three CPUs at once read Linux's files, write results there",
        command: "cd /usr/share/common-licenses
            antctl run --cpu 1 -- wc GPL-3 > /tmp/1 & a=$!
            antctl run --cpu 2 -- wc Apache-2.0 > /tmp/2 & b=$!
            antctl run --cpu 3 -- wc MPL-2.0 > /tmp/3 & c=$!
            wait $a && wait $b && wait $c && tail -n 1 /tmp/[123] | grep .
            echo; antctl status | grep '^CPU\\|kernel '",
    },
    Scene {
        title: "Linux's own wc says the same",
        command: "cd /usr/share/common-licenses; for f in GPL-3 Apache-2.0 MPL-2.0; do wc $f; done",
    },
    Scene {
        title: "One system call from AnT, step by step (the paper's numbers)",
        command: "antctl run --cpu 2 -- steps",
    },
    Scene {
        title: "AnT's own servers: one is killed, init starts it again, the others go on",
        command: "antctl server list; antctl kill $(antctl ps | awk '$NF == \"name\" { print $1 }')
            sleep 1; antctl server list | sed 1d",
    },
    Scene {
        title: "Three services on three CPUs hand pages to each other, never copied; the last \
                writes a Linux file",
        command: "cd /tmp; antctl run --cpu 1 -- drain last out & c=$!
            antctl run --cpu 2 -- upcase middle last & b=$!
            antctl run --cpu 3 -- feed middle /usr/share/common-licenses/BSD & a=$!
            wait $a && wait $b && wait $c && head -n 2 out",
    },
    Scene {
        title: "The CPUs go back, and Linux runs on them",
        command: "antctl stop && echo \"CPUs of Linux: $(cat /sys/devices/system/cpu/online)\"
            for cpu in 1 2 3; do
                taskset -c $cpu sh -c 'echo \"Linux runs on CPU $(cut -d\" \" -f39 /proc/self/stat)\"'
            done",
    },
];

/// Installs, builds, boots, shows.
pub fn run() -> Result<()> {
    let version = prepare::guest(None)?;
    let machine = Machine::new(&version);
    let guest = step::timed(&format!("booting Linux {version} in QEMU, 4 CPUs"), || {
        Ok(Guest::boot(&machine, OnTrouble::Stop)?)
    })?;
    for (number, scene) in (1..).zip(SCENES) {
        println!("\n{number}. {}", scene.title);
        let output = guest.run(scene.command, LIMIT)?;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("     {line}");
        }
        if output.status != 0 {
            bail!("status {} (Linux's log: {})", output.status, guest.log().path().display());
        }
    }
    println!();
    Ok(())
}
