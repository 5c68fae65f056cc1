//! The bundle, made: `init`'s program, those of the servers, and what the manifest says of them, in the form
//! of `ant_abi::bundle`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ant_abi::REVISION;
use ant_abi::boot::TableSizes;
use ant_abi::bundle::{BUNDLE_MAGIC, BundleHeader};
use ant_abi::layout::BUNDLE_SPAN;
use ant_protocol::SERVERS_DIR;
use ant_protocol::program::{self, ProgramError};
use rustix::io::Errno;
use thiserror::Error;
use zerocopy::{FromZeros, IntoBytes};

use crate::manifest::{Manifest, ManifestError};

/// Programs begin at a multiple of so many bytes.
const ALIGN: usize = 16;

/// Why there is no bundle.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The manifest is wrong, or names a program that is.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// `init` is not there, or is something else.
    #[error(
        "cannot take {} as AnT's first process: {error}; install it from the build that antd is of",
        path.display()
    )]
    Init {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: ProgramError,
    },
    /// All programs together are too large.
    #[error(
        "init and the servers of {} have {} KiB, and {} KiB is the most: leave servers out, or strip \
         their programs", path.display(), len.div_ceil(1 << 10), BUNDLE_SPAN >> 10
    )]
    TooLarge {
        /// The manifest.
        path: PathBuf,
        /// Bytes of the bundle.
        len: u64,
    },
}

/// The bytes of the bundle of a manifest, with this program as `init`, for a partition with tables of these
/// sizes.
///
/// # Errors
///
/// What is wrong with the manifest, or with a program.
pub fn read(
    manifest_path: &Path,
    init: &Path,
    tables: &TableSizes,
) -> Result<Vec<u8>, BundleError> {
    let manifest = Manifest::read(manifest_path, tables)?;
    let init_program =
        program::read(init).map_err(|error| BundleError::Init { path: init.into(), error })?;
    let mut bundle = Builder::new();
    (bundle.header.init_offset, bundle.header.init_len) = bundle.add(&init_program);
    let mut places = HashMap::new();
    for (index, server) in manifest.servers.iter().enumerate() {
        let path = program_path(manifest_path, &server.program);
        // Two servers may have one program.
        if !places.contains_key(&path) {
            let refused = |error| manifest.wrong(server.line, unusable(&path, &error));
            let program = program::read(&path).map_err(refused)?;
            places.insert(path.clone(), bundle.add(&program));
        }
        let mut record = server.record;
        (record.program_offset, record.program_len) = places[&path];
        bundle.header.servers[index] = record;
    }
    bundle.header.server_count = manifest.servers.len() as u32;
    let bytes = bundle.finish();
    if bytes.len() as u64 > BUNDLE_SPAN {
        return Err(BundleError::TooLarge { path: manifest_path.into(), len: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// The file that a manifest means: a name alone is in the servers' directory, anything else where the
/// manifest is.
fn program_path(manifest: &Path, program: &str) -> PathBuf {
    let dir = manifest.parent().unwrap_or(Path::new("/"));
    if program.contains('/') { dir.join(program) } else { Path::new(SERVERS_DIR).join(program) }
}

fn unusable(path: &Path, error: &ProgramError) -> String {
    let remedy = match error {
        ProgramError::Failed(Errno::NOENT) => "install it, or name another",
        _ => "name another",
    };
    format!("cannot take {} as a program: {error}; {remedy}", path.display())
}

/// A bundle that grows.
struct Builder {
    header: BundleHeader,
    /// The programs, after the header.
    programs: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        let mut header = BundleHeader::new_zeroed();
        header.magic = BUNDLE_MAGIC;
        header.revision = REVISION;
        header.size = size_of::<BundleHeader>() as u32;
        Self { header, programs: Vec::new() }
    }

    /// Adds a program; its offset and length.
    fn add(&mut self, program: &[u8]) -> (u32, u32) {
        let offset = size_of::<BundleHeader>() + self.programs.len();
        self.programs.extend(program);
        self.programs.resize(self.programs.len().next_multiple_of(ALIGN), 0);
        (offset as u32, program.len() as u32)
    }

    fn finish(mut self) -> Vec<u8> {
        self.header.len = (size_of::<BundleHeader>() + self.programs.len()) as u32;
        [self.header.as_bytes(), &self.programs].concat()
    }
}

#[cfg(test)]
mod tests;
