//! `ant.ko` comes and goes without a trace.

use crate::group::Group;
use crate::guest::TestGuest;
use ant_vm::machine::Apic;
use anyhow::{Result, ensure};

pub fn group() -> Group {
    Group::usual("module")
        .test("loaded_at_boot", loaded_at_boot)
        .test("loads_and_unloads", loads_and_unloads)
        .test("only_root_opens", only_root_opens)
        .test("unknown_ioctls_are_refused", unknown_ioctls_are_refused)
}

pub fn x2apic_group() -> Group {
    Group::new("x2apic")
        .machine(|machine| machine.apic = Apic::X2apic)
        .test("is_in_force", x2apic_is_in_force)
        .test("loads_and_unloads", loads_and_unloads)
        .test("ant_comes_and_goes", super::partition::comes_and_goes)
}

fn loaded_at_boot(guest: &TestGuest) -> Result<()> {
    guest.succeed("grep -q '^ant ' /proc/modules && test -c /dev/ant").map(drop)
}

fn loads_and_unloads(guest: &TestGuest) -> Result<()> {
    guest.succeed("grep -q '^ant ' /proc/modules || modprobe ant")?;
    for _ in 0..3 {
        guest.succeed("rmmod ant && test ! -e /dev/ant")?;
        guest.succeed("modprobe ant && test -c /dev/ant")?;
    }
    Ok(())
}

fn only_root_opens(guest: &TestGuest) -> Result<()> {
    let output = guest.run_as("user", "exec 3<>/dev/ant", crate::guest::LIMIT)?;
    ensure!(output.status != 0, "an ordinary user opened /dev/ant");
    ensure!(output.stderr.contains("denied"), "{output:?}");
    Ok(())
}

fn unknown_ioctls_are_refused(guest: &TestGuest) -> Result<()> {
    // A terminal's TCGETS, by way of stty: -ENOTTY.
    let said = guest.fail("stty -F /dev/ant")?;
    ensure!(said.contains("ioctl") && !said.contains("nvalid"), "{said}");
    Ok(())
}

fn x2apic_is_in_force(guest: &TestGuest) -> Result<()> {
    guest.succeed("dmesg | grep -q 'x2apic enabled'").map(drop)
}
