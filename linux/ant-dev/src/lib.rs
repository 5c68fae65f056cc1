//! `/dev/ant` for the programs of AnT/Linux: files, ioctls, and the memory that they map.
//!
//! Two backends stand behind one set of traits:
//!
//! * [`device`]: the device itself, made by `ant.ko`.
//! * [`loopback`]: a partition in a memory file, both sides of it in one tree of Linux processes,
//!   so that whoever works with a partition can be tested on any machine. The other side is
//!   [`loopback::Ant`], which a test plays.
//!
//! What is mapped is shared with a kernel that is not trusted: [`SharedArea`] and [`LcaPage`] copy
//! what they read, and give no reference into it away.
//!
//! Deliberately absent: policy. Who gets a proxy, what a call means, when a partition ends is
//! `antd`'s. `unsafe` is in `raw` only.
#![deny(unsafe_code)]

mod backend;
mod error;
mod lca_page;
mod proxy_file;
#[allow(unsafe_code)]
mod raw;
mod shared;

pub mod device;
pub mod loopback;

pub use backend::{
    Binder, ControlFile, Device, DeviceRequest, LoadTarget, PartitionRequest, Release,
};
pub use error::{CreateError, Failure, OpenError, OperationError};
pub use lca_page::LcaPage;
pub use proxy_file::ProxyFile;
pub use shared::{CpuState, Role, SharedArea};
