//! Texts that are made of known words. This is no pattern, as one of so many words takes longer to build than a small plan.

use std::sync::LazyLock;

/// So many short words may go on with a longer one.
const SHORT_BEHIND: u8 = 2;

/// Words of ASCII in lower case. A list of them has `|` between them.
pub(super) struct Words(LazyLock<Vec<Word>, fn() -> Vec<Word>>);

pub(super) struct Word {
    text: &'static str,
    is_short: bool,
}

/// The words of lists, and short ones, by their first letters.
pub(super) fn words(long: &[&'static str], short: &'static str) -> Vec<Word> {
    let long = long.iter().flat_map(|list| list.split('|')).map(|text| (text, false));
    let all = long.chain(short.split('|').map(|text| (text, true)));
    let all = all.filter(|(text, _)| !text.is_empty());
    let mut all: Vec<Word> = all.map(|(text, is_short)| Word { text, is_short }).collect();
    all.sort_by_key(|word| word.first());
    all
}

impl Words {
    pub(super) const fn new(words: fn() -> Vec<Word>) -> Self {
        Self(LazyLock::new(words))
    }

    /// Whether nothing but these words is in a text, joined or with anything but letters and digits between them. A short
    /// word counts where it is a word of its own or goes on with a longer one, as in `changeme`.
    pub(super) fn are_all_of(&self, text: &str) -> bool {
        let text = text.as_bytes();
        // How many short words may follow at a place, where words lead to it.
        let mut reached = vec![None; text.len() + 1];
        reached[0] = Some(0);
        for at in 0..text.len() {
            let Some(left) = reached[at] else { continue };
            let rest = &text[at..];
            let mut reach = |length: usize, left: u8| {
                reached[at + length] = reached[at + length].max(Some(left));
            };
            if !rest[0].is_ascii_alphanumeric() {
                reach(1, 0);
            }
            for Word { text: word, is_short } in self.beginning(rest) {
                let length = word.len();
                let is_apart = || is_end(text[..at].last()) && is_end(rest.get(length));
                match (is_short, left) {
                    (false, _) => reach(length, SHORT_BEHIND),
                    (true, 1..) => reach(length, left - 1),
                    (true, 0) if is_apart() => reach(length, 0),
                    (true, 0) => {}
                }
            }
        }
        reached[text.len()].is_some() && text.iter().any(u8::is_ascii_alphanumeric)
    }

    /// Whether a text begins with one of them.
    pub(super) fn any_begins(&self, text: &[u8]) -> bool {
        self.beginning(text).next().is_some()
    }

    /// The words that a text begins with.
    fn beginning<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = &'t Word> {
        let first = text.first().map(u8::to_ascii_lowercase);
        let from = self.0.partition_point(|word| word.first() < first);
        let may_begin = self.0[from..].iter().take_while(move |word| word.first() == first);
        may_begin.filter(|word| begins(text, word.text))
    }
}

impl Word {
    fn first(&self) -> Option<u8> {
        self.text.as_bytes().first().copied()
    }
}

/// Whether a text begins with a word, in whatever case.
pub(super) fn begins(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a word is in a list.
pub(super) fn is_in(list: &str, word: &str) -> bool {
    list.split('|').any(|one| one == word)
}

fn is_end(character: Option<&u8>) -> bool {
    character.is_none_or(|character| !character.is_ascii_alphanumeric())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any};
    use proptest::sample::select;
    use regex::bytes::{Regex, RegexBuilder};

    const BETWEEN: &str = "-|_|.| |: |\n|é|@|7|12|123456|0|x|s|e|/|2";

    fn texts(lists: &[&'static str]) -> Vec<&'static str> {
        lists.iter().flat_map(|list| list.split('|')).collect()
    }

    /// Texts of a few words and of what is between them.
    pub(in super::super) fn texts_of(lists: &[&'static str]) -> impl Strategy<Value = String> {
        let words = vec((any::<bool>(), select(texts(lists))), 0..4);
        let between = vec((any::<u8>(), select(texts(&[BETWEEN]))), 4);
        (words, between).prop_map(|(words, between)| {
            let mut text = String::new();
            for (number, (most, between)) in between.into_iter().enumerate() {
                if most < 150 {
                    text.push_str(between);
                }
                if let Some((is_upper, word)) = words.get(number) {
                    let upper = word.to_ascii_uppercase();
                    text.push_str(if *is_upper { &upper } else { word });
                }
            }
            text
        })
    }

    /// A pattern, as one of a rule of values is built.
    pub(in super::super) fn pattern(text: &str) -> Regex {
        RegexBuilder::new(text).unicode(false).case_insensitive(true).build().unwrap()
    }
}
