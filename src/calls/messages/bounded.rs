//! Texts and lists with a bound that is checked where they are read.

use serde::{Deserialize, Serialize};

/// A text of at most so many characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MOST: usize>(String);

/// A list of at most so many things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<T>", into = "Vec<T>")]
#[serde(bound(serialize = "T: Serialize + Clone", deserialize = "T: Deserialize<'de>"))]
pub struct Few<T, const MOST: usize>(Vec<T>);

/// Why it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error("at most {0} characters are taken")]
    Characters(usize),
    #[error("at most {0} entries are taken")]
    Entries(usize),
}

// === impl Text ===

impl<const MOST: usize> Text<MOST> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning, where there is too much.
    pub fn cut(text: &str) -> Self {
        Self(text.chars().take(MOST).collect())
    }
}

impl<const MOST: usize> TryFrom<String> for Text<MOST> {
    type Error = TooMuch;

    fn try_from(text: String) -> Result<Self, TooMuch> {
        // A character takes four bytes at most: most texts needn't be counted.
        let fits = text.len() <= MOST || text.chars().count() <= MOST;
        if fits { Ok(Self(text)) } else { Err(TooMuch::Characters(MOST)) }
    }
}

impl<const MOST: usize> From<Text<MOST>> for String {
    fn from(text: Text<MOST>) -> Self {
        text.0
    }
}

// === impl Few ===

impl<T, const MOST: usize> Few<T, MOST> {
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MOST: usize> TryFrom<Vec<T>> for Few<T, MOST> {
    type Error = TooMuch;

    fn try_from(list: Vec<T>) -> Result<Self, TooMuch> {
        if list.len() <= MOST { Ok(Self(list)) } else { Err(TooMuch::Entries(MOST)) }
    }
}

impl<T, const MOST: usize> From<Few<T, MOST>> for Vec<T> {
    fn from(few: Few<T, MOST>) -> Self {
        few.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_in_characters_as_json_schema_does() {
        assert!(Text::<3>::try_from("äöü".to_owned()).is_ok());
        assert_eq!(Text::<3>::try_from("abcd".to_owned()), Err(TooMuch::Characters(3)));
        assert_eq!(Text::<3>::cut("äöüß").as_str(), "äöü");
    }

    #[test]
    fn a_list_past_its_bound_is_refused() {
        assert!(serde_json::from_str::<Few<u8, 2>>("[1,2]").is_ok());
        assert!(serde_json::from_str::<Few<u8, 2>>("[1,2,3]").is_err());
    }
}
