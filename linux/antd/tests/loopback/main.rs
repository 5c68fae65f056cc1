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

mod boot;
mod calls;
mod client;
mod commands;
mod ends;
mod failures;
mod image;
mod lcas;
mod machine;
mod misuse;
mod player;
mod proxies;
mod stops;
mod users;

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
    let all = [
        boot::ALL,
        proxies::ALL,
        lcas::ALL,
        ends::ALL,
        failures::ALL,
        stops::ALL,
        users::ALL,
        commands::ALL,
        misuse::ALL,
    ];
    let trials = all.into_iter().flatten().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
