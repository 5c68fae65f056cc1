//! `./ant ci`: the checks, then all tests; closes with one line over everything.

use crate::tally::Tally;
use crate::{check, setup, test};
use anyhow::Result;

/// Runs everything that must hold before a change is taken.
pub fn run() -> Result<Tally> {
    setup::ensure(None)?;
    let mut tally = check::run()?;
    tally += test::run(&test::TestArgs::default())?;
    Ok(tally)
}
