//! The daemon's program: arguments, lock, socket, log.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use antd::daemon::Daemon;
use antd::protocol::{RUN_DIR, SOCKET};
use anyhow::{Context, bail};
use clap::Parser;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, setsid};

/// The daemon of AnT/Linux: it owns the partition, makes the proxies and serves antctl.
///
/// It is started by `antctl boot` when it is needed, or by systemd. Its socket is
/// /run/ant/antd.sock. When it ends, for whatever reason, AnT ends and its CPUs and memory go back
/// to Linux.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Leave the session of whoever starts it.
    #[arg(long)]
    detach: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !Uid::effective().is_root() {
        bail!("antd must run as root: `sudo antctl boot …` starts it");
    }
    if arguments.detach {
        // Fails for the leader of a process group, who has left then.
        let _ = setsid();
        std::env::set_current_dir("/").context("entering /")?;
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    umask(Mode::from_bits_truncate(0o022));
    fs::create_dir_all(RUN_DIR).with_context(|| format!("making {RUN_DIR}"))?;
    let _lock = lock(Path::new(RUN_DIR).join("antd.pid").as_path())?;
    let listener = open_socket(Path::new(SOCKET))?;
    let mut daemon = Daemon::new(Box::new(ant_dev::device::AntDevice::default()), listener)
        .context("starting")?;
    tell_systemd("READY=1");
    tracing::info!("antd {} serves {SOCKET}", env!("CARGO_PKG_VERSION"));
    let result = daemon.run().context("waiting for events");
    let _ = fs::remove_file(SOCKET);
    tracing::info!("antd ends");
    result
}

/// Makes sure that there is one daemon only. The lock goes with the process.
fn lock(path: &Path) -> anyhow::Result<Flock<File>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))?;
    let mut pid = String::new();
    file.read_to_string(&mut pid).with_context(|| format!("reading {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut locked) => {
            locked.set_len(0)?;
            std::io::Seek::rewind(&mut *locked)?;
            writeln!(locked, "{}", std::process::id())?;
            Ok(locked)
        }
        Err(_) => bail!("antd runs already (pid {})", pid.trim()),
    }
}

/// The listening socket: anyone may connect, who they are decides what they may do.
fn open_socket(path: &Path) -> anyhow::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the old {}", path.display()));
        }
        // Nobody serves it: we have the lock.
        _ => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)
        .with_context(|| format!("binding {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o666))
        .with_context(|| format!("opening {} to everyone", path.display()))?;
    listen(&socket, Backlog::new(128)?)?;
    Ok(socket)
}

/// Tells systemd how far we are, if it wants to know.
fn tell_systemd(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Ok(socket) = UnixDatagram::unbound()
        && let Err(error) = socket.send_to(state.as_bytes(), &path)
    {
        tracing::warn!("systemd was not told: {error}");
    }
}
