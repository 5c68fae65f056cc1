//! Text from sources that are not trusted.

/// Longest text.
pub const TEXT_MAX: usize = 1024;

/// Text of bounded length, without control characters.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(TEXT_MAX)];
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\0', '\n'])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(printable(b"a\x1b[31mb\n\0"), "a [31mb");
        assert_eq!(printable(&[b'x'; 5000]).len(), TEXT_MAX);
    }
}
