//! Which sizes the kernel's tables can have, and what they take.

use core::fmt;

use ant_abi::PAGE_SIZE;
use ant_abi::boot::TableSizes;
use ant_abi::layout::{BUNDLE_SPAN, IMAGE_SPAN};

/// Pages of the ICA come in multiples of these: as many as one page table maps.
pub const ICA_GRANULE: u32 = (PAGE_SIZE / size_of::<u64>()) as u32;

/// Bytes for each process, at most: its place in the table, its loader, what it may take of the ICA.
pub const PROCESS_BYTES: u64 = 2048;
/// Bytes for each thread, at most: its place in the table and in the index of ids.
pub const THREAD_BYTES: u64 = 512;
/// Bytes for each endpoint, at most.
const ENDPOINT_BYTES: u64 = 64;
/// Bytes for each page of the ICA, at most: its owner, and which process pays for it.
const ICA_PAGE_BYTES: u64 = 16;
/// Bytes that each CPU has for each process, at most.
const CPU_PROCESS_BYTES: u64 = 32;
/// Bytes that each CPU has for each thread, at most: its IPC, its turn, its deadline.
const CPU_THREAD_BYTES: u64 = 400;
/// Bytes by which the tables of one kind are rounded up to pages, at most.
const ROUNDED_BYTES: u64 = 8 * PAGE_SIZE as u64;

/// Why tables cannot have these sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSize {
    /// Which table.
    pub what: &'static str,
    /// The fewest that there can be.
    pub least: u32,
    /// The most.
    pub most: u32,
}

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, least, most } = self;
        write!(f, "there can be {least} to {most} {what}")
    }
}

impl core::error::Error for BadSize {}

/// Checks sizes.
///
/// # Errors
///
/// The first that cannot be. Each thread can have an LCA, and LCAs fill half of the ICA at most.
pub fn check(sizes: &TableSizes) -> Result<(), BadSize> {
    let TableSizes { processes, threads, endpoints, lcas, ica_pages, .. } = *sizes;
    let (least, most) = (TableSizes::LEAST, TableSizes::MOST);
    let least_ica = (2 * lcas.min(most.lcas)).next_multiple_of(ICA_GRANULE).max(least.ica_pages);
    let ranges = [
        ("processes", processes, least.processes, most.processes),
        ("threads", threads, processes.max(least.threads), most.threads),
        ("endpoints", endpoints, least.endpoints, most.endpoints),
        ("LCAs", lcas, threads.max(least.lcas), most.lcas),
        ("ICA pages", ica_pages, least_ica, most.ica_pages),
    ];
    let wrong = ranges.iter().find(|(_, size, least, most)| !(least..=most).contains(&size));
    if let Some(&(what, _, least, most)) = wrong {
        return Err(BadSize { what, least, most });
    }
    let whole = ica_pages.next_multiple_of(ICA_GRANULE);
    if whole == ica_pages {
        Ok(())
    } else {
        Err(BadSize { what: "ICA pages (in multiples of 512)", least: whole, most: most.ica_pages })
    }
}

/// Bytes that tables of these sizes take of the memory of a partition with so many CPUs, at most.
#[must_use]
pub fn bytes(sizes: &TableSizes, cpus: usize) -> u64 {
    let TableSizes { processes, threads, endpoints, ica_pages, .. } = *sizes;
    let [processes, threads, endpoints, ica_pages] =
        [processes, threads, endpoints, ica_pages].map(u64::from);
    let shared = processes * PROCESS_BYTES
        + threads * THREAD_BYTES
        + endpoints * ENDPOINT_BYTES
        + ica_pages * ICA_PAGE_BYTES
        + ROUNDED_BYTES;
    shared + cpu_bytes(sizes) * cpus as u64
}

