//! Addresses that a terminal opens when they are clicked, where it can: long ones are shortened there.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// An address of the web in a text, without the punctuation behind it. It has no control characters.
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A test builds it.
    Regex::new("https?://[!-~&&[^\"'<>`\\\\]]*[A-Za-z0-9/=_~%+-]").ok()
});
/// What is shown of an address.
const LONGEST: usize = 60;

/// The text with its addresses as links by OSC 8. Where a link leads is never cut off, and an address with a
/// user, which looks like another's, is no link: names that others chose are in texts too.
pub(super) fn linked(text: &str) -> Cow<'_, str> {
    let Some(address) = ADDRESS.as_ref() else { return Cow::Borrowed(text) };
    address.replace_all(text, |found: &Captures<'_>| {
        let whole = &found[0];
        let host = whole.find("://").map_or(0, |scheme| scheme + 3);
        let host_end = whole[host..].find(['/', '?', '#']).map_or(whole.len(), |end| host + end);
        if whole[..host_end].contains('@') {
            return whole.to_owned();
        }
        let shown = match whole.get(..LONGEST.max(host_end)) {
            Some(shown) if shown.len() < whole.len() => format!("{shown}…"),
            _ => whole.to_owned(),
        };
        format!("\x1b]8;;{whole}\x1b\\{shown}\x1b]8;;\x1b\\")
    })
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn an_address_is_a_link_and_a_long_one_is_short() {
        let link = |whole: &str, shown: &str| format!("\x1b]8;;{whole}\x1b\\{shown}\x1b]8;;\x1b\\");
        let short = "https://ha.example:8123";
        assert_eq!(linked(&format!("see {short}.")), format!("see {}.", link(short, short)));
        assert_eq!(
            linked(&format!("`url: {short}`}}")),
            format!("`url: {}`}}", link(short, short))
        );
        let long = format!("https://provider.example/authorize?state={}", "x".repeat(60));
        let shown = format!("{}…", &long[..60]);
        assert_eq!(linked(&format!("  {long}\n")), format!("  {}\n", link(&long, &shown)));
        let host = format!("https://{}.example/", "a".repeat(70));
        let shown = format!("{}…", host.trim_end_matches('/'));
        assert_eq!(linked(&host), link(&host, &shown));
        let other = "https://accounts.example@other.example/login";
        assert_eq!(linked(other), other);
        let backslash = r"https://other.example\@accounts.example/login";
        let shown = link("https://other.example", "https://other.example");
        assert_eq!(linked(backslash), shown + r"\@accounts.example/login");
        assert_eq!(linked("no address: http:// and ftp://x"), "no address: http:// and ftp://x");
    }
}
