//! The bundle: `init`, the OS servers and what the manifest says of them, in one piece of memory.
//!
//! Made by `antd` from the manifest, loaded beside the kernel image by the module (`LOAD_BUNDLE`), named in
//! the boot block, read by the m-kernel (`init`'s program) and by `init` (the servers), which has it mapped
//! at `BUNDLE_START`. Programs follow the header, in any order; two servers may have one program.

use crate::boot::DEVICE_NAME;
use crate::ipc::{DeviceGrant, SERVER_ENDPOINTS};
use crate::syscall::NAME_LEN;

/// First eight bytes of a bundle: `AnTbundl`.
pub const BUNDLE_MAGIC: u64 = u64::from_le_bytes(*b"AnTbundl");
/// Servers that a bundle can have: each needs an endpoint, and one is `init`'s.
pub const BUNDLE_SERVERS: usize = SERVER_ENDPOINTS - 1;
/// Servers that one server can use: so many handles beside its own and those that `init` keeps for it.
pub const USES_MAX: usize = 8;
/// Ranges and interrupts of devices that one server can be granted.
pub const GRANTS_MAX: usize = 12;
/// Devices that one server can have whole.
pub const WHOLE_DEVICES_MAX: usize = 4;
/// ICA pages that can be one server's state: `ICA_ALLOC` gives no more at a time.
pub const STATE_PAGES_MAX: u32 = 1024;

/// Name by which a server has the handle to `init`.
pub const HANDLE_INIT: &str = "init";
/// Name by which a server has the handle to its own endpoint.
pub const HANDLE_OWN: &str = "own";
/// Name of the name service, the first server; the one handle of a program.
pub const HANDLE_NAME: &str = "name";

abi_struct! {
    /// A device that a server has whole, if the partition has it: all its ports, memory and interrupts.
    pub struct BundleDevice {
        /// What the partition calls it, `BootDevice::name`: graphic ASCII, padded with NULs, at least one.
        pub name: [u8; DEVICE_NAME],
        /// Notification bit that each of its interrupts raises.
        pub bit: u64,
    }

    /// What the manifest says of one server.
    pub struct BundleServer {
        /// Its name, padded with NULs: graphic ASCII without `=`.
        pub name: [u8; NAME_LEN],
        /// Where its program begins, from the start of the bundle.
        pub program_offset: u32,
        /// Bytes of its program.
        pub program_len: u32,
        /// Its priority.
        pub priority: u32,
        /// Index of the CPU that it shall run on; the last one, if there are fewer.
        pub cpu: u32,
        /// ICA pages that outlive it, at most `STATE_PAGES_MAX`.
        pub state_pages: u32,
        /// ICA pages that it may take at a time, and that are kept for it.
        pub ica_pages: u32,
        /// Restarts within any time of length `within_us`.
        pub tries: u32,
        /// The servers that it is given handles to, one bit each, by their index.
        pub uses: u32,
        /// See `tries`.
        pub within_us: u64,
        /// Pause before the second restart; it doubles.
        pub delay_us: u64,
        /// How often it is asked whether it lives; 0: never.
        pub watch_every_us: u64,
        /// How long it has to answer.
        pub watch_answer_us: u64,
        /// Grants in `grants`.
        pub grant_count: u32,
        /// Devices in `devices`.
        pub device_count: u32,
        /// Ranges and interrupts of devices that it has.
        pub grants: [DeviceGrant; GRANTS_MAX],
        /// Devices that it has whole.
        pub devices: [BundleDevice; WHOLE_DEVICES_MAX],
    }

    /// Start of a bundle. Filled by `antd`; checked by the m-kernel before anything of it is used.
    pub struct BundleHeader {
        /// `BUNDLE_MAGIC`.
        pub magic: u64,
        /// `REVISION` of `antd`.
        pub revision: u32,
        /// Bytes of this structure.
        pub size: u32,
        /// Bytes of the bundle.
        pub len: u32,
        /// Where `init`'s program begins, from the start of the bundle.
        pub init_offset: u32,
        /// Bytes of `init`'s program.
        pub init_len: u32,
        /// Servers in `servers`.
        pub server_count: u32,
        /// The servers, in the order in which they are started; the first is the name service.
        pub servers: [BundleServer; BUNDLE_SERVERS],
    }
}
