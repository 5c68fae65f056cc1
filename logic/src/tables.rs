//! Which sizes the kernel's tables can have.

use ant_abi::PAGE_SIZE;
use ant_abi::boot::TableSizes;
use ant_abi::ipc::SERVER_ENDPOINTS;

/// Pages of the ICA come in multiples of these: as many as one page table maps.
pub const ICA_GRANULE: u32 = (PAGE_SIZE / size_of::<u64>()) as u32;

/// Fewest processes: `init`, servers, and some programs.
const LEAST_PROCESSES: u32 = 32;
/// Fewest endpoints: those of `init` and the servers, and one.
const LEAST_ENDPOINTS: u32 = SERVER_ENDPOINTS as u32 + 1;
/// Fewest pages of the ICA: 2 MiB.
const LEAST_ICA_PAGES: u32 = ICA_GRANULE;

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

/// Checks sizes.
///
/// # Errors
///
/// The first that cannot be. Each thread can have an LCA, and LCAs fill half of the ICA at most.
pub fn check(sizes: &TableSizes) -> Result<(), BadSize> {
    let TableSizes { processes, threads, endpoints, lcas, ica_pages, .. } = *sizes;
    let most = TableSizes::MOST;
    let ranges = [
        ("processes", processes, LEAST_PROCESSES, most.processes),
        ("threads", threads, processes, most.threads),
        ("endpoints", endpoints, LEAST_ENDPOINTS, most.endpoints),
        ("ICA pages", ica_pages, LEAST_ICA_PAGES, most.ica_pages),
        ("LCAs", lcas, threads, most.lcas.min(ica_pages / 2)),
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut TableSizes)) -> Result<(), &'static str> {
        let mut sizes = TableSizes::USUAL;
        change(&mut sizes);
        check(&sizes).map_err(|bad| bad.what)
    }

    #[test]
    fn the_usual_sizes_and_the_most_can_be() {
        assert_eq!(check(&TableSizes::USUAL), Ok(()));
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
}
