//! `/dev/ant` for the programs of AnT/Linux: files, ioctls, and the memory that they map.
//!
//! * `backend`: the traits of a partition's files: [`Device`], [`ControlFile`], [`Binder`].
//! * [`device`]: the backend of a real machine, the device that `ant.ko` makes. Crate
//!   `ant-loopback` is the other one, for tests.
//! * [`ProxyFile`]: the file of one LCA; [`ProxyOps`] is what backends do differently.
//! * [`SharedArea`] and [`LcaPage`]: memory shared with a kernel that is not trusted. They copy
//!   what they read, and give no reference into it away.
//!
//! Deliberately absent: policy. Which process gets a proxy, what a call means, when a partition
//! ends is decided by `antd`. `unsafe` is in `raw` only.
#![deny(unsafe_code)]

mod backend;
mod error;
mod lca_page;
mod proxy_file;
#[expect(unsafe_code, reason = "the one module for ioctls and mappings")]
mod raw;
mod shared;

pub mod device;

pub use backend::{
    Binder, ControlFile, Device, DeviceRequest, LoadTarget, PartitionRequest, Release,
};
pub use error::{CreateError, Failure, OpenError, OperationError};
pub use lca_page::LcaPage;
pub use proxy_file::{ProxyFile, ProxyOps};
pub use raw::{Access, Mapping, Shared};
pub use shared::SharedArea;
