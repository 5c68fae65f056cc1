//! Single lives, and long histories against what is promised.

mod doomed;
mod histories;
mod lives;
mod watching;
mod world;
