//! The bundle, read: `init`'s program, and what the manifest says of each server.
//!
//! The bytes come from Linux. [`extent`] checks what the boot block says of their place, [`Bundle::parse`]
//! all that is in them; what comes out needs no further check. What is in a program is the loader's to
//! judge, and whether a device can be granted the kernel's.
//!
//! Deliberately absent: making a bundle (`antd`), mapping it (the m-kernel).

use core::fmt;

use ant_abi::boot::{BootBlock, Extent};
use ant_abi::bundle::{
    BUNDLE_MAGIC, BUNDLE_SERVERS, BundleHeader, BundleServer, GRANTS_MAX, HANDLE_INIT, HANDLE_NAME,
    HANDLE_OWN, STATE_PAGES_MAX, USES_MAX,
};
use ant_abi::ipc::{DeviceGrant, GRANT_INTERRUPT, NOTIFY_RETIRE, PRIORITIES};
use ant_abi::layout::{BUNDLE_SPAN, IMAGE_SPAN};
use ant_abi::{PhysAddr, REVISION};
use zerocopy::FromBytes;

use crate::supervise::{Heartbeat, Policy, TRIES_MAX};

/// Notification bits below those with a meaning: for interrupts.
pub const INTERRUPT_BITS: u64 = NOTIFY_RETIRE.trailing_zeros() as u64;

/// Pages that all servers together can have, of an ICA that has `ica_pages`: half. Programs have the others.
#[must_use]
pub const fn ica_pages_max(ica_pages: u32) -> u64 {
    ica_pages as u64 / 2
}

// `init` has a bit for each server that shows that it lives.
const _: () = assert!(BUNDLE_SERVERS as u64 <= INTERRUPT_BITS);

/// Why a bundle is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// The boot block names none.
    Absent,
    /// The boot block names a place where it cannot be.
    Misplaced,
    /// It does not begin with a header, or is cut off.
    NoHeader,
    /// It is of another revision.
    Revision(u32),
    /// A count or a length in its header is beyond its bounds.
    Bounds,
    /// What it says of one server cannot be.
    Server {
        /// Index of the server.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no bundle was loaded"),
            Self::Misplaced => f.write_str("the bundle lies where none can be"),
            Self::NoHeader => f.write_str("the bundle has no header"),
            Self::Revision(theirs) => {
                write!(f, "the bundle is of ABI revision {theirs}, the kernel of {REVISION}")
            }
            Self::Bounds => f.write_str("a number in the bundle's header is out of bounds"),
            Self::Server { index, what } => write!(f, "server {index} of the bundle: {what}"),
        }
    }
}

impl core::error::Error for BundleError {}

/// Where the boot block says that the bundle is, if it can be there: page aligned, in one extent, apart
/// from the image.
///
/// # Errors
///
/// [`BundleError::Absent`], [`BundleError::Misplaced`].
pub fn extent(boot: &BootBlock) -> Result<Extent, BundleError> {
    let bundle = Extent { start: boot.bundle_phys, len: boot.bundle_len };
    if bundle.len == 0 {
        return Err(BundleError::Absent);
    }
    let extents = boot.extents.get(..boot.extent_count as usize).unwrap_or_default();
    let end = bundle.start.get().checked_add(bundle.len).map(PhysAddr::new);
    let is_possible = end.is_some_and(|end| {
        let is_in =
            |extent: &Extent| bundle.start >= extent.start && end <= extent.start + extent.len;
        bundle.start.is_page_aligned()
            && bundle.len <= BUNDLE_SPAN
            && extents.iter().any(is_in)
            && (bundle.start >= boot.image_phys + IMAGE_SPAN || end <= boot.image_phys)
    });
    is_possible.then_some(bundle).ok_or(BundleError::Misplaced)
}

/// A bundle with a header that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    header: &'a BundleHeader,
    bytes: &'a [u8],
}

/// What the manifest says of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServerSpec<'a> {
    /// What people call it.
    pub name: &'a str,
    /// Its program.
    pub program: &'a [u8],
    /// Its priority.
    pub priority: u32,
    /// Index of the CPU that it shall run on.
    pub cpu: u32,
    /// ICA pages that outlive it.
    pub state_pages: u32,
    /// ICA pages that it may take at a time, and that are kept for it.
    pub ica_pages: u32,
    /// What is done when it has ended; times in microseconds.
    pub restart: Policy,
    /// How it shows that it lives, if it has to.
    pub watch: Option<Heartbeat>,
    /// Its devices.
    pub grants: &'a [DeviceGrant],
    uses: u32,
}

impl ServerSpec<'_> {
    /// Indices of the servers that it is given handles to, in their order.
    pub fn uses(&self) -> impl Iterator<Item = usize> + use<> {
        let uses = self.uses;
        (0..BUNDLE_SERVERS).filter(move |index| uses >> index & 1 == 1)
    }
}

