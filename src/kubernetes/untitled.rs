//! Leaves the titles of linked accounts out of texts. They are often e-mail addresses, and who may read an object need
//! not be who may open the status page. Pure.

/// What is written before titles in all texts; they are in quotes.
const BEFORE: &str = "linked account";
const QUOTE: char = '"';

/// A text with dots in the place of the titles in it.
pub(super) fn untitled(text: &str) -> String {
    let Some(begin) = text.find(BEFORE).map(|at| at + BEFORE.len()) else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(begin);
    let Some(first) = rest.find(QUOTE) else { return text.to_owned() };
    // A title may have quotes of its own, so that all until the last one counts.
    let last = rest.rfind(QUOTE).unwrap_or(first);
    let after = rest.get(last + QUOTE.len_utf8()..).unwrap_or_default();
    let first = rest.get(..first).unwrap_or_default();
    format!("{before}{first}…{after}")
}

#[cfg(test)]
mod tests {
    use super::untitled;

    #[test]
    fn no_title_of_an_account_remains() {
        for (text, expected) in [
            (r#"used by the linked account "a@example.com""#, "used by the linked account …"),
            (
                r#"used by the linked accounts "a "b"", "c" and "d""#,
                "used by the linked accounts …",
            ),
            (
                r#"the linked account "a" names it by its id; apply again"#,
                "the linked account … names it by its id; apply again",
            ),
            (
                r#"delete spotify "Family": a linked account of spotify still uses it"#,
                r#"delete spotify "Family": a linked account of spotify still uses it"#,
            ),
        ] {
            assert_eq!(untitled(text), expected);
        }
    }
}
