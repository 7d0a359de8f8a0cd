//! Words as numbers, as many as each dimension may have.

use std::collections::HashMap;

use super::measure::Dimension;

/// A word's number. 0 is no word at all.
pub type WordId = u32;

/// What every word beyond a dimension's bound counts as.
pub const OTHER: &str = "other";
/// Longer ones are cut.
const MOST_BYTES: usize = 64;

/// The words that are known. Grows to the sum of the dimensions' bounds and no further.
#[derive(Debug, Clone, Default)]
pub struct Words {
    ids: HashMap<Dimension, HashMap<String, WordId>>,
    last: WordId,
    /// Not yet stored.
    new: Vec<(WordId, Dimension, String)>,
}

// === impl Words ===

impl Words {
    /// Those that were stored.
    pub fn known(words: impl IntoIterator<Item = (WordId, Dimension, String)>) -> Self {
        let mut known = Self::default();
        for (id, dimension, word) in words {
            known.last = known.last.max(id);
            known.ids.entry(dimension).or_default().insert(word, id);
        }
        known
    }

    /// A word's number; without a word 0.
    pub fn id(&mut self, dimension: Dimension, word: &str) -> WordId {
        if word.is_empty() {
            return 0;
        }
        let word = cut(word);
        if let Some(id) = self.ids.get(&dimension).and_then(|ids| ids.get(word)) {
            return *id;
        }
        let ids = self.ids.entry(dimension).or_default();
        let others = usize::from(ids.contains_key(OTHER));
        let word = if ids.len() - others >= dimension.bound() { OTHER } else { word };
        if let Some(id) = ids.get(word) {
            return *id;
        }
        self.last += 1;
        ids.insert(word.to_owned(), self.last);
        self.new.push((self.last, dimension, word.to_owned()));
        self.last
    }

    /// Those that are to be stored.
    pub fn take_new(&mut self) -> Vec<(WordId, Dimension, String)> {
        std::mem::take(&mut self.new)
    }
}

fn cut(word: &str) -> &str {
    let end = (0..=MOST_BYTES.min(word.len())).rev().find(|at| word.is_char_boundary(*at));
    &word[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_every_word_is_other_and_those_before_keep_their_number() {
        let mut words = Words::default();
        let bound = Dimension::Device.bound();
        let first: Vec<_> =
            (0..bound).map(|n| words.id(Dimension::Device, &format!("d{n}"))).collect();
        let other = words.id(Dimension::Device, "one too many");
        assert!(!first.contains(&other));
        assert_eq!(words.id(Dimension::Device, "another"), other);
        assert_eq!(words.id(Dimension::Device, OTHER), other);
        assert_eq!(words.id(Dimension::Device, "d0"), first[0]);
        assert_ne!(words.id(Dimension::Network, "d0"), first[0]);
        let new = words.take_new();
        assert_eq!(new.len(), bound + 2);
        let mut again = Words::known(new);
        assert_eq!(again.id(Dimension::Device, "d0"), first[0]);
        assert_eq!(again.id(Dimension::Device, "a third"), other);
        assert!(again.take_new().is_empty());
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let mut words = Words::default();
        let long = "ü".repeat(100);
        assert_eq!(words.id(Dimension::Word, &long), words.id(Dimension::Word, &"ü".repeat(32)));
        assert_eq!(words.id(Dimension::Word, ""), 0);
    }
}
