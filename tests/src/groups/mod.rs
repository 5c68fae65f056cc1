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
mod restarts;
mod servers;
mod trouble;

use crate::group::Group;

/// Every group, in the order in which they run: what others rest on comes first.
pub fn all() -> Vec<Group> {
    vec![
        harness::group(),
        trouble::group(),
        module::group(),
        module::x2apic_group(),
        programs::group(),
        calls::group(),
        faults::group(),
        figures::group(),
        ipc::group(),
        servers::group(),
        bundle::group(),
        interfaces::group(),
        restarts::group(),
        matrix::group(),
        every_call::group(),
        devices::group(),
        partition::group(),
        partition::two_cpus_group(),
    ]
}
