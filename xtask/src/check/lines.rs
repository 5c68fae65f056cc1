//! No line is longer than a window is wide.

use super::{nothing_is_wrong, sources};
use anyhow::{Context, Result};

/// Characters of the longest line; a tab is one.
const LONGEST: usize = 120;
/// How the names of the files end that are read. Licences and Cargo.lock are others' texts.
const ENDINGS: &[&str] = &[".md", ".rs", ".c", ".h", ".S", ".ld", ".toml", ".sh"];

/// Fails with every line that is too long.
pub fn check() -> Result<()> {
    let sources = sources::all(ENDINGS)?;
    let wrong: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            too_long(&source.text)
                .map(|(line, length)| format!("{}:{line}: {length} characters", source.path))
        })
        .collect();
    nothing_is_wrong(&wrong).with_context(|| format!("at most {LONGEST}"))
}

/// Numbers and lengths of the lines that are too long.
fn too_long(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let lengths = text.lines().map(|line| line.chars().count());
    (1..).zip(lengths).filter(|&(_, length)| length > LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_measured_in_characters() {
        let fits = "µ".repeat(LONGEST);
        let text = format!("{fits}\n\n{fits}x\n{fits}\n");
        assert_eq!(too_long(&text).collect::<Vec<_>>(), [(3, LONGEST + 1)]);
    }
}
