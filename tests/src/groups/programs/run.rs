//! What `antctl run` makes of words, paths, descriptors and users.

use super::{APPS, as_gnu, up};
use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use anyhow::{Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("arguments", arguments)
        .test("lookup", lookup)
        .test("what_cannot_be_run", what_cannot_be_run)
        .test("redirections", redirections)
        .test("its_reader_has_ended", its_reader_has_ended)
        .test("ordinary_user", ordinary_user)
        .test("ordinary_user_is_kept_out", ordinary_user_is_kept_out)
}

fn arguments(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(
        "cd /tmp && echo x > 'a b' && antctl run -- cp 'a b' 'ä  c' && cmp 'a b' 'ä  c'",
    )?;
    let many = "$(yes /tmp/from | head -n 200)";
    guest.succeed("printf 'one two\n' > /tmp/from")?;
    answers(guest, &format!("antctl run -- wc {many}"), 0, " 200  400 1600 total")?;
    answers(guest, "antctl run -- wc ''", 1, "No such file")?;
    // Of a word of 3,000 bytes, Linux says what is wrong; of 5,000, AnT's carrier does.
    let word = |len| format!("antctl run -- wc $(head -c {len} /dev/zero | tr '\\0' a)");
    answers(guest, &word(3000), 1, "File name too long")?;
    answers(guest, &word(5000), 125, "AnT takes")?;
    answers(guest, "antctl run -- wc $(seq 1 5000)", 125, "AnT takes")?;
    // What looks like an option of antctl's is the program's.
    answers(guest, "antctl run -- wc --cpu /no/such", 1, "wc: --cpu: No such file")
}

fn lookup(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "mkdir -p /tmp/bin && cp {APPS}/getpid /tmp/bin/mine && cp {APPS}/getpid /tmp/bin/wc"
    ))?;
    let path = "PATH=/tmp/bin:$PATH";
    answers(guest, &format!("{path} antctl run -- mine"), 0, "1 call, pid")?;
    // AnT's own come before PATH.
    answers(guest, &format!("{path} antctl run -- wc /dev/null"), 0, " 0 /dev/null")?;
    for command in ["/tmp/bin/mine", "./mine", "../bin/mine", "./wc"] {
        answers(guest, &format!("cd /tmp/bin && antctl run -- {command}"), 0, "1 call, pid")?;
    }
    // Without a slash the directory does not count.
    answers(guest, "cd /tmp/bin && antctl run -- mine", 127, "mine: no such program")
}

fn what_cannot_be_run(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "cd /tmp && echo '#!/bin/sh' > script && : > empty && chmod 755 script empty && \
         head -c 9000 {APPS}/wc > cut && chmod 755 cut && echo data > data && mkdir -p dir && \
         cp {APPS}/wc secret && chmod 700 secret"
    ))?;
    for (program, status, text) in [
        ("no-such", 127, "no-such: no such program"),
        ("/tmp/no-such", 127, "/tmp/no-such: no such program"),
        ("/tmp/script", 126, "not an ELF"),
        ("/tmp/empty", 126, "not an ELF"),
        ("/tmp/cut", 126, "/tmp/cut: "),
        ("/bin/busybox", 126, "not a program of AnT"),
        ("busybox", 126, "not a program of AnT"),
        ("/tmp/dir", 126, "directory"),
        ("/tmp/data", 126, "not executable"),
    ] {
        answers(guest, &format!("antctl run -- {program}"), status, text)?;
    }
    let output = guest.run_as("user", "antctl run -- /tmp/secret", LIMIT)?;
    expect(&output, 126, "/tmp/secret: it is not executable")?;
    ant::await_idle(guest)
}

fn redirections(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(
        "cd /tmp && printf 'a b\n' > in && antctl run -- wc < in > out 2> err && \
         test \"$(cat out)\" = '1 2 4' && test ! -s err",
    )?;
    guest.succeed(
        "cd /tmp; antctl run -- wc /no/such > out 2> err; test $? = 1 && test ! -s out && \
         test \"$(cat err)\" = 'wc: /no/such: No such file or directory'",
    )?;
    guest.succeed(
        "cd /tmp; for i in 1 2 3; do antctl run -- wc in; done >> all && test $(wc -l < all) = 3",
    )?;
    // The program reads on where the shell stopped.
    as_gnu(guest, r"printf 'first\nsecond\n' | (read line; wc)")
}

fn its_reader_has_ended(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let copy = "antctl run -- cp /dev/zero /proc/self/fd/1";
    guest.succeed(&format!("({copy}; echo $? > /tmp/status) | head -c 9 > /dev/null"))?;
    ensure!(guest.succeed("cat /tmp/status")? == "141\n", "SIGPIPE has another status");
    Ok(())
}

fn ordinary_user(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let as_user = |command: &str| guest.run_as("user", command, LIMIT);
    let output = as_user("umask 027; echo x > a; antctl run -- cp a b; stat -c '%U:%G %a' b")?;
    expect(&output, 0, "user:user 640\n")?;
    guest.succeed("test -s /home/user/b")?;
    let output = as_user("umask 0; antctl run -- cp a c; stat -c %a c")?;
    expect(&output, 0, "666\n")?;
    expect(&as_user("cd /usr; antctl run -- wc share/common-licenses/BSD")?, 0, "BSD")?;
    expect(&as_user("antctl ps; antctl status; antctl log > /dev/null")?, 0, "init")
}

fn ordinary_user_is_kept_out(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("echo secret > /tmp/roots && chmod 600 /tmp/roots")?;
    for (command, text) in [
        ("wc /tmp/roots", "wc: /tmp/roots: Permission denied"),
        ("wc /root/x", "wc: /root/x: Permission denied"),
        ("wc /dev/ant", "wc: /dev/ant: Permission denied"),
        ("cp a /etc/a", "cp: /etc/a: Permission denied"),
        ("cp a /tmp/roots", "cp: /tmp/roots: Permission denied"),
    ] {
        let output =
            guest.run_as("user", &format!("echo x > a; antctl run -- {command}"), LIMIT)?;
        expect(&output, 1, text)?;
    }
    ensure!(guest.succeed("cat /tmp/roots")? == "secret\n");
    for command in ["boot --cpus 1 --memory 16M", "stop", "inject panic --cpu 1"] {
        let output = guest.run_as("user", &format!("antctl {command}"), LIMIT)?;
        expect(&output, 1, "only root can")?;
    }
    Ok(())
}
