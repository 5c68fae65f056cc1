//! Debian's packages: what is missing, and how to get it without asking anything.

use crate::step;
use ant_vm::kernels;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A machine with Debian's package manager.
pub struct Apt {
    /// `bookworm`, `trixie`.
    release: String,
    /// The machine runs a kernel that is installed here, and may boot another: it needs an initrd.
    boots_kernels: bool,
}

impl Apt {
    /// `None` where there is no dpkg.
    pub fn detect() -> Option<Self> {
        let os = fs::read_to_string("/etc/os-release").ok()?;
        let release = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
        let running = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Path::new("/usr/bin/dpkg-query").exists().then(|| Self {
            release: release.trim_matches('"').to_owned(),
            boots_kernels: kernels::image(running.trim()).is_ok(),
        })
    }

    /// Those of `packages` that are not installed.
    pub fn missing<S: AsRef<str>>(&self, packages: &[S]) -> Vec<String> {
        let output = Command::new("dpkg-query")
            .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
            .args(packages.iter().map(AsRef::as_ref))
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let is_installed =
            |name: &str| text.lines().any(|line| line == format!("{name} installed"));
        let names = packages.iter().map(|name| name.as_ref().to_owned());
        names.filter(|name| !is_installed(name)).collect()
    }

    /// Versions of the kernels that can be installed with their headers, by the lists as they are.
    pub fn kernels(&self) -> Vec<String> {
        let output = Command::new("apt-cache").args(["pkgnames", "linux-"]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        kernels_among(&text.unwrap_or_default())
    }

    /// Fetches the lists; with `backports`, those of the release's backports as well.
    pub fn update(&self, backports: bool) -> Result<()> {
        if backports && self.release == "bookworm" && !self.has_backports() {
            self.add_backports()?;
        }
        as_root("apt-get", &["update", "-q"], None)
    }

    /// Installs `packages`.
    pub fn install<S: AsRef<str>>(&self, packages: &[S]) -> Result<()> {
        self.apt_get_install(&[], packages)
    }

    /// Installs `packages` from the backports, where the release itself has them too old.
    pub fn install_newest<S: AsRef<str>>(&self, packages: &[S]) -> Result<()> {
        if self.release != "bookworm" {
            return self.install(packages);
        }
        self.apt_get_install(&["-t", "bookworm-backports"], packages)
    }

    fn apt_get_install<S: AsRef<str>>(&self, options: &[&str], packages: &[S]) -> Result<()> {
        // Nothing that is there is removed for it, rather it fails.
        let mut args = vec!["install", "-qy", "--no-install-recommends", "--no-remove"];
        args.extend(["-o", "DPkg::Lock::Timeout=300"]);
        args.extend(options);
        args.extend(packages.iter().map(AsRef::as_ref));
        if self.boots_kernels {
            return as_root("apt-get", &args, None);
        }
        // An initrd takes long to make, and the guests have their own.
        as_root("env", &[&["INITRD=No", "apt-get"], &args[..]].concat(), None)
    }

    fn sources(&self) -> String {
        let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
            let extension = entry.path().extension().map(|e| e.to_string_lossy().into_owned());
            if extension.is_some_and(|e| e == "list" || e == "sources") {
                text += &fs::read_to_string(entry.path()).unwrap_or_default();
                text.push('\n');
            }
        }
        text
    }

    fn has_backports(&self) -> bool {
        let name = format!("{}-backports", self.release);
        let active = |line: &&str| !line.trim_start().starts_with('#');
        self.sources().lines().filter(active).any(|line| line.contains(&name))
    }

    fn add_backports(&self) -> Result<()> {
        // The mirror that is in use already is the one that can be reached.
        let sources = self.sources();
        let is_debian = |word: &&str| {
            word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian")
        };
        let mirror = sources.split_whitespace().find(is_debian).with_context(|| {
            format!("no mirror of Debian among apt's sources: add {}-backports there", self.release)
        })?;
        let text = format!(
            "Types: deb\nURIs: {mirror}\nSuites: {}-backports\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
            self.release
        );
        let path = format!("/etc/apt/sources.list.d/{}-backports.sources", self.release);
        as_root("tee", &[&path], Some(&text))
    }
}

/// Versions of which there are an image and headers among the names of packages, one a line. Older images stay
/// longer than their headers do, and newer headers come before their image.
fn kernels_among(packages: &str) -> Vec<String> {
    let packages: BTreeSet<&str> = packages.lines().collect();
    let images = packages.iter().filter_map(|name| name.strip_prefix("linux-image-"));
    images
        .filter(|version| kernels::series(version).is_some())
        .filter(|version| packages.contains(format!("linux-headers-{version}").as_str()))
        .map(str::to_owned)
        .collect()
}

/// Runs `program` as root, quietly; what it printed is shown when it fails.
fn as_root(program: &str, args: &[&str], input: Option<&str>) -> Result<()> {
    let is_root = fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let mut command = if is_root {
        Command::new(program)
    } else if Path::new("/usr/bin/sudo").exists() {
        let mut command = Command::new("sudo");
        command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
        command
    } else {
        bail!("neither root nor sudo: as root, run `{program} {}`", args.join(" "));
    };
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        std::io::Write::write_all(&mut stdin, text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        step::say(&String::from_utf8_lossy(&output.stdout));
        step::say(&String::from_utf8_lossy(&output.stderr));
        bail!("{program} {}: {}", args.join(" "), output.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_an_image_and_headers() {
        let packages = "linux-image-6.12.90+deb12-amd64\nlinux-headers-6.12.95+deb12-rt-amd64\n\
                        linux-image-6.12-rt-amd64\nlinux-headers-6.12-rt-amd64\n\
                        linux-image-6.12.95+deb12-rt-amd64\nlinux-image-6.12.95+deb12-rt-amd64-dbg\n\
                        linux-headers-6.1.0-57-amd64\nlinux-image-6.1.0-57-amd64-unsigned\n";
        assert_eq!(kernels_among(packages), ["6.12.95+deb12-rt-amd64"]);
    }
}
