//! One concept, one name: a crate defines no type name twice, so a name need not be looked up.
//!
//! Struct, enum, trait, union and type alias count; tests and what is inside functions do not. Each
//! program of a package (`src/bin`, build script, example) is a crate of its own.
//!
//! It reads lines, which is enough for what rustfmt has formatted.

use super::nothing_is_wrong;
use super::sources::{self, Source};
use ant_vm::paths;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// What begins the definition of a type.
const KINDS: &[&str] = &["struct", "enum", "trait", "union", "type"];

/// Where each name of each crate is defined.
type Defined<'a> = BTreeMap<(String, &'a str), Vec<String>>;

/// Fails with every name that is defined twice.
pub fn check() -> Result<()> {
    let root = paths::root();
    let sources = sources::all(&[".rs"])?;
    let crates = sources.iter().map(|source| crate_of(&source.path, |dir| is_package(&root, dir)));
    nothing_is_wrong(&violations(&defined(crates.zip(&sources))))
}

fn is_package(root: &Path, dir: &str) -> bool {
    root.join(dir).join("Cargo.toml").is_file()
}

/// What is wrong with the names.
fn violations(defined: &Defined) -> Vec<String> {
    let twice = defined.iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|((of, name), places)| format!("{of} defines {name} in {}", places.join(", ")))
        .collect()
}

/// Where the names are defined, of sources with their crates; a source without one is a test.
fn defined<'a>(sources: impl Iterator<Item = (Option<String>, &'a Source)>) -> Defined<'a> {
    let mut defined = Defined::new();
    for (of, Source { path, text }) in sources {
        let Some(of) = of else { continue };
        for (line, name) in definitions(text) {
            defined.entry((of.clone(), name)).or_default().push(format!("{path}:{line}"));
        }
    }
    defined
}

/// The crate that a source belongs to: its package, or package and program. `None` for tests.
fn crate_of(path: &str, is_package: impl Fn(&str) -> bool) -> Option<String> {
    let mut dirs = Path::new(path).ancestors().skip(1).filter_map(Path::to_str);
    let package = dirs.find(|dir| is_package(dir))?;
    let inside: Vec<&str> = path[package.len()..].trim_start_matches('/').split('/').collect();
    match inside[..] {
        _ if inside.contains(&"tests") || inside.contains(&"tests.rs") => None,
        ["src", "bin", program, ..] => Some(format!("{package}/src/bin/{program}")),
        ["src", ..] => Some(package.to_owned()),
        [program, ..] => Some(format!("{package}/{program}")),
        [] => None,
    }
}

/// Lines and names of the types that a file defines, outside functions and `mod tests`.
fn definitions(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    // The modules around the line, and whether each is one of tests.
    let mut modules: Vec<bool> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        let item = without_visibility(line.trim_start());
        if line.trim() == "}" && indent + 4 == 4 * modules.len() {
            modules.pop();
        } else if indent == 4 * modules.len() {
            if let Some(name) = item.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
                modules.push(name == "tests");
            } else if !modules.contains(&true) {
                found.extend(type_name(item).map(|name| (number, name)));
            }
        }
    }
    found
}

/// The name of the type that an item defines.
fn type_name(item: &str) -> Option<&str> {
    let (kind, rest) = item.strip_prefix("unsafe ").unwrap_or(item).split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (KINDS.contains(&kind) && !name.is_empty()).then_some(name)
}

/// An item without its `pub` or `pub(…)`.
fn without_visibility(item: &str) -> &str {
    match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or(item, |(_, rest)| rest),
        Some(rest) => rest.trim_start(),
        None => item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
pub struct Slot(u8);
pub(crate) enum State {
    Free,
}
unsafe trait Plain {}
mod inner {
    union Word {}
    fn f() {
        struct Local;
    }
}
impl Iterator for Slot {
    type Item = u8;
}
mod tests {
    struct World;
}
type Result<T> = core::result::Result<T, State>;
";

    #[test]
    fn types_outside_functions_and_tests_count() {
        let names = [(1, "Slot"), (2, "State"), (5, "Plain"), (7, "Word"), (18, "Result")];
        assert_eq!(definitions(TEXT), names);
    }

    #[test]
    fn a_program_is_a_crate_and_a_test_is_none() {
        let of = |path| crate_of(path, |dir| ["a", "a/b", "tests"].contains(&dir));
        assert_eq!(of("a/src/x.rs").as_deref(), Some("a"));
        assert_eq!(of("a/b/src/x/y.rs").as_deref(), Some("a/b"));
        assert_eq!(of("a/src/bin/p/x.rs").as_deref(), Some("a/src/bin/p"));
        assert_eq!(of("a/build.rs").as_deref(), Some("a/build.rs"));
        assert_eq!(of("tests/src/x.rs").as_deref(), Some("tests"));
        assert_eq!(of("a/src/x/tests.rs"), None);
        assert_eq!(of("a/tests/x.rs"), None);
        assert_eq!(of("nowhere/x.rs"), None);
    }

    #[test]
    fn a_second_definition_in_a_crate_is_wrong() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
        let sources = [
            source("x.rs", TEXT),
            source("y.rs", "struct Slot;\n"),
            source("z.rs", "enum Word {}"),
        ];
        let in_one_crate = defined(sources.iter().map(|source| (Some("a".into()), source)));
        let apart = defined(sources.iter().map(|source| (Some(source.path.clone()), source)));
        let (slot, word) = ("a defines Slot in x.rs:1, y.rs:1", "a defines Word in x.rs:7, z.rs:1");
        assert_eq!(violations(&in_one_crate), [slot, word]);
        assert!(violations(&apart).is_empty());
    }
}
