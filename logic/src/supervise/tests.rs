//! Single lives, and long histories against what is promised.

mod histories;
mod lives;
mod pending_kills;
mod watchdog;
mod world;
