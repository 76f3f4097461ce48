//! Which entries a run is about.

use std::fmt;

use super::{Domain, Key};

/// A text in which `*` means any characters and `?` any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Which entries a run is about, with what a target holds of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those with one of these keys; all where there is none.
    pub keys: Vec<Glob>,
    /// And of one of these integrations; of all where there is none.
    pub domains: Vec<Glob>,
    /// But not those with one of these keys.
    pub excluded: Vec<Glob>,
    /// Whether it may select nothing, as of an entry that was removed just now.
    pub may_be_nothing: bool,
}

/// Of fewer letters in a pattern a slip and another word look the same.
const FEWEST_LETTERS: usize = 3;

impl Glob {
    /// None where it is empty, or could not be given with others in one argument.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && !text.contains(',')).then(|| Self(text.to_owned()))
    }

    /// Whether it is written like this text, or means it.
    pub fn matches(&self, text: &str) -> bool {
        let (glob, text): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut of) = (0, 0);
        // Behind the last `*`, and what that does not mean any more.
        let mut last: Option<(usize, usize)> = None;
        while of < text.len() {
            match glob.get(at) {
                Some('*') => {
                    at += 1;
                    last = Some((at, of));
                }
                Some(wanted) if *wanted == '?' || *wanted == text[of] => {
                    (at, of) = (at + 1, of + 1)
                }
                _ => {
                    let Some((behind, from)) = &mut last else { return false };
                    *from += 1;
                    (at, of) = (*behind, *from);
                }
            }
        }
        glob[at..].iter().all(|rest| *rest == '*')
    }

    /// Whether a letter more, less or another one, or two letters that change places, would make it match. What has
    /// few letters is almost anything, and numbers are near each other without being meant.
    pub fn almost_matches(&self, text: &str) -> bool {
        let glob: Vec<char> = self.0.chars().collect();
        let with = |at: usize, skipped: usize, instead: &[char]| {
            let changed = glob[..at].iter().chain(instead).chain(&glob[at + skipped..]);
            Self(changed.collect()).matches(text)
        };
        let is_letter = |at: &usize| glob.get(*at).is_some_and(|of| of.is_alphabetic());
        let letters: Vec<usize> = (0..glob.len()).filter(is_letter).collect();
        letters.len() >= FEWEST_LETTERS
            && letters.into_iter().any(|at| {
                with(at, 0, &['?'])
                    || with(at, 1, &[])
                    || with(at, 1, &['?'])
                    || is_letter(&(at + 1)) && with(at, 2, &[glob[at + 1], glob[at]])
            })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn has_any<'k>(keys: impl IntoIterator<Item = &'k Key>, globs: &[Glob]) -> bool {
    keys.into_iter().any(|key| globs.iter().any(|glob| glob.matches(key.as_str())))
}

/// How the command line says each part.
const KEY: &str = "--key=";
const DOMAIN: &str = "--domain=";
const EXCLUDE: &str = "--exclude=";

impl Selection {
    /// Whether it leaves nothing out.
    pub fn is_whole(&self) -> bool {
        [&self.keys, &self.domains, &self.excluded].iter().all(|globs| globs.is_empty())
    }

    /// Whether it includes what is of this integration and has these keys, such as the present one and earlier
    /// ones: one that is asked for is enough, and one that is excluded. What nobody manages has none.
    pub fn includes<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key> + Clone,
        domain: &Domain,
    ) -> bool {
        let is_of = || self.domains.iter().any(|glob| glob.matches(domain.as_str()));
        (self.keys.is_empty() || has_any(keys.clone(), &self.keys))
            && (self.domains.is_empty() || is_of())
            && !self.excludes(keys)
    }

    /// Whether one of these keys is excluded.
    pub fn excludes<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> bool {
        has_any(keys, &self.excluded)
    }

    /// The arguments that ask for it.
    pub fn arguments(&self) -> Vec<String> {
        let parts = [(KEY, &self.keys), (DOMAIN, &self.domains), (EXCLUDE, &self.excluded)];
        let of = |(name, globs): (&'static str, &Vec<Glob>)| -> Vec<String> {
            globs.iter().map(|glob| format!("{name}{glob}")).collect()
        };
        parts.into_iter().flat_map(of).collect()
    }

    /// What these arguments ask for.
    pub fn of_arguments(arguments: &[String]) -> Self {
        let of = |name: &str| {
            arguments
                .iter()
                .filter_map(|argument| Glob::new(argument.strip_prefix(name)?))
                .collect()
        };
        Self { keys: of(KEY), domains: of(DOMAIN), excluded: of(EXCLUDE), may_be_nothing: false }
    }
}

