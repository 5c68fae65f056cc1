//! CPUs, rings and endpoints as the kernel has them, with a memory of all that happened: first
//! what each part promises, then long histories.

mod calls;
mod histories;
mod packets;
mod priorities;
mod queues;
mod restarts;
mod sends;
mod world;
