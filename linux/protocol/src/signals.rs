//! Linux's signals by number and by name.

/// Names of the signals from 1 on.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Name of a signal: "SIGTERM", or "signal 40" for one without a name.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let index = usize::try_from(signal).ok().and_then(|number| number.checked_sub(1));
    match index.and_then(|index| NAMES.get(index)) {
        Some(name) => (*name).into(),
        None => format!("signal {signal}"),
    }
}

/// Number of a signal from its number or its name, with or without SIG, in any case.
#[must_use]
pub fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let upper = text.to_ascii_uppercase();
    let wanted = upper.strip_prefix("SIG").unwrap_or(&upper);
    let index = NAMES.iter().position(|name| name.strip_prefix("SIG") == Some(wanted))?;
    Some(index as i32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree_with_linux() {
        use rustix::process::Signal;
        for signal in [Signal::HUP, Signal::KILL, Signal::STKFLT, Signal::XFSZ, Signal::SYS] {
            let name = signal_name(signal.as_raw());
            assert_eq!(parse_signal(&name), Some(signal.as_raw()), "{name}");
        }
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!((signal_name(0), signal_name(40)), ("signal 0".into(), "signal 40".into()));
    }

    #[test]
    fn signals_as_people_write_them() {
        for text in ["15", "TERM", "term", "SIGTERM"] {
            assert_eq!(parse_signal(text), Some(15), "{text}");
        }
        assert_eq!(parse_signal("NONSENSE"), None);
    }
}