impl<'a> Bundle<'a> {
    /// Checks a bundle, which is all of `bytes`, for a partition with `ica_pages` in its ICA; the bytes
    /// begin at a multiple of 8.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(bytes: &'a [u8], ica_pages: u32) -> Result<Self, BundleError> {
        let header = BundleHeader::ref_from_prefix(bytes);
        let (header, _) = header.map_err(|_| BundleError::NoHeader)?;
        if header.magic != BUNDLE_MAGIC {
            return Err(BundleError::NoHeader);
        }
        if header.revision != REVISION {
            return Err(BundleError::Revision(header.revision));
        }
        let bundle = Self { header, bytes };
        let count = header.server_count as usize;
        let is_bounded = header.size as usize == size_of::<BundleHeader>()
            && header.len as usize == bytes.len()
            && (1..=BUNDLE_SERVERS).contains(&count)
            && bundle.part(header.init_offset, header.init_len).is_some();
        if !is_bounded {
            return Err(BundleError::Bounds);
        }
        for index in 0..count {
            bundle.check(index).map_err(|what| BundleError::Server { index, what })?;
        }
        let promised = bundle.servers().map(|server| u64::from(server.ica_pages)).sum::<u64>();
        if promised > ica_pages_max(ica_pages) {
            return Err(BundleError::Bounds);
        }
        Ok(bundle)
    }

    /// The program of `init`.
    #[must_use]
    pub fn init(&self) -> &'a [u8] {
        self.part(self.header.init_offset, self.header.init_len).unwrap_or_default()
    }

    /// The servers, the name service first.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = ServerSpec<'a>> + use<'a> {
        let bundle = *self;
        bundle.records().iter().map(move |record| bundle.spec(record))
    }

    fn records(&self) -> &'a [BundleServer] {
        &self.header.servers[..self.header.server_count as usize]
    }

    fn part(&self, offset: u32, len: u32) -> Option<&'a [u8]> {
        let start = offset as usize;
        self.bytes.get(start..start.checked_add(len as usize)?)
    }

    /// A record that has been checked, as what it means.
    fn spec(&self, record: &'a BundleServer) -> ServerSpec<'a> {
        let is_watched = record.watch_every_us > 0;
        ServerSpec {
            name: name(record).unwrap_or_default(),
            program: self.part(record.program_offset, record.program_len).unwrap_or_default(),
            priority: record.priority,
            cpu: record.cpu,
            state_pages: record.state_pages,
            ica_pages: record.ica_pages,
            restart: Policy {
                tries: record.tries,
                within: record.within_us,
                delay: record.delay_us,
            },
            watch: is_watched.then_some(Heartbeat {
                every_us: record.watch_every_us,
                answer_us: record.watch_answer_us,
            }),
            grants: &record.grants[..record.grant_count as usize],
            uses: record.uses,
        }
    }

    fn check(&self, index: usize) -> Result<(), &'static str> {
        let record = &self.records()[index];
        let own_name = name(record).ok_or("its name is none")?;
        let count = self.records().len() as u32;
        let known = (1u32 << count) - 1;
        let others = self.records()[..index].iter();
        let tests = [
            (index > 0 || own_name == HANDLE_NAME, "the first must be the name service"),
            (!others.map(name).any(|other| other == Some(own_name)), "its name is another's, too"),
            (
                self.part(record.program_offset, record.program_len).is_some(),
                "its program lies outside",
            ),
            ((record.priority as usize) < PRIORITIES, "its priority is too high"),
            (record.state_pages <= STATE_PAGES_MAX, "it has too many state pages"),
            (record.tries <= TRIES_MAX, "it has too many tries"),
            (record.uses & !known == 0, "it uses a server that is not there"),
            (record.uses >> index & 1 == 0, "it uses itself"),
            (record.uses.count_ones() as usize <= USES_MAX, "it uses too many servers"),
            (record.grant_count as usize <= GRANTS_MAX, "it has too many devices"),
        ];
        tests.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(*what))?;
        let mut grants = record.grants[..record.grant_count as usize].iter();
        let is_bit =
            |grant: &DeviceGrant| grant.kind != GRANT_INTERRUPT || grant.len < INTERRUPT_BITS;
        grants.all(is_bit).then_some(()).ok_or("an interrupt raises a bit that is not its own")
    }
}

/// Whether a server can be called so: it is given to others as `NAME=HANDLE`, beside those of every
/// server.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
    !name.is_empty() && name.bytes().all(is_plain) && ![HANDLE_INIT, HANDLE_OWN].contains(&name)
}

fn name(record: &BundleServer) -> Option<&str> {
    let len = record.name.iter().rposition(|&byte| byte != 0)? + 1;
    str::from_utf8(&record.name[..len]).ok().filter(|name| is_name(name))
}

#[cfg(test)]
mod tests;
