//! The programs of servers: files, and one that shall replace a server, on its way from `antctl` to `antd`.
//!
//! `antctl` reads the file with the user's rights and passes a sealed memory file on: its contents
//! can no longer change, and reading it never blocks.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ant_abi::control::{PROGRAM_MAX, SPAWN_BYTES};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use thiserror::Error;

/// First bytes of a program.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Why a file cannot be a server's program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// Too large.
    #[error("it has {0} bytes, and a server at most {PROGRAM_MAX}: is it stripped?")]
    TooLarge(u64),
    /// No ELF file.
    #[error("it is no program: an ELF file, linked for AnT, is wanted")]
    NoProgram,
    /// It did not come as it should.
    #[error("it came in no sealed memory file")]
    NotSealed,
    /// Reading it, or passing it on, failed.
    #[error("{0}")]
    Failed(Errno),
}

impl From<Errno> for ProgramError {
    fn from(errno: Errno) -> Self {
        ProgramError::Failed(errno)
    }
}

impl From<std::io::Error> for ProgramError {
    fn from(error: std::io::Error) -> Self {
        ProgramError::Failed(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

/// The bytes of a program's file.
///
/// # Errors
///
/// It cannot be read, or holds no program.
pub fn read(path: &Path) -> Result<Vec<u8>, ProgramError> {
    // Before it is opened: opening a pipe waits for a writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ProgramError::NoProgram);
    }
    check_len(metadata.len())?;
    let bytes = read_most(path, PROGRAM_MAX as u64)?;
    check(&bytes)?;
    Ok(bytes)
}

/// The bytes of a file; one more than `most` if there are more: it may grow meanwhile.
fn read_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a regular file, at most `most`.
///
/// # Errors
///
/// It cannot be read, is too large, or is no file.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let bytes = read_most(path, most)?;
    let fits = bytes.len() as u64 <= most;
    fits.then_some(bytes).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Path and arguments of a program are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("program and arguments have {0} bytes, AnT takes {SPAWN_BYTES}")]
pub struct TooLong(usize);

/// Says whether AnT takes path and arguments that have `len` bytes together, each with its NUL.
///
/// # Errors
///
/// They are too long.
pub fn check_words_len(len: usize) -> Result<(), TooLong> {
    if len > SPAWN_BYTES { Err(TooLong(len)) } else { Ok(()) }
}

/// Says early whether `len` bytes can be a program.
///
/// # Errors
///
/// They are too many.
pub fn check_len(len: u64) -> Result<(), ProgramError> {
    if len > PROGRAM_MAX as u64 { Err(ProgramError::TooLarge(len)) } else { Ok(()) }
}

/// Says whether `bytes` can be a program. What is in it is AnT's to judge.
///
/// # Errors
///
/// They cannot.
pub fn check(bytes: &[u8]) -> Result<(), ProgramError> {
    check_len(bytes.len() as u64)?;
    if bytes.starts_with(ELF_MAGIC) { Ok(()) } else { Err(ProgramError::NoProgram) }
}

/// A sealed memory file that holds `bytes`.
///
/// # Errors
///
/// They cannot be a program, or there is no memory.
pub fn seal(bytes: &[u8]) -> Result<OwnedFd, ProgramError> {
    check(bytes)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("ant-server", flags)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    fcntl_add_seals(&file, seals())?;
    Ok(file.into())
}

/// What a sealed memory file holds.
///
/// # Errors
///
/// It is none, or holds no program.
pub fn unseal(file: OwnedFd) -> Result<Vec<u8>, ProgramError> {
    // Only memory files have seals.
    let sealed = fcntl_get_seals(&file).map_err(|_| ProgramError::NotSealed)?;
    if !sealed.contains(seals()) {
        return Err(ProgramError::NotSealed);
    }
    let file = File::from(file);
    let len = file.metadata()?.len();
    check_len(len)?;
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    check(&bytes)?;
    Ok(bytes)
}

fn seals() -> SealFlags {
    SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_arrives_as_it_was() {
        let program = [ELF_MAGIC, &[7; 5000]].concat();
        assert_eq!(unseal(seal(&program).unwrap()).unwrap(), program);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(check(b"#!/bin/sh\n"), Err(ProgramError::NoProgram));
        assert_eq!(check(b""), Err(ProgramError::NoProgram));
        let large = [ELF_MAGIC, &vec![0; PROGRAM_MAX]].concat();
        assert_eq!(check(&large), Err(ProgramError::TooLarge(large.len() as u64)));
        let text = check(&large).unwrap_err().to_string();
        assert!(text.contains("1048580") && text.contains("1048576"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_program_is_refused() {
        assert_eq!(read(Path::new("/etc/passwd")), Err(ProgramError::NoProgram));
        assert_eq!(read(Path::new("/")), Err(ProgramError::NoProgram));
        let text = read(Path::new("/no/such")).unwrap_err().to_string();
        assert_eq!(text, "No such file or directory (os error 2)");
        let path = std::env::temp_dir().join(format!("antd-program-{}", std::process::id()));
        fs::write(&path, [ELF_MAGIC, &vec![0; PROGRAM_MAX]].concat()).unwrap();
        assert!(matches!(read(&path), Err(ProgramError::TooLarge(_))));
        fs::write(&path, b"\x7fELF and more").unwrap();
        assert_eq!(read(&path).unwrap(), b"\x7fELF and more");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_could_still_change_is_refused() {
        let file = OwnedFd::from(File::open("/proc/self/exe").unwrap());
        assert_eq!(unseal(file), Err(ProgramError::NotSealed));
        let open = memfd_create("open", MemfdFlags::ALLOW_SEALING).unwrap();
        assert_eq!(unseal(open), Err(ProgramError::NotSealed));
    }
}
