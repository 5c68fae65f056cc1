//! The daemon's program: arguments, lock, socket, log.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use ant_protocol::{RUN_DIR, SOCKET};
use antd::daemon::Daemon;
use anyhow::{Context, bail};
use clap::Parser;
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::{geteuid, setsid, umask};

/// The daemon of AnT/Linux: it owns the partition, makes the proxies and serves antctl.
///
/// It is started by `antctl boot` when it is needed, or by systemd. Its socket is
/// /run/ant/antd.sock. When it ends, for whatever reason, AnT ends and its CPUs and memory go back
/// to Linux.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Leave the session that it is started in.
    #[arg(long)]
    detach: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !geteuid().is_root() {
        bail!("antd must run as root: `sudo antctl boot …` starts it");
    }
    if arguments.detach {
        // Fails for the leader of a process group, which has left then.
        let _ = setsid();
        std::env::set_current_dir("/").context("entering /")?;
    }
    // A line that cannot be written is dropped, also without a complaint: standard error may be on a
    // full disk.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
    umask(Mode::from_raw_mode(0o022));
    fs::create_dir_all(RUN_DIR).with_context(|| format!("making {RUN_DIR}"))?;
    let _lock = lock(Path::new(RUN_DIR).join("antd.pid").as_path())?;
    let listener = open_socket(Path::new(SOCKET))?;
    let mut daemon = Daemon::new(Box::new(ant_dev::device::AntDevice::default()), listener)
        .context("starting")?;
    notify_systemd("READY=1");
    tracing::info!("antd {} serves {SOCKET}", env!("CARGO_PKG_VERSION"));
    let result = daemon.run().context("waiting for events");
    let _ = fs::remove_file(SOCKET);
    tracing::info!("antd ends");
    result
}

/// Makes sure that there is one daemon only. The lock goes with the process. Only root may open the file,
/// for a process that has it open may lock it, too.
fn lock(path: &Path) -> anyhow::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut pid = String::new();
    file.read_to_string(&mut pid).with_context(|| format!("reading {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("antd runs already (pid {})", pid.trim());
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// The listening socket. Every user may connect; the peer's credentials decide what it may do.
fn open_socket(path: &Path) -> anyhow::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the old {}", path.display()));
        }
        // No daemon serves it: this one has the lock.
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)
        .with_context(|| format!("binding {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o666))
        .with_context(|| format!("opening {} to everyone", path.display()))?;
    listen(&socket, 128)?;
    Ok(socket)
}

/// Reports the daemon's state to systemd, if that has started it.
fn notify_systemd(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Ok(socket) = UnixDatagram::unbound()
        && let Err(error) = socket.send_to(state.as_bytes(), &path)
    {
        tracing::warn!("systemd was not notified: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_roots_alone_also_if_its_file_was_not() {
        let path = std::env::temp_dir().join(format!("antd-{}.pid", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let file = lock(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
    }
}
