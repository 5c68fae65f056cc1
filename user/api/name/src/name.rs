//! A name, as text and as the words of a message.

use core::fmt;

use ant_abi::Error;

/// Bytes of the longest name: three words.
pub const NAME_MAX: usize = 24;

/// A name: 1 to 24 bytes of text, none of them NUL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; NAME_MAX]);

impl Name {
    /// The name with this text. `Invalid`: it is empty, too long, or has a NUL.
    pub fn new(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; NAME_MAX];
        let place = bytes.get_mut(..text.len()).ok_or(Error::Invalid)?;
        place.copy_from_slice(text.as_bytes());
        Self::check(bytes)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0[..len(&self.0)]).unwrap_or_default()
    }

    /// As words.
    #[must_use]
    pub fn to_words(self) -> [u64; 3] {
        zerocopy::transmute!(self.0)
    }

    /// From words that any process may have sent. `Invalid`: they are no name.
    pub fn from_words(words: [u64; 3]) -> Result<Self, Error> {
        Self::check(zerocopy::transmute!(words))
    }

    fn check(bytes: [u8; NAME_MAX]) -> Result<Self, Error> {
        let (text, rest) = bytes.split_at(len(&bytes));
        let is_name = !text.is_empty() && rest.iter().all(|&byte| byte == 0);
        let is_name = is_name && str::from_utf8(text).is_ok();
        is_name.then_some(Self(bytes)).ok_or(Error::Invalid)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Bytes before the first NUL.
fn len(bytes: &[u8; NAME_MAX]) -> usize {
    bytes.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_24_bytes() {
        assert_eq!(Name::new(""), Err(Error::Invalid));
        assert_eq!(Name::new("a").unwrap().as_str(), "a");
        let longest = "123456789012345678901234";
        assert_eq!(Name::new(longest).unwrap().as_str(), longest);
        assert_eq!(Name::new("1234567890123456789012345"), Err(Error::Invalid));
        assert_eq!(Name::new("a\0b"), Err(Error::Invalid));
    }

    #[test]
    fn names_come_back_from_their_words() {
        let name = Name::new("größe").unwrap();
        assert_eq!(Name::from_words(name.to_words()), Ok(name));
    }

    #[test]
    fn words_that_are_no_name_are_refused() {
        assert_eq!(Name::from_words([0, 0, 0]), Err(Error::Invalid));
        assert_eq!(Name::from_words([0x61, 0x61, 0]), Err(Error::Invalid));
        assert_eq!(Name::from_words([0xff, 0, 0]), Err(Error::Invalid));
    }
}
