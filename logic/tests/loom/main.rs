//! The lock-free structures under a model checker, which tries every order of their steps.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ant-logic --release --test loom`
#![cfg(loom)]

mod address_store;
mod channel;
mod doorbell;
mod ica;
mod log;
mod notification;
mod packet;

/// Tries orders with up to this many unforced switches from one thread to another.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}
