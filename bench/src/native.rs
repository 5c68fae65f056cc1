//! The smallest programs for Linux: what AnT's creation of a process is measured beside.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use ant_protocol::program::{ProgramError, seal};
use ant_protocol::time_stamp;
use anyhow::{Context, Result, ensure};

/// `exit(0)`.
const EXIT: &[u8] = &[
    0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
];

/// `write(1, &rdtsc, 8)`; `EXIT` follows.
const STAMP: &[u8] = &[
    0x0f, 0x31, // rdtsc
    0x48, 0xc1, 0xe2, 0x20, // shl rdx, 32
    0x48, 0x09, 0xd0, // or rax, rdx
    0x50, // push rax
    0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1
    0xbf, 0x01, 0x00, 0x00, 0x00, // mov edi, 1
    0x48, 0x89, 0xe6, // mov rsi, rsp
    0xba, 0x08, 0x00, 0x00, 0x00, // mov edx, 8
    0x0f, 0x05, // syscall
];

/// Where it is loaded.
const BASE: u64 = 0x40_0000;
/// Bytes of the ELF header and one program header.
const HEADERS: u64 = 64 + 56;

/// The two programs, in memory files.
pub struct Programs {
    ends: OwnedFd,
    stamps: OwnedFd,
}

impl Programs {
    /// Makes them.
    pub fn new() -> Result<Self, ProgramError> {
        Ok(Self { ends: seal(&elf(EXIT))?, stamps: seal(&elf(&[STAMP, EXIT].concat()))? })
    }

    /// From asking for a process until it has ended and was waited for.
    pub fn until_end(&self) -> Result<u64> {
        let start = time_stamp();
        let status = command(&self.ends).status().context("cannot start a program on Linux")?;
        let took = time_stamp() - start;
        ensure!(status.success(), "a program on Linux has ended with {status}");
        Ok(took)
    }

    /// From asking for a process until its first instruction.
    pub fn until_first(&self) -> Result<u64> {
        let (mut reader, writer) = std::io::pipe()?;
        let mut command = command(&self.stamps);
        command.stdout(Stdio::from(writer));
        let start = time_stamp();
        let status = command.status().context("cannot start a program on Linux")?;
        ensure!(status.success(), "a program on Linux has ended with {status}");
        read_stamp(&mut reader).map(|began| began - start)
    }
}

/// The time stamp that a program has written before it ended.
pub fn read_stamp(reader: &mut impl Read) -> Result<u64> {
    let mut stamp = [0; 8];
    reader.read_exact(&mut stamp).context("the program has written no time stamp")?;
    Ok(u64::from_le_bytes(stamp))
}

fn command(program: &OwnedFd) -> Command {
    // The child still has the descriptor when it asks for the file behind it.
    Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
}

/// An ELF file with one segment, which is the whole file: headers and code.
fn elf(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let len = HEADERS + code.len() as u64;
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    // Executable, x86-64, version 1; entry, program headers, no sections; sizes and counts.
    [2_u16, 62, 1, 0].iter().for_each(|half| put(&half.to_le_bytes()));
    [BASE + HEADERS, 64, 0].iter().for_each(|word| put(&word.to_le_bytes()));
    [0_u16, 0, 64, 56, 1, 0, 0, 0].iter().for_each(|half| put(&half.to_le_bytes()));
    // PT_LOAD, read and execute; offset, address, physical address, bytes in file, in memory, alignment.
    [1_u32, 5].iter().for_each(|half| put(&half.to_le_bytes()));
    [0, BASE, BASE, len, len, 4096].iter().for_each(|word: &u64| put(&word.to_le_bytes()));
    put(code);
    file
}

#[cfg(test)]
mod tests {
    use super::Programs;

    #[test]
    fn the_programs_run() {
        let programs = Programs::new().unwrap();
        assert!(programs.until_end().unwrap() > 0);
        assert!(programs.until_first().unwrap() > 0);
    }
}
