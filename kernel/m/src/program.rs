//! What the kernel needs to know of a program: an ELF executable with AnT's mark.

use ant_abi::UserVirt;
use ant_abi::layout::PROCESS_END;
use arrayvec::ArrayVec;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD, PT_NOTE};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::note::{Note, NoteIterator};
use elf::segment::{ProgramHeader, SegmentTable};

use ant_arch::paging::Access;

/// Loadable segments that a program may have.
const MAX_SEGMENTS: usize = 8;
/// Most memory that the segments of a program may take: they are mapped in one go, during which the
/// CPU does nothing else.
const MAX_SIZE: u64 = 16 << 20;
/// Owner and type of the note that marks a program for AnT; its contents are the ABI revision.
const NOTE_NAME: &[u8] = b"AnT\0";
const NOTE_REVISION: u64 = 1;

/// A part of the program in memory.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First address.
    pub virt: UserVirt,
    /// Bytes in memory.
    pub size: u64,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// How many; the rest is zero.
    pub file_size: u64,
    /// What the process may do there.
    pub access: Access,
}

impl Segment {
    /// The pages it lies in.
    pub fn pages(&self) -> impl Iterator<Item = UserVirt> {
        self.virt.pages(self.size)
    }
}

/// A program that can be loaded.
#[derive(Debug)]
pub struct Program {
    /// First instruction.
    pub entry: UserVirt,
    /// What to load.
    pub segments: ArrayVec<Segment, MAX_SEGMENTS>,
}

impl Program {
    /// Reads the head of a file: ELF header, program headers and AnT's note must lie in it.
    /// An error says what is wrong with the file.
    pub fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let header = file_header(head)?;
        let table = usize::try_from(header.e_phoff).ok().and_then(|start| {
            let len = usize::from(header.e_phnum) * usize::from(header.e_phentsize);
            head.get(start..start.checked_add(len)?)
        });
        let table = table.ok_or("its program headers are not at its beginning")?;
        let headers = SegmentTable::new(LittleEndian, Class::ELF64, table);
        check_note(head, headers)?;
        let mut segments = ArrayVec::new();
        for header in headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0)
        {
            let segment = segment(&header)?;
            segments.try_push(segment).map_err(|_| "it has too many segments")?;
        }
        if segments.iter().map(|segment: &Segment| segment.size).sum::<u64>() > MAX_SIZE {
            return Err("it is larger than 16 MiB");
        }
        let entry = UserVirt::in_process(header.e_entry);
        let entry = entry.ok_or("its entry lies outside the process region")?;
        Ok(Self { entry, segments })
    }
}

fn file_header(head: &[u8]) -> Result<FileHeader<LittleEndian>, &'static str> {
    const NOT_ELF: &str = "it is not an ELF program";
    let ident = head.get(..elf::abi::EI_NIDENT).ok_or(NOT_ELF)?;
    let tail = head.get(elf::abi::EI_NIDENT..64).ok_or(NOT_ELF)?;
    let ident = parse_ident::<LittleEndian>(ident).map_err(|_| NOT_ELF)?;
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| NOT_ELF)?;
    if header.class != Class::ELF64 || header.e_machine != EM_X86_64 {
        return Err("it is not for x86-64");
    }
    if header.e_type != ET_EXEC || header.e_phentsize != 56 {
        return Err("it is not a program of AnT (not statically linked to a fixed address)");
    }
    Ok(header)
}

/// A Linux program would find none of the system calls it is made for, so a program must say that
/// it is one of AnT's.
fn check_note(head: &[u8], headers: SegmentTable<'_, LittleEndian>) -> Result<(), &'static str> {
    for header in headers.iter().filter(|header| header.p_type == PT_NOTE) {
        let start = usize::try_from(header.p_offset).ok();
        let bytes = start.and_then(|start| {
            let len = usize::try_from(header.p_filesz).ok()?;
            head.get(start..start.checked_add(len)?)
        });
        let Some(bytes) = bytes else { continue };
        for note in NoteIterator::new(LittleEndian, Class::ELF64, 4, bytes) {
            let Note::Unknown(note) = note else { continue };
            if note.name == NOTE_NAME && note.n_type == NOTE_REVISION {
                return if note.desc == ant_abi::REVISION.to_le_bytes() {
                    Ok(())
                } else {
                    Err("it was built for another ABI revision of AnT")
                };
            }
        }
    }
    Err("it is not a program of AnT (no AnT note)")
}

fn segment(header: &ProgramHeader) -> Result<Segment, &'static str> {
    let end = header.p_vaddr.checked_add(header.p_memsz).filter(|&end| end <= PROCESS_END);
    let virt = end.and_then(|_| UserVirt::in_process(header.p_vaddr));
    let virt = virt.filter(|_| header.p_filesz <= header.p_memsz);
    let virt = virt.ok_or("a segment lies outside the process region")?;
    header.p_offset.checked_add(header.p_filesz).ok_or("a segment lies outside the file")?;
    let access = match (header.p_flags & PF_W != 0, header.p_flags & PF_X != 0) {
        (true, true) => return Err("a segment is writable and executable"),
        (true, false) => Access::ReadWrite,
        (false, true) => Access::ReadExecute,
        (false, false) => Access::Read,
    };
    Ok(Segment {
        virt,
        size: header.p_memsz,
        offset: header.p_offset,
        file_size: header.p_filesz,
        access,
    })
}
