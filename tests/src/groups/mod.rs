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

/// Tests that the usual run repeats on other kernels: booting, running programs, faults, stopping, COM2.
pub const BASIC: &[&str] = &[
    "module::loads_and_unloads",
    "programs::wc_prints_as_gnu_wc",
    "programs::getpid_continues_with_one_proxy",
    "programs::kill_ends_it",
    "programs::three_at_once_on_three_cpus",
    "calls::affinity_moves_meanwhile",
    "faults::a_fault_ends_the_program",
    "faults::proxy_killed_in_a_call",
    "faults::stop_with_calls_in_flight",
    "faults::antd_killed",
    "faults::panic_of_the_m_kernel",
    "faults::hang_of_a_p_kernel",
    "partition::linux_cannot_take_a_cpu_back",
    "partition::com2_is_lent_and_comes_back",
];

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
        module::guard_group(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_tests_are_tests() {
        let names: Vec<String> =
            all().iter().flat_map(|group| group.names().collect::<Vec<_>>()).collect();
        for basic in BASIC {
            assert!(names.iter().any(|name| name == basic), "{basic}");
        }
    }
}
