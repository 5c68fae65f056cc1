//! Sentences for what several operations can meet: CPUs that do not respond, error numbers of `init`.

use std::io;

use ant_abi::Error;
use ant_abi::ipc::PRIORITIES;

use crate::timeouts::ANSWER_TIMEOUT;

/// A CPU does not respond, and what to do.
#[must_use]
pub fn cpu_does_not_answer(cpu: u32) -> String {
    format!("AnT does not answer (CPU {cpu}); `antctl stop` brings the CPUs back")
}

/// A CPU hangs, and what to do.
#[must_use]
pub fn cpu_hangs(cpu: u32) -> String {
    let timeout = ANSWER_TIMEOUT.as_secs();
    format!(
        "CPU {cpu} hangs in AnT's kernel (for {timeout} s or more); `antctl stop` brings the CPUs \
         back"
    )
}

/// What `init`'s error number means for a request about processes.
#[must_use]
pub fn process_error(result: i32) -> String {
    match Error::from_return(i64::from(result)) {
        Some(Error::NoMemory) => "AnT has no memory or no place for another process".into(),
        Some(Error::NoDevice) => "AnT has no such CPU".into(),
        Some(Error::NoProcess) => "AnT has no such process: `antctl ps` lists them".into(),
        Some(Error::NotPermitted) => "AnT does not allow that".into(),
        Some(Error::TooLong) => "program and arguments are too long".into(),
        _ => format!("AnT's init refused: {}", os_error(result)),
    }
}

/// What `init`'s error number means for the start of a server.
#[must_use]
pub fn server_error(result: i32) -> String {
    match Error::from_return(i64::from(result)) {
        Some(Error::NotExecutable) => "its program is none for AnT".into(),
        Some(Error::TooLong) => "its program is too large".into(),
        Some(Error::NoMemory) => "AnT has no memory or no place for it".into(),
        Some(Error::TimedOut) => "the new one did not begin to serve in time".into(),
        Some(Error::NoProcess | Error::PeerGone) => "the new one ended before it served".into(),
        Some(Error::PeerRestarted) => "the old one has ended meanwhile".into(),
        Some(Error::NotPermitted) => "AnT does not allow that".into(),
        Some(Error::Busy) => "it is being started or replaced already: try again".into(),
        _ => format!("init reports: {}; `antctl log` may say why", os_error(result)),
    }
}

/// A server keeps its program.
#[must_use]
pub fn not_replaced(server: &str, why: &str) -> String {
    format!("{server} was not replaced, it keeps its program: {why}")
}

/// There is no such priority.
#[must_use]
pub fn no_priority(priority: u32) -> String {
    format!("there is no priority {priority}: 0 (the lowest) to {}", PRIORITIES - 1)
}

/// AnT has no such server, and which it has.
#[must_use]
pub fn no_server(name: &str, servers: &[String]) -> String {
    match servers {
        [] => format!("AnT has no server {name}: it has none"),
        names => format!("AnT has no server {name}: it has {}", names.join(", ")),
    }
}

/// A negated error number that AnT made: it may be any number.
fn os_error(result: i32) -> io::Error {
    io::Error::from_raw_os_error(result.wrapping_neg())
}
