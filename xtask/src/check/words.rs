//! One concept, one word: comments and documents use those of docs/glossary.md.
//!
//! No pronoun of persons stands for code, and no metaphor or private word for what the field has a term
//! for.
//!
//! Comments and Markdown are read; code, strings, text between backticks and quoted output (blocks of
//! three backticks) are not. "The user who …" is said of a person, and right.

use super::nothing_is_wrong;
use super::sources::{self, Source};
use anyhow::Result;

/// How the names of the files end that are read.
const ENDINGS: &[&str] = &[".rs", ".c", ".h", ".md"];

/// What is not said, and what is said instead.
const INSTEAD: &[(&str, &str)] = &[
    ("who whom whose whoever", "the noun: the process, the CPU, the caller"),
    ("nobody somebody someone anybody anyone everybody everyone", "the noun: no process, each CPU"),
    ("ap-process ap-processes", "process, program"),
    ("core cores", "CPU"),
    ("station stations", "the CPU's IPC state"),
    ("short-way", "fast path"),
    ("long-way", "slow path"),
    ("bury buries buried", "reap"),
    ("husk", "zombie"),
    ("obey obeys obeyed", "handle, carry out"),
    ("stirred", "pending"),
    ("relief", "message budget"),
    ("befell befallen", "the cause"),
    ("tenant tenants", "owner"),
    ("astray", "to an invalid address"),
    ("disappoint disappoints disappointed", "fail, answer with an error"),
    ("strand strands stranded", "fail"),
    ("parcel parcels", "pages of a message"),
    ("fuse fuses", "fault injection"),
    ("withdraw withdraws withdrawn withdrawal", "cancel"),
];

/// Pronouns that are right when they follow one of `PERSONS`.
const OF_PERSONS: &[&str] = &["who", "whom", "whose"];
const PERSONS: &[&str] = &["user", "users", "person", "people"];

/// Fails with every such word.
pub fn check() -> Result<()> {
    let wrong: Vec<String> = sources::all(ENDINGS)?.iter().flat_map(violations).collect();
    nothing_is_wrong(&wrong)
}

/// What is wrong in a file: each such word, where it is, and what is said instead.
fn violations(source: &Source) -> Vec<String> {
    let path = &source.path;
    let found = found(source).into_iter();
    found
        .map(|(line, word)| {
            format!("{path}:{line}: {word}: say {}", instead(&word).unwrap_or("otherwise"))
        })
        .collect()
}

/// Lines and words of a file that are not said.
fn found(Source { path, text }: &Source) -> Vec<(usize, String)> {
    let prose = if path.ends_with(".md") { text.clone() } else { comments(text) };
    unwanted(&without_quotes(&prose))
}

/// What is said instead of a word; `None` for a word that is right.
fn instead(word: &str) -> Option<&'static str> {
    let is_it = |words: &str| words.split(' ').any(|unwanted| unwanted == word);
    INSTEAD.iter().find(|(words, _)| is_it(words)).map(|&(_, instead)| instead)
}

/// Lines and words of `prose` that are not said. A pair of words is joined by `-`.
fn unwanted(prose: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut line, mut end, mut before) = (1, 0, String::new());
    for (start, word) in words(prose) {
        let gap = &prose[end..start];
        line += gap.matches('\n').count();
        end = start + word.len();
        // Not separated by punctuation: what marks a comment does not count.
        let adjoins = gap.chars().all(|c| c.is_whitespace() || "/!*".contains(c));
        let lower = word.to_lowercase();
        let pair = format!("{before}-{lower}");
        let of_person = PERSONS.contains(&before.as_str()) && OF_PERSONS.contains(&word);
        if adjoins && instead(&pair).is_some() {
            found.push((line, pair));
        } else if instead(&lower).is_some() && !(adjoins && of_person) && !gap.ends_with('-') {
            found.push((line, lower.clone()));
        }
        before = lower;
    }
    found
}

