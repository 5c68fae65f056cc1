//! AnT's own benchmark programs, started by `antctl run`.

use std::process::Command;

use anyhow::{Context, Result};

/// A command that runs `antctl`, which is installed beside this program.
pub fn antctl() -> Result<Command> {
    let own = std::env::current_exe().context("cannot find ant-bench itself")?;
    Ok(Command::new(own.with_file_name("antctl")))
}

/// Why `antctl run` failed, from what it printed: without its name, which the message gets anyway.
pub fn why(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim_end();
    text.strip_prefix("antctl: ").unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::why;

    #[test]
    fn the_name_of_antctl_is_dropped() {
        assert_eq!(why(b"antctl: AnT is not running\n"), "AnT is not running");
        assert_eq!(why(b"bench-null: no\n"), "bench-null: no");
    }
}