#[cfg(test)]
mod tests {
    use super::{Glob, Selection};
    use crate::model::{Domain, Key};

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(text).unwrap()).collect()
    }

    #[test]
    fn a_star_means_any_characters_and_a_question_mark_one() {
        for (glob, fits, does_not) in [
            ("spotify", &["spotify"][..], &["spotify-a", "a-spotify", "Spotify", ""][..]),
            ("spotify-*", &["spotify-", "spotify-a-b"], &["spotify", "a-spotify-b"]),
            ("*", &["", "a"], &[]),
            ("**a?", &["ab", "xaab"], &["a", "abc"]),
            ("*-a-*-b", &["x-a-b-a-y-b", "-a--b"], &["-a-b", "x-a-y-b-c"]),
            ("?", &["é"], &["", "ab"]),
            ("a.c", &["a.c"], &["abc"]),
        ] {
            let glob = Glob::new(glob).unwrap();
            assert!(fits.iter().all(|text| glob.matches(text)), "{glob}");
            assert!(!does_not.iter().any(|text| glob.matches(text)), "{glob}");
        }
        assert_eq!(Glob::new(" a ").unwrap().as_str(), "a");
        assert!(["", " ", "a,b"].iter().all(|text| Glob::new(text).is_none()));
        // No pattern takes long.
        let many = Glob::new(&"*a".repeat(40)).unwrap();
        assert!(!many.matches(&"a".repeat(39)));
    }

    #[test]
    fn a_slip_of_one_letter_almost_matches() {
        for (glob, almost, not) in [
            (
                "oslo-*",
                &["olso-3", "osl-3", "ooslo-3", "aslo-3"][..],
                &["bergen", "oslofjord", "oslo3", "lolo-3"][..],
            ),
            ("house-1*", &["huose-1"], &["house-2", "huose-2"]),
            ("ab*", &[], &["a", "ba"]),
        ] {
            let glob = Glob::new(glob).unwrap();
            assert!(almost.iter().all(|text| glob.almost_matches(text)), "{glob}");
            assert!(!not.iter().any(|text| glob.almost_matches(text)), "{glob}");
        }
    }

    #[test]
    fn a_selection_is_all_of_its_parts_and_is_known_again_from_its_arguments() {
        let selection = Selection {
            keys: globs(&["family", "cabin-*"]),
            domains: globs(&["spotify"]),
            excluded: globs(&["*-old"]),
            may_be_nothing: false,
        };
        let (spotify, twitch) = (Domain::new("spotify"), Domain::new("twitch"));
        let includes = |key: &str, domain| selection.includes(Key::new(key).as_ref(), domain);
        assert!(includes("family", &spotify) && includes("cabin-a", &spotify));
        assert!(!includes("family", &twitch) && !includes("other", &spotify));
        assert!(!includes("cabin-old", &spotify) && !selection.includes(None, &spotify));
        // An entry has its earlier keys too.
        let includes = |keys: [&str; 2]| {
            let keys: Vec<Key> = keys.into_iter().filter_map(Key::new).collect();
            selection.includes(&keys, &spotify)
        };
        assert!(includes(["new", "family"]) && !includes(["family", "family-old"]));
        let of_domain = Selection { keys: Vec::new(), ..selection.clone() };
        assert!(of_domain.includes(None, &spotify) && !of_domain.includes(None, &twitch));
        let arguments = selection.arguments();
        let written = ["--key=family", "--key=cabin-*", "--domain=spotify", "--exclude=*-old"];
        assert_eq!(arguments, written);
        assert_eq!(Selection::of_arguments(&arguments), selection);
        assert!(Selection::default().is_whole() && Selection::default().includes(None, &twitch));
    }
}
