//! Writes the archive format that Linux unpacks at boot (`newc`).
//!
//! Format: Linux's Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// The owner of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The superuser.
pub const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// An archive in memory.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    directories: BTreeSet<String>,
}

impl Archive {
    /// Adds a directory with permissions `mode`, and the directories above it.
    pub fn directory(&mut self, path: &str, mode: u32, owner: Owner) {
        let path = path.trim_matches('/');
        self.parents(path);
        if self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY | mode, owner, &[]);
        }
    }

    /// Adds a file of the superuser.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, REGULAR | mode, ROOT, content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, LINK | 0o777, ROOT, target.as_bytes());
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, ROOT, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.directories.contains(parent)
        {
            self.directory(parent, 0o755, ROOT);
        }
    }

    fn entry(&mut self, name: &str, mode: u32, owner: Owner, content: &[u8]) {
        self.entries += 1;
        let links = if mode & DIRECTORY != 0 && mode & REGULAR != REGULAR { 2 } else { 1 };
        let fields = [
            self.entries,
            mode,
            owner.uid,
            owner.gid,
            links,
            0, // modification time
            content.len() as u32,
            0, // device
            0,
            0, // device that a node stands for
            0,
            name.len() as u32 + 1,
            0, // check sum, unused in this variant
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_children_and_once() {
        let mut archive = Archive::default();
        archive.file("/a/b/c", 0o644, b"x");
        archive.file("/a/b/d", 0o644, b"y");
        let text = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(text.len() % 4, 0);
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap();
        assert!(at("a") < at("a/b") && at("a/b") < at("a/b/c"));
        assert_eq!(text.matches("a/b\0").count(), 1);
        assert!(text.contains("TRAILER!!!"));
    }
}
