//! Reaching `antd`, and starting it if it does not run.

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use antd::protocol::{Connection, DAEMON_LOG, MessageError, RUN_DIR, Reply, Request, SOCKET};
use nix::errno::Errno;

/// How long `antd` may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const START_STEP: Duration = Duration::from_millis(10);
/// How long a daemon that hung up may take to be gone.
const DYING: Duration = Duration::from_millis(500);

/// `antd` was not reached, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It does not run.
    #[error(
        "AnT is not running (and antd is not either): `antctl boot --cpus LIST --memory SIZE` \
         first (for example --cpus 1-3 --memory 256M)"
    )]
    NoDaemon,
    /// The socket cannot be used.
    #[error("cannot connect to antd at {SOCKET}: {0}")]
    Socket(Errno),
    /// It died.
    #[error(
        "antd died; AnT and its programs ended with it, and its CPUs went back to Linux; \
         {DAEMON_LOG} or `journalctl -u antd` may say why"
    )]
    Died,
    /// It answered nonsense.
    #[error(transparent)]
    Message(MessageError),
    /// It could not be started.
    #[error("antd could not be started: {0}")]
    Start(String),
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Daemon(Connection);

impl Daemon {
    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn send(&self, request: &Request) -> Result<(), ConnectError> {
        self.send_with(request, &[])
    }

    /// Sends a request with descriptors.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn send_with(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ConnectError> {
        match self.0.send(request, descriptors) {
            // It may have said why before it hung up.
            Err(MessageError::Closed) => Ok(()),
            result => result.map_err(ConnectError::Message),
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn receive(&self) -> Result<Reply, ConnectError> {
        self.0.receive().map_err(|error| match error {
            MessageError::Closed => ConnectError::Died,
            error => ConnectError::Message(error),
        })
    }

    /// One request, one reply.
    ///
    /// # Errors
    ///
    /// The daemon died.
    pub fn ask(&self, request: &Request) -> Result<Reply, ConnectError> {
        self.send(request)?;
        self.receive()
    }
}

impl AsFd for Daemon {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Connects to the daemon.
///
/// # Errors
///
/// It does not run, or its socket cannot be used.
pub fn connect() -> Result<Daemon, ConnectError> {
    match Connection::open(Path::new(SOCKET)) {
        Ok(connection) => Ok(Daemon(connection)),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Err(ConnectError::NoDaemon),
        Err(errno) => Err(ConnectError::Socket(errno)),
    }
}

/// One request to the daemon, one reply. It is started first if it does not run; only root can.
///
/// # Errors
///
/// It could not be started, or died.
pub fn start_and_ask(request: &Request) -> Result<Reply, ConnectError> {
    match connect().and_then(|daemon| daemon.ask(request)) {
        // It was dying when it was found: another one can start when it is gone.
        Err(ConnectError::Died) => std::thread::sleep(DYING),
        Err(ConnectError::NoDaemon) => {}
        result => return result,
    }
    start()?.ask(request)
}

/// Connects to the daemon; starts it first if it does not run. Only root can.
///
/// # Errors
///
/// It could not be started.
fn start() -> Result<Daemon, ConnectError> {
    match connect() {
        Err(ConnectError::NoDaemon) => {}
        result => return result,
    }
    let mut child = if started_by_systemd() { None } else { Some(spawn()?) };
    let limit = Instant::now() + START_LIMIT;
    loop {
        match connect() {
            Err(ConnectError::NoDaemon) => {}
            result => return result,
        }
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            // Another may have been started at the same moment.
            return connect().map_err(|_| {
                ConnectError::Start(format!("it ended with {status}: {}", last_words()))
            });
        }
        if Instant::now() >= limit {
            return Err(ConnectError::Start(format!(
                "it does not serve {SOCKET} after {} s; {DAEMON_LOG} may say why",
                START_LIMIT.as_secs()
            )));
        }
        std::thread::sleep(START_STEP);
    }
}

/// Where systemd runs and knows the daemon, the daemon is systemd's to start.
fn started_by_systemd() -> bool {
    let systemctl = |arguments: &[&str]| {
        Command::new("systemctl")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    Path::new("/run/systemd/system").exists()
        && systemctl(&["cat", "antd.service"])
        && systemctl(&["start", "antd.service"])
}

fn spawn() -> Result<Child, ConnectError> {
    let failed = |what: String| move |error| ConnectError::Start(format!("{what}: {error}"));
    fs::create_dir_all(RUN_DIR).map_err(failed(format!("making {RUN_DIR}")))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(DAEMON_LOG)
        .map_err(failed(format!("opening {DAEMON_LOG}")))?;
    let also = log.try_clone().map_err(failed("the log".into()))?;
    let program = daemon_program();
    Command::new(&program)
        .arg("--detach")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        .spawn()
        .map_err(failed(format!("running {}", program.display())))
}

/// Beside this program, or where it is installed.
fn daemon_program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("antd"));
    let installed = ["/usr/sbin/antd", "/usr/local/sbin/antd"].map(PathBuf::from);
    let found = beside.into_iter().chain(installed).find(|path| path.is_file());
    found.unwrap_or_else(|| "antd".into())
}

/// The last line of the daemon's log.
fn last_words() -> String {
    let text = fs::read_to_string(DAEMON_LOG).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().into()
}
