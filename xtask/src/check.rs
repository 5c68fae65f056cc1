//! `./ant check`: everything about the sources that a machine can tell without running them.

mod checkpatch;
mod directions;
mod licences;
mod lines;
mod names;
mod no_fault_injection;
mod p_alone;
mod sources;
mod template;
mod words;

use crate::module::{self, Warnings};
use crate::tally::Tally;
use crate::toolchain::{self, host_cargo};
use crate::{bare, r#gen, setup, step};
use ant_vm::kernels;
use anyhow::{Result, ensure};
use std::borrow::Borrow;

/// One check: its name, and what fails with what is wrong.
type Check = (&'static str, fn() -> Result<()>);

/// Packages that are built for the bare-metal target.
const BARE_PACKAGES: &[&str] = &[
    "ant-kernel",
    "ant-arch",
    "ant-m-kernel",
    "ant-p-kernel",
    "ant-rt",
    "ant-init",
    "ant-name",
    "ant-serial",
    "ant-template",
    "ant-apps",
    "ant-user-tests",
];

/// Runs all checks; one that fails hides none of the others.
pub fn run() -> Result<Tally> {
    setup::ensure(None)?;
    setup::ensure_check_tools()?;
    println!("== checks");
    let checks: &[Check] = &[
        ("formatting", formatting),
        ("generated header is fresh", header),
        ("dependency directions", directions::check),
        ("licences", licences::check),
        ("lines are short", lines::check),
        ("a name is defined once in a crate", names::check),
        ("words of the glossary", words::check),
        ("clippy, Linux programs and libraries", clippy_host),
        ("clippy, AnT kernel and programs", clippy_bare),
        ("a p-kernel allocates nothing", p_alone::check),
        ("the shipped kernel has no fault injection", no_fault_injection::check),
        ("the template is short", template::check),
        ("ant.ko builds without a warning (W=1)", module_warnings),
        ("checkpatch", checkpatch::check),
    ];
    let mut tally = Tally::default();
    for (name, check) in checks {
        match check() {
            Ok(()) => {
                println!("  ok      {name}");
                tally += Tally::PASSED;
            }
            Err(error) => {
                println!("  FAILED  {name}");
                format!("{error:#}").lines().for_each(|line| println!("          {line}"));
                tally += Tally::FAILED;
            }
        }
    }
    println!();
    Ok(tally)
}

/// Fails with all that is `wrong`, if anything is.
fn nothing_is_wrong<S: Borrow<str>>(wrong: &[S]) -> Result<()> {
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn formatting() -> Result<()> {
    step::capture("cargo fmt", host_cargo().args(["fmt", "--all", "--check"])).map(drop)
}

fn header() -> Result<()> {
    let path = r#gen::header_path();
    let is = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(is == r#gen::header()?, "{} is stale: run `./ant gen`", path.display());
    Ok(())
}

fn clippy_host() -> Result<()> {
    let mut cargo = host_cargo();
    cargo.args(["clippy", "--all-targets", "--", "-D", "warnings"]);
    step::capture("clippy host", &mut cargo).map(drop)
}

fn clippy_bare() -> Result<()> {
    clippy_of(BARE_PACKAGES, &[])?;
    let feature = format!("ant-kernel/{}", bare::FAULT_INJECTION);
    clippy_of(&["ant-kernel", "ant-m-kernel", "ant-p-kernel"], &["--features", &feature])
}

fn clippy_of(packages: &[&str], features: &[&str]) -> Result<()> {
    let mut cargo = toolchain::bare_cargo(&toolchain::find_bare()?, "clippy");
    bare::configure(&mut cargo);
    cargo.arg("--release");
    for package in packages {
        cargo.args(["-p", package]);
    }
    cargo.args(features);
    cargo.args(["--", "-D", "warnings"]);
    step::capture("clippy bare", &mut cargo).map(drop)
}

fn module_warnings() -> Result<()> {
    let output = module::build(&kernels::usual()?, Warnings::Extra)?;
    let warnings: Vec<&str> = output
        .lines()
        .filter(|line| line.contains("warning:") || line.contains("WARNING"))
        .collect();
    nothing_is_wrong(&warnings)
}
