//! Starting `antd` if it does not run.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ant_protocol::{ConnectError, Connection, DAEMON_LOG, RUN_DIR, Reply, Request, SOCKET};

/// How long `antd` may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const START_STEP: Duration = Duration::from_millis(10);
/// How long a daemon that closed its connections may take to exit.
const EXIT_WAIT: Duration = Duration::from_millis(500);

/// `antd` could not be started, or was not reached then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It could not be started.
    #[error("antd could not be started: {0}")]
    Start(String),
    /// It was not reached, or did not reply.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// One request to the daemon, one reply. It is started first if it does not run; only root can.
///
/// # Errors
///
/// It could not be started, or died.
pub fn start_and_ask(request: &Request) -> Result<Reply, StartError> {
    match Connection::open().and_then(|daemon| daemon.ask(request)) {
        // It was dying when it was found: another one can start when it is gone.
        Err(ConnectError::Died) => std::thread::sleep(EXIT_WAIT),
        Err(ConnectError::NoDaemon) => {}
        result => return Ok(result?),
    }
    Ok(start()?.ask(request)?)
}

/// Connects to the daemon; starts it first if it does not run. Only root can.
///
/// # Errors
///
/// It could not be started.
fn start() -> Result<Connection, StartError> {
    match Connection::open() {
        Err(ConnectError::NoDaemon) => {}
        result => return Ok(result?),
    }
    let mut child = if started_by_systemd() { None } else { Some(spawn()?) };
    let limit = Instant::now() + START_LIMIT;
    loop {
        match Connection::open() {
            Err(ConnectError::NoDaemon) => {}
            result => return Ok(result?),
        }
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            // Another may have been started at the same moment.
            return Connection::open().map_err(|_| {
                StartError::Start(format!("it ended with {status}: {}", last_log_line()))
            });
        }
        if Instant::now() >= limit {
            return Err(StartError::Start(format!(
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

fn spawn() -> Result<Child, StartError> {
    let failed = |what: String| move |error| StartError::Start(format!("{what}: {error}"));
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
fn last_log_line() -> String {
    let text = fs::read_to_string(DAEMON_LOG).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("its log is empty").trim().into()
}
