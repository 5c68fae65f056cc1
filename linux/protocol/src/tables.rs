//! How large AnT's tables are, as people say it.

use std::fmt;

use ant_abi::PAGE_SIZE;
use ant_abi::boot::TableSizes;
use serde::{Deserialize, Serialize};

use crate::cpu_list::describe_memory;

/// What AnT has room for. Whether that can be is `antd`'s to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// Processes at a time, servers included; each with its thread and an LCA.
    pub processes: u32,
    /// Endpoints.
    pub endpoints: u32,
    /// Pages of the ICA.
    pub ica_pages: u32,
}

impl Tables {
    /// What a partition has that was asked for no others.
    pub const USUAL: Self = Self::of(&TableSizes::USUAL);

    /// What tables of these sizes have room for.
    #[must_use]
    pub const fn of(sizes: &TableSizes) -> Self {
        let TableSizes { processes, endpoints, ica_pages, .. } = *sizes;
        Self { processes, endpoints, ica_pages }
    }

    /// The sizes of the tables.
    #[must_use]
    pub const fn sizes(self) -> TableSizes {
        let Self { processes, endpoints, ica_pages } = self;
        TableSizes {
            processes,
            threads: processes,
            endpoints,
            lcas: processes,
            ica_pages,
            reserved: 0,
        }
    }
}

impl fmt::Display for Tables {
    /// "128 processes, 64 endpoints and an ICA of 16 MiB".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, endpoints, ica_pages } = self;
        let ica = describe_memory(u64::from(*ica_pages) * PAGE_SIZE as u64);
        write!(f, "{processes} processes, {endpoints} endpoints and an ICA of {ica}")
    }
}