/// The words of a text, with where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_of_word(c))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

/// The comments of Rust or C, on their lines; code and strings are left out.
fn comments(code: &str) -> String {
    let mut comments = String::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (length, is_comment) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), true),
            '/' if rest.starts_with("/*") => {
                (rest.find("*/").map_or(rest.len(), |at| at + 2), true)
            }
            'r' if raw_string(rest).is_some() => (raw_string(rest).unwrap_or(1), false),
            '"' => (quoted(rest, '"'), false),
            '\'' if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') => {
                (quoted(rest, '\''), false)
            }
            _ => (first.len_utf8(), false),
        };
        let (part, after) = rest.split_at(length);
        if is_comment {
            comments.push_str(part);
        } else {
            comments.extend(part.matches('\n'));
        }
        rest = after;
    }
    comments
}

/// Length of the quoted text that `rest` begins with.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = true;
    for (at, c) in rest.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = at == 0 && c != quote || c == '\\' && !escaped;
    }
    rest.len()
}

/// Length of the raw string that `rest` begins with.
fn raw_string(rest: &str) -> Option<usize> {
    let marks = rest[1..].find(|c| c != '#')?;
    let inside = rest[1 + marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(inside.find(&end).map_or(rest.len(), |at| 2 + marks + at + end.len()))
}

/// Prose without blocks of quoted output and without what stands between backticks.
fn without_quotes(prose: &str) -> String {
    let (mut kept, mut in_block, mut in_code) = (String::new(), false, false);
    for line in prose.lines() {
        let inside = line.trim_start_matches(['/', '!', '*', ' ', '\t']);
        if inside.starts_with("```") {
            in_block = !in_block;
        } else if inside.is_empty() {
            in_code = false;
        } else if !in_block {
            for (index, part) in line.split('`').enumerate() {
                in_code ^= index > 0;
                kept.push_str(if in_code { "." } else { part });
            }
        }
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(path: &str, text: &str) -> Vec<(usize, String)> {
        found(&Source { path: path.into(), text: text.into() })
    }

    fn in_markdown(text: &str) -> Vec<String> {
        lines_of("x.md", text).into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn comments_are_read_and_code_is_not() {
        let rust = "//! Who\nlet who = \"// who\"; // whom\nlet c = '\"'; /* whose\nwho */\n\
                    r#\"// \" who\"#; '\\''; \"\\\\\"; &'a who; // nobody\n";
        let words = lines_of("x.rs", rust);
        let expected = [(1, "who"), (2, "whom"), (3, "whose"), (4, "who"), (5, "nobody")];
        assert_eq!(words, expected.map(|(line, word)| (line, word.to_owned())));
    }

    #[test]
    fn quoted_output_and_code_in_prose_are_not_read() {
        let text = "core\n```\nwho\n```\n`who\nwho` whom, `whose\n\nwhoever\n";
        assert_eq!(in_markdown(text), ["core", "whom", "whoever"]);
    }

    #[test]
    fn persons_may_have_a_pronoun() {
        assert_eq!(in_markdown("the user who; people whose"), <[&str; 0]>::default());
        assert_eq!(in_markdown("The user. Who; the process who"), ["who", "who"]);
        assert!(lines_of("x.rs", "/// The user\n/// who\n").is_empty());
    }

    #[test]
    fn pairs_are_found_over_the_end_of_a_line() {
        let expected = [(2, "ap-process".to_owned())];
        assert_eq!(
            lines_of("x.rs", "/// An AP\n/// process, an AP. Process, Inter-core\n"),
            expected
        );
    }

    #[test]
    fn every_word_is_wrong_and_what_to_say_is_said() {
        let text = "A CPU.\nA core, a tenant.\n";
        let wrong = violations(&Source { path: "x.md".into(), text: text.into() });
        assert_eq!(wrong, ["x.md:2: core: say CPU", "x.md:2: tenant: say owner"]);
    }
}
