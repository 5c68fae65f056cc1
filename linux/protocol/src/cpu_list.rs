//! CPUs (`1-3,5`) and memory (`256M`) as people write and read them.

use thiserror::Error;

/// What is wrong with a CPU, a list of CPUs, or an amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Not a list.
    #[error("'{0}' is not a list of CPUs: write for example 1-3 or 1,3,5")]
    Cpus(String),
    /// Backwards.
    #[error("the range '{0}' runs backwards")]
    Backwards(String),
    /// Named twice.
    #[error("CPU {0} is named twice")]
    Twice(u32),
    /// Too many.
    #[error("a partition has at most {max} CPUs", max = ant_abi::MAX_CPUS)]
    TooMany,
    /// Not a CPU.
    #[error("not the number of a CPU")]
    Cpu,
    /// Not an amount.
    #[error("'{0}' is not an amount of memory: write for example 256M or 2G")]
    Memory(String),
}

/// Parses a list of CPUs. The order stays: the first becomes the m-kernel's.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_cpus(text: &str) -> Result<Vec<u32>, ParseError> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let number =
            |text: &str| text.trim().parse::<u32>().map_err(|_| ParseError::Cpus(part.into()));
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(ParseError::Backwards(part.into()));
        }
        if last - first >= ant_abi::MAX_CPUS as u32 {
            return Err(ParseError::TooMany);
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(ParseError::Twice(cpu));
            }
            cpus.push(cpu);
        }
    }
    if cpus.len() > ant_abi::MAX_CPUS { Err(ParseError::TooMany) } else { Ok(cpus) }
}

/// Parses the number of a CPU.
///
/// # Errors
///
/// It is no number.
pub fn parse_cpu(text: &str) -> Result<u32, ParseError> {
    text.parse().map_err(|_| ParseError::Cpu)
}

/// Parses an amount of memory: a number with `K`, `M` or `G`. Bytes.
///
/// # Errors
///
/// It is no amount.
pub fn parse_memory(text: &str) -> Result<u64, ParseError> {
    let wrong = || ParseError::Memory(text.into());
    let text_upper = text.trim().to_ascii_uppercase();
    let text_upper = text_upper.strip_suffix("IB").unwrap_or(&text_upper);
    let (number, shift) = match text_upper.as_bytes().last() {
        Some(b'K') => (&text_upper[..text_upper.len() - 1], 10),
        Some(b'M') => (&text_upper[..text_upper.len() - 1], 20),
        Some(b'G') => (&text_upper[..text_upper.len() - 1], 30),
        _ => (text_upper, 0),
    };
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// CPUs as part of a sentence: "CPU 1", "CPUs 2, 3".
#[must_use]
pub fn describe_cpus(cpus: &[u32]) -> String {
    let list = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if cpus.len() == 1 { format!("CPU {list}") } else { format!("CPUs {list}") }
}

/// How many there are: "1 call", "2 calls".
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// An amount of memory, in KiB or MiB.
#[must_use]
pub fn describe_memory(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "call")), ["0 calls", "1 call", "2 calls"]);
    }
    use proptest::prelude::*;

    #[test]
    fn lists_as_people_write_them() {
        assert_eq!(parse_cpus("1-3"), Ok(vec![1, 2, 3]));
        assert_eq!(parse_cpus("3,1-2"), Ok(vec![3, 1, 2]));
        assert_eq!(parse_cpus("7"), Ok(vec![7]));
        assert_eq!(parse_cpus(" 1 , 4 - 5 "), Ok(vec![1, 4, 5]));
    }

    #[test]
    fn lists_that_are_none() {
        assert_eq!(parse_cpus(""), Err(ParseError::Cpus(String::new())));
        assert_eq!(parse_cpus("1,,2"), Err(ParseError::Cpus(String::new())));
        assert_eq!(parse_cpus("one"), Err(ParseError::Cpus("one".into())));
        assert_eq!(parse_cpus("3-1"), Err(ParseError::Backwards("3-1".into())));
        assert_eq!(parse_cpus("1-3,2"), Err(ParseError::Twice(2)));
        assert_eq!(parse_cpus("1-4000000000"), Err(ParseError::TooMany));
    }

    #[test]
    fn amounts_of_memory() {
        assert_eq!(parse_memory("256M"), Ok(256 << 20));
        assert_eq!(parse_memory("256MiB"), Ok(256 << 20));
        assert_eq!(parse_memory("2g"), Ok(2 << 30));
        assert_eq!(parse_memory("4096"), Ok(4096));
        for wrong in ["", "M", "-1M", "1.5G", "99999999999G"] {
            assert_eq!(parse_memory(wrong), Err(ParseError::Memory(wrong.into())), "{wrong}");
        }
    }

    #[test]
    fn cpus_and_memory_are_described() {
        assert_eq!(describe_cpus(&[1]), "CPU 1");
        assert_eq!(describe_cpus(&[2, 3]), "CPUs 2, 3");
        assert_eq!(describe_memory(256 << 20), "256 MiB");
        assert_eq!(describe_memory(8192), "8 KiB");
    }

    proptest! {
        #[test]
        fn any_list_comes_back(cpus in proptest::collection::hash_set(0u32..500, 1..32)) {
            let cpus: Vec<u32> = cpus.into_iter().collect();
            let text = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_cpus(&text), Ok(cpus));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse_cpus(&text);
            let _ = parse_memory(&text);
        }
    }
}
