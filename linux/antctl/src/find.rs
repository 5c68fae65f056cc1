//! Finding a program's file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ant_protocol::APPS_DIR;
use rustix::fs::{Access, access};

/// A program that cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error("{0}: no such program")]
    NotFound(String),
    /// It is there, but.
    #[error("{0}: {1}")]
    NotExecutable(String, &'static str),
}

/// Absolute path of `program`: itself if it has a slash, else from AnT's directory or from `path`
/// (as the variable PATH).
///
/// # Errors
///
/// There is none, or it cannot be run.
pub fn find(program: &OsStr, path: &OsStr) -> Result<PathBuf, FindError> {
    find_in(program, Path::new(APPS_DIR), path)
}

fn find_in(program: &OsStr, apps: &Path, path: &OsStr) -> Result<PathBuf, FindError> {
    let name = program.to_string_lossy().into_owned();
    if program.is_empty() {
        return Err(FindError::NotFound("(empty name)".into()));
    }
    if program.as_bytes().contains(&b'/') {
        let absolute = std::path::absolute(program)
            .map_err(|_| FindError::NotExecutable(name.clone(), "no current directory"))?;
        return check(&absolute, &name).map(|()| absolute);
    }
    let mut obstacle = FindError::NotFound(name.clone());
    for directory in std::iter::once(apps.to_owned()).chain(std::env::split_paths(path)) {
        // An empty entry of PATH is the current directory.
        let Ok(candidate) = std::path::absolute(Path::new(".").join(directory).join(program))
        else {
            continue;
        };
        match check(&candidate, &candidate.to_string_lossy()) {
            Ok(()) => return Ok(candidate),
            Err(error @ FindError::NotExecutable(..)) => obstacle = error,
            Err(FindError::NotFound(_)) => {}
        }
    }
    Err(obstacle)
}

fn check(path: &Path, name: &str) -> Result<(), FindError> {
    let not = |why| Err(FindError::NotExecutable(name.into(), why));
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            not("permission denied")
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidFilename => {
            not("its path is too long for Linux")
        }
        Err(_) => Err(FindError::NotFound(name.into())),
        Ok(metadata) if metadata.is_dir() => not("it is a directory"),
        // Opening a pipe would wait for a writer.
        Ok(metadata) if !metadata.is_file() => not("it is no regular file"),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => not("it is not executable"),
        Ok(_) if access(path, Access::READ_OK).is_err() => {
            not("it is not readable, and AnT reads programs as you")
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn put(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn ants_own_programs_come_first_then_path() {
        let root = std::env::temp_dir().join(format!("antctl-find-{}", std::process::id()));
        let (apps, bin) = (root.join("apps"), root.join("bin"));
        put(&apps.join("wc"), 0o755);
        put(&bin.join("wc"), 0o755);
        put(&bin.join("other"), 0o755);
        put(&bin.join("data"), 0o644);
        let find = |name: &str| find_in(OsStr::new(name), &apps, bin.as_os_str());
        assert_eq!(find("wc"), Ok(apps.join("wc")));
        assert_eq!(find("other"), Ok(bin.join("other")));
        assert_eq!(find("nothing"), Err(FindError::NotFound("nothing".into())));
        assert!(matches!(find("data"), Err(FindError::NotExecutable(..))));
        assert!(matches!(find("/"), Err(FindError::NotExecutable(..))));
        assert!(matches!(find("./no/such"), Err(FindError::NotFound(..))));
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o755), 0).unwrap();
        let fifo = find(root.join("fifo").to_str().unwrap()).unwrap_err();
        assert!(fifo.to_string().ends_with("it is no regular file"), "{fifo}");
        let deep = find(&format!("/{}", "deep/".repeat(1000))).unwrap_err();
        assert!(deep.to_string().ends_with("too long for Linux"), "{deep}");
        let exact = bin.join("wc");
        assert_eq!(find(exact.to_str().unwrap()), Ok(exact));
        fs::remove_dir_all(root).unwrap();
    }
}
