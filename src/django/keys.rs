//! The host's secret keys.

use std::fmt;

/// A shorter key is none that Django made, but a placeholder, or a part of one.
const SHORTEST_KEY: usize = 16;

/// `SECRET_KEY`, and after it `SECRET_KEY_FALLBACKS`: what was signed with any of them is Django's.
#[derive(Clone)]
pub struct SecretKeys(Vec<Vec<u8>>);

/// Why something is no key. What it is instead is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There is nothing in it.
    #[error("it is empty: expected Django's SECRET_KEY")]
    Empty,
    /// There is too little in it.
    #[error("it is too short: expected Django's SECRET_KEY, of at least {SHORTEST_KEY} characters")]
    TooShort,
    /// There is more than a key in it.
    #[error("it has several lines: expected Django's SECRET_KEY alone")]
    SeveralLines,
}

impl SecretKeys {
    /// The key, alone on its line, and the keys of former times, one a line. Empty lines among these are none.
    ///
    /// # Errors
    /// If one of them can't be a key.
    pub fn parse(key: &[u8], fallbacks: &[u8]) -> Result<Self, InvalidKeys> {
        let key = without_line_end(key);
        if key.is_empty() {
            return Err(InvalidKeys::Empty);
        }
        if key.contains(&b'\n') {
            return Err(InvalidKeys::SeveralLines);
        }
        let fallbacks = fallbacks.split(|byte| *byte == b'\n').map(without_line_end).filter(|key| !key.is_empty());
        let keys: Vec<Vec<u8>> = std::iter::once(key).chain(fallbacks).map(<[u8]>::to_vec).collect();
        if keys.iter().any(|key| key.len() < SHORTEST_KEY) {
            return Err(InvalidKeys::TooShort);
        }
        Ok(Self(keys))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a-key-of-some-length";

    fn keys(key: &str, fallbacks: &str) -> Result<Vec<Vec<u8>>, InvalidKeys> {
        SecretKeys::parse(key.as_bytes(), fallbacks.as_bytes()).map(|keys| keys.0)
    }

    #[test]
    fn a_files_last_line_end_is_no_part_of_its_key() {
        for text in [KEY.to_owned(), format!("{KEY}\n"), format!("{KEY}\r\n")] {
            assert_eq!(keys(&text, "").unwrap(), [KEY.as_bytes()], "{text:?}");
        }
        assert_eq!(keys(&format!(" {KEY} "), "").unwrap(), [format!(" {KEY} ").as_bytes()], "spaces are");
    }

    #[test]
    fn former_keys_stand_one_a_line() {
        let former = "the-key-of-last-year\r\n\nthe-key-before-that-one\n";
        let expected = [KEY, "the-key-of-last-year", "the-key-before-that-one"].map(|key| key.as_bytes().to_vec());
        assert_eq!(keys(KEY, former).unwrap(), expected);
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for (key, fallbacks, expected) in [
            ("", "", InvalidKeys::Empty),
            ("\n", "", InvalidKeys::Empty),
            ("changeme", "", InvalidKeys::TooShort),
            (KEY, "changeme", InvalidKeys::TooShort),
            ("a-key-of-some-length\nanother-of-some-length", "", InvalidKeys::SeveralLines),
        ] {
            let refused = keys(key, fallbacks).unwrap_err();
            assert_eq!(refused, expected);
            assert!(key.trim().is_empty() || !format!("{refused} {refused:?}").contains(key.trim()));
        }
        assert_eq!(format!("{:?}", SecretKeys::parse(KEY.as_bytes(), b"").unwrap()), "***");
    }
}
