//! The daemon end to end, without the module: a real daemon process, real proxies, real system
//! calls; this process plays AnT (`player`) and `antctl`.
//!
//! One scenario after another, each with a daemon of its own. There are no threads, for the daemon
//! is forked from here.

/// Lists the scenarios of a module.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        /// All of them.
        pub const ALL: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

mod commands;
mod image;
mod machine;
mod player;
mod scenarios;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trial = |&(name, scenario): &(&str, fn())| {
        Trial::test(name, move || {
            scenario();
            Ok(())
        })
    };
    let trials = scenarios::ALL.iter().chain(commands::ALL).map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
