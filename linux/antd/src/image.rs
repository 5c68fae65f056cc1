//! The AnT kernel image: an ELF file, checked before any CPU is taken.

use std::fs;
use std::path::{Path, PathBuf};

use ant_abi::REVISION;
use ant_abi::boot::{IMAGE_MAGIC, ImageHeader};
use ant_abi::layout::{IMAGE_VIRT, SHARED_OFFSET};
use elf::ElfBytes;
use elf::abi::{EM_X86_64, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;
use thiserror::Error;
use zerocopy::FromBytes;

/// Largest file that can be an image.
const FILE_MAX: u64 = 64 << 20;

/// Why a file is no image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read the kernel image {}: {error}; name another with --image", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not an AnT kernel: {what}", path.display())]
    Other {
        /// Which.
        path: PathBuf,
        /// What it lacks.
        what: String,
    },
    /// It is of another revision.
    #[error(
        "the kernel image {} is of ABI revision {theirs}, antd of revision {REVISION}: install \
         both from one build", path.display()
    )]
    Revision {
        /// Which.
        path: PathBuf,
        /// Its revision.
        theirs: u32,
    },
}

/// Bytes that belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where, from the start of the image.
    pub offset: u64,
    /// What, zeros at the end included.
    pub bytes: Vec<u8>,
}

/// An image, ready to load.
#[derive(Debug)]
pub struct Image {
    /// What to load.
    pub segments: Vec<Segment>,
    /// Virtual address of the first instruction.
    pub entry: u64,
}

impl Image {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let unreadable = |error| ImageError::Read { path: path.into(), error };
        let len = fs::metadata(path).map_err(unreadable)?.len();
        if len > FILE_MAX {
            return Err(ImageError::Other { path: path.into(), what: "it is too large".into() });
        }
        Self::parse(path, &fs::read(path).map_err(unreadable)?)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ImageError> {
        let other = |what: &str| ImageError::Other { path: path.into(), what: what.into() };
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes)
            .map_err(|error| other(&format!("not an ELF file ({error})")))?;
        if file.ehdr.class != Class::ELF64 || file.ehdr.e_machine != EM_X86_64 {
            return Err(other("it is for another processor"));
        }
        let headers = file.segments().ok_or_else(|| other("it has no segments"))?;
        let mut segments = Vec::new();
        for header in headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0)
        {
            let offset = header.p_vaddr.wrapping_sub(IMAGE_VIRT);
            let inside = header.p_filesz <= header.p_memsz
                && offset.checked_add(header.p_memsz).is_some_and(|end| end <= SHARED_OFFSET);
            if !inside {
                return Err(other("a segment lies outside the image's place"));
            }
            let data = file
                .segment_data(&header)
                .map_err(|error| other(&format!("it is cut off ({error})")))?;
            let mut bytes = data.to_vec();
            bytes.resize(header.p_memsz as usize, 0);
            segments.push(Segment { offset, bytes });
        }
        let first = segments.iter().find(|segment| segment.offset == 0);
        let header = first.and_then(|first| ImageHeader::read_from_prefix(&first.bytes).ok());
        let Some((header, _)) = header.filter(|(header, _)| header.magic == IMAGE_MAGIC) else {
            return Err(other("it has no AnT header"));
        };
        if header.revision != REVISION {
            return Err(ImageError::Revision { path: path.into(), theirs: header.revision });
        }
        let entry = file.ehdr.e_entry;
        if !(IMAGE_VIRT..IMAGE_VIRT + SHARED_OFFSET).contains(&entry) {
            return Err(other("it begins outside the image's place"));
        }
        Ok(Self { segments, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::image;

    fn parse(bytes: &[u8]) -> Result<Image, String> {
        Image::parse(Path::new("k"), bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn an_image_is_taken_apart_with_its_zeros() {
        let image = parse(&image(REVISION, IMAGE_VIRT, 100)).unwrap();
        assert_eq!(image.entry, IMAGE_VIRT + 16);
        assert_eq!(image.segments.len(), 1);
        assert_eq!((image.segments[0].offset, image.segments[0].bytes.len()), (0, 100));
        assert_eq!(image.segments[0].bytes[..8], *b"AnTimage");
        assert!(image.segments[0].bytes[16..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn another_revision_is_refused_and_both_are_named() {
        let text = parse(&image(REVISION + 41, IMAGE_VIRT, 100)).unwrap_err();
        assert!(text.contains(&format!("revision {}", REVISION + 41)), "{text}");
        assert!(text.contains(&format!("revision {REVISION}")), "{text}");
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(parse(b"#!/bin/sh\n").unwrap_err().contains("not an ELF"));
        let mut headless = image(REVISION, IMAGE_VIRT, 100);
        headless[120] = b'B';
        assert!(parse(&headless).unwrap_err().contains("no AnT header"));
        for (vaddr, memory) in [(0x40_0000, 100), (IMAGE_VIRT, SHARED_OFFSET + 1)] {
            let text = parse(&image(REVISION, vaddr, memory)).unwrap_err();
            assert!(text.contains("outside"), "{text}");
        }
        let whole = image(REVISION, IMAGE_VIRT, 100);
        for len in 0..whole.len() {
            assert!(parse(&whole[..len]).is_err(), "{len}");
        }
    }
}
