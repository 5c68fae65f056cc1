//! A command to start: program, arguments, user, directory, terminal.

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl TermSize {
    /// As text: `24x80`.
    pub fn encode(self) -> String {
        format!("{}x{}", self.rows, self.columns)
    }

    /// From [`Self::encode`]'s text.
    pub fn decode(text: &str) -> Option<Self> {
        let (rows, columns) = text.split_once('x')?;
        Some(Self { rows: rows.parse().ok()?, columns: columns.parse().ok()? })
    }
}

/// A command to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Program, looked up in PATH, and its arguments.
    pub argv: Vec<String>,
    /// Name of the user who runs it.
    pub user: String,
    /// Working directory; empty: the user's home.
    pub dir: String,
    /// Give it a terminal of this size; without, it has three pipes.
    pub terminal: Option<TermSize>,
}

impl Start {
    /// As bytes: its strings, each ended by a zero byte.
    pub fn encode(&self) -> Vec<u8> {
        let terminal = self.terminal.map(TermSize::encode).unwrap_or_default();
        let mut bytes = Vec::new();
        for text in [&self.user, &self.dir, &terminal].into_iter().chain(&self.argv) {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// From [`Self::encode`]'s bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\0')?;
        let mut parts = text.split('\0').map(str::to_owned);
        let user = parts.next()?;
        let dir = parts.next()?;
        let terminal = match parts.next()?.as_str() {
            "" => None,
            size => Some(TermSize::decode(size)?),
        };
        let argv: Vec<String> = parts.collect();
        (!argv.is_empty()).then_some(Self { argv, user, dir, terminal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut start = Start {
            argv: vec!["sh".into(), "-c".into(), "echo 'a b'\n".into(), String::new()],
            user: "root".into(),
            ..Start::default()
        };
        assert_eq!(Start::decode(&start.encode()), Some(start.clone()));
        start.terminal = Some(TermSize { rows: 24, columns: 80 });
        assert_eq!(Start::decode(&start.encode()), Some(start));
    }

    #[test]
    fn nothing_to_run_is_refused() {
        assert_eq!(Start::decode(b""), None);
        assert_eq!(Start::decode(b"root\0\0\0"), None);
    }
}