/// Bytes of them that each CPU has to itself, at most.
#[must_use]
pub const fn cpu_bytes(sizes: &TableSizes) -> u64 {
    sizes.processes as u64 * CPU_PROCESS_BYTES
        + sizes.threads as u64 * CPU_THREAD_BYTES
        + ROUNDED_BYTES
}

/// Memory, in bytes, of the smallest partition that can have tables of these sizes: they fill half of what
/// image and bundle leave at most.
#[must_use]
pub fn least_memory(sizes: &TableSizes, cpus: usize) -> u64 {
    (IMAGE_SPAN + BUNDLE_SPAN + 2 * bytes(sizes, cpus)).next_multiple_of(IMAGE_SPAN)
}

/// Pages of the ICA that all servers together can have: half, but a quarter stays for programs and `init`
/// beside the LCAs.
#[must_use]
pub fn ica_pages_of_servers(sizes: &TableSizes) -> u32 {
    (sizes.ica_pages / 2).min((sizes.ica_pages - sizes.ica_pages / 4).saturating_sub(sizes.lcas))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use ant_abi::MAX_CPUS;
    use ant_abi::device::MIN_MEMORY;

    use super::*;

    fn with(change: impl FnOnce(&mut TableSizes)) -> Result<(), &'static str> {
        let mut sizes = TableSizes::USUAL;
        change(&mut sizes);
        check(&sizes).map_err(|bad| bad.what)
    }

    #[test]
    fn the_usual_sizes_the_least_and_the_most_can_be() {
        assert_eq!(check(&TableSizes::USUAL), Ok(()));
        assert_eq!(check(&TableSizes::LEAST), Ok(()));
        assert_eq!(check(&TableSizes::MOST), Ok(()));
    }

    #[test]
    fn each_size_has_bounds() {
        assert_eq!(with(|sizes| sizes.processes = 0), Err("processes"));
        assert_eq!(with(|sizes| sizes.processes = 129), Err("threads"));
        assert_eq!(with(|sizes| sizes.threads = 129), Err("LCAs"));
        assert_eq!(with(|sizes| sizes.endpoints = 16), Err("endpoints"));
        assert_eq!(with(|sizes| sizes.endpoints = 1025), Err("endpoints"));
        assert_eq!(with(|sizes| sizes.lcas = 2049), Err("LCAs"));
        assert_eq!(with(|sizes| sizes.ica_pages = 0), Err("ICA pages"));
        assert_eq!(with(|sizes| sizes.ica_pages = 4097), Err("ICA pages (in multiples of 512)"));
    }

    #[test]
    fn lcas_take_half_of_the_ica_at_most() {
        let sizes = TableSizes {
            processes: 400,
            threads: 400,
            lcas: 400,
            ica_pages: 512,
            ..TableSizes::USUAL
        };
        let bad = BadSize { what: "ICA pages", least: 1024, most: 1 << 17 };
        assert_eq!(check(&sizes), Err(bad));
        assert_eq!(std::format!("{bad}"), "there can be 1024 to 131072 ICA pages");
        assert_eq!(check(&TableSizes { ica_pages: 1024, ..sizes }), Ok(()));
        let no_sum = TableSizes { lcas: u32::MAX, ..sizes };
        assert_eq!(check(&no_sum).map_err(|bad| bad.what), Err("LCAs"));
    }

    #[test]
    fn the_usual_tables_fit_into_the_smallest_partition() {
        assert!(least_memory(&TableSizes::USUAL, MAX_CPUS) <= MIN_MEMORY);
        let most = least_memory(&TableSizes::MOST, MAX_CPUS);
        assert!((32 << 20..128 << 20).contains(&most), "{most}");
    }

    #[test]
    fn servers_leave_some_of_the_ica() {
        assert_eq!(ica_pages_of_servers(&TableSizes::USUAL), 2048);
        let full = TableSizes { lcas: 256, ica_pages: 512, ..TableSizes::USUAL };
        assert_eq!(ica_pages_of_servers(&full), 128);
    }
}
