//! The guest's root file system: busybox, the distribution's modules, and everything installed
//! as on a real machine.

use crate::cpio::{Archive, Owner, ROOT};
use crate::{modules, paths};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The ordinary user.
const USER: Owner = Owner { uid: 1000, gid: 1000 };

/// Files that are the same in every guest: path, permissions, content.
const FILES: &[(&str, u32, &str)] = &[
    ("/etc/passwd", 0o644, include_str!("../guest/passwd")),
    ("/etc/group", 0o644, include_str!("../guest/group")),
    ("/etc/shadow", 0o600, include_str!("../guest/shadow")),
    ("/etc/profile", 0o644, include_str!("../guest/profile")),
    ("/etc/inittab", 0o644, include_str!("../guest/inittab")),
    ("/etc/init.d/rcS", 0o755, include_str!("../guest/rcS")),
    ("/etc/modules-load.d/ant.conf", 0o644, "ant\n"),
    ("/etc/hostname", 0o644, "guest\n"),
];

/// A file that only some guests have.
#[derive(Clone, Debug)]
pub struct ExtraFile {
    /// Where, in the guest.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// What it holds.
    pub content: Vec<u8>,
}

/// Makes the image for the kernel `version` and returns where it lies.
///
/// Its name says what it holds, so that one that is there is used again and a guest that starts
/// meanwhile never reads a file that is being written.
///
/// # Errors
/// When something that belongs in cannot be read, or the image cannot be written.
pub fn make(version: &str, extra: &[ExtraFile]) -> io::Result<PathBuf> {
    let archive = assemble(version, extra)?;
    let dir = paths::out().join("image");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{version}-{:016x}.cpio", hash(&archive)));
    if !path.exists() {
        let new = path.with_extension(format!("{}", std::process::id()));
        fs::write(&new, &archive)?;
        fs::rename(&new, &path)?;
        remove_old(&dir);
    }
    Ok(path)
}

fn assemble(version: &str, extra: &[ExtraFile]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    directories(&mut archive);
    for (path, mode, content) in FILES {
        archive.file(path, *mode, content.as_bytes());
    }
    busybox(&mut archive)?;
    distribution_modules(&mut archive, version)?;
    product(&mut archive)?;
    for (path, content) in texts()? {
        archive.file(&path, 0o644, &content);
    }
    for file in extra {
        archive.file(&file.path, file.mode, &file.content);
    }
    Ok(archive.finish())
}

fn directories(archive: &mut Archive) {
    for path in ["/dev", "/proc", "/sys", "/run", "/mnt", "/var/lib", "/var/log", "/usr/lib/ant"] {
        archive.directory(path, 0o755, ROOT);
    }
    archive.directory("/tmp", 0o1777, ROOT);
    archive.directory("/root", 0o700, ROOT);
    archive.directory("/home/user", 0o755, USER);
}

fn busybox(archive: &mut Archive) -> io::Result<()> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(Path::new);
    let Some(path) = busybox.into_iter().find(|path| path.exists()) else {
        return Err(io::Error::other("no busybox: run `./ant setup`"));
    };
    let list = Command::new(path).arg("--list-full").output()?.stdout;
    archive.file("/bin/busybox", 0o4755, &fs::read(path)?);
    for applet in String::from_utf8_lossy(&list).lines().filter(|applet| *applet != "bin/busybox") {
        archive.link(applet, "/bin/busybox");
    }
    archive.link("/init", "/bin/busybox");
    Ok(())
}

fn distribution_modules(archive: &mut Archive, version: &str) -> io::Result<()> {
    let modules = modules::collect(version)?;
    let dir = format!("/lib/modules/{version}");
    let mut extra = Vec::new();
    for module in &modules {
        archive.file(&format!("{dir}/{}", module.path), 0o644, &module.content);
    }
    if let Ok(ant) = fs::read(paths::module(version)) {
        extra.push("extra/ant.ko".to_owned());
        archive.file(&format!("{dir}/extra/ant.ko"), 0o644, &ant);
    }
    let dependencies = modules::dependencies(&modules, &extra);
    archive.file(&format!("{dir}/modules.dep"), 0o644, dependencies.as_bytes());
    Ok(())
}

/// What `./ant build` made; what is not there yet is left out.
fn product(archive: &mut Archive) -> io::Result<()> {
    let linux = paths::linux_programs();
    let programs = [
        ("ant-agent", "/usr/sbin"),
        ("antd", "/usr/sbin"),
        ("antctl", "/usr/bin"),
        ("ant-bench", "/usr/bin"),
    ];
    for (program, to) in programs {
        if let Ok(content) = fs::read(linux.join(program)) {
            archive.file(&format!("{to}/{program}"), 0o755, &content);
        }
    }
    let bare = paths::bare_programs();
    let files = ["ant-kernel", "ant-init"].map(|name| bare.join(name));
    for path in files.into_iter().chain([paths::manifest()]) {
        if let Ok(content) = fs::read(&path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("/usr/lib/ant/{name}"), 0o644, &content);
        }
    }
    for kind in ["apps", "servers"] {
        for path in sorted_files(&bare.join(kind))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("/usr/lib/ant/{kind}/{name}"), 0o755, &fs::read(&path)?);
        }
    }
    Ok(())
}

/// Real text files, as every Debian has them.
fn texts() -> io::Result<Vec<(String, Vec<u8>)>> {
    let files = sorted_files(Path::new("/usr/share/common-licenses"))?;
    files.iter().map(|path| Ok((path.to_string_lossy().into_owned(), fs::read(path)?))).collect()
}

fn sorted_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.retain(|path| !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')));
    files.sort();
    Ok(files)
}

/// Removes all but the newest few images.
fn remove_old(dir: &Path) {
    const KEEP: usize = 12;
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut images: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    images.sort();
    for (_, path) in images.iter().rev().skip(KEEP) {
        fs::remove_file(path).ok();
    }
}

/// FNV-1a, 64 bits: to tell contents apart, not to protect them.
fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3)
    })
}
