//! All groups. A new one: a file here with `pub fn group() -> Group`, and a line in [`all`].

mod bundle;
mod calls;
mod devices;
mod every_call;
mod faults;
mod figures;
mod harness;
mod interfaces;
mod ipc;
mod matrix;
mod module;
mod partition;
mod programs;
mod servers;
mod trouble;

use crate::group::Group;

/// Every group, in the order in which they run: what others rest on comes first, and groups that share a
/// guest follow each other.
pub fn all() -> Vec<Group> {
    vec![
        trouble::group(),
        harness::group(),
        module::group(),
        programs::group(),
        calls::group(),
        faults::group(),
        ipc::group(),
        module::x2apic_group(),
        figures::group(),
        servers::group(),
        bundle::group(),
        interfaces::group(),
        matrix::group(),
        every_call::group(),
        devices::group(),
        partition::group(),
        partition::two_cpus_group(),
    ]
}
