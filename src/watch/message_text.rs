//! The message in Home Assistant about what waits for a person.

use crate::model::{FlowStep, HiddenLink, Links, Visible, web_page};
use crate::status::{EntryStatus, Waiting};

/// What people read in Home Assistant, in Markdown.
pub(super) fn message(waiting: &[Waiting<'_>], due: &[&EntryStatus]) -> String {
    let mut text = String::new();
    if !waiting.is_empty() {
        text.push_str("Accounts to be linked:\n");
    }
    for waiting in waiting {
        let (name, argument) = (plain(&waiting.name()), waiting.id().argument());
        let line = match waiting.step {
            FlowStep::Consent(link) => match link.shown(Links::Shown) {
                Ok(url) => format!("[{name}]({})", destination(url)),
                Err(HiddenLink::Unsafe) => {
                    format!("{name}: its link is not an https address, so it is not shown")
                }
                Err(_) => format!("{name}: run appcred authorize {}", plain(&argument)),
            },
            FlowStep::Progress(Some(code)) => {
                let (page, code) = (&code.url, plain(&code.code));
                let page = match web_page(page) {
                    Some(_) => format!("[{}]({})", plain(page), destination(page)),
                    None => plain(page),
                };
                format!("{name}: open {page} and enter **{code}**")
            }
            _ => {
                format!(
                    "{name}: answer what Home Assistant asks in its entry, {}",
                    written_at(waiting.entry)
                )
            }
        };
        text.push_str(&format!("\n- {line}"));
        if let Some(why) = &waiting.set_up.error {
            text.push_str(&format!(". The last attempt failed: {}", plain(why)));
        }
    }
    if !due.is_empty() {
        text.push_str(if waiting.is_empty() { "" } else { "\n\n" });
        text.push_str("Clients that need a new secret, and new dates in their entries:\n");
    }
    for entry in due {
        let (name, why) = (plain(&entry.name), entry.lifetime.notice().unwrap_or_default());
        text.push_str(&format!("\n- {name}: {why} ({})", written_at(entry)));
    }
    text
}

fn written_at(entry: &EntryStatus) -> String {
    format!("{} line {}", plain(&entry.place.file.to_string_lossy()), entry.place.line)
}

/// An address that Markdown takes whole: a bracket would end it, and a second link could follow.
fn destination(url: &str) -> String {
    url.replace('(', "%28").replace(')', "%29").replace('<', "%3C").replace('>', "%3E")
}

/// A text in which Markdown sees no markup.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.visible().chars() {
        if character.is_ascii_punctuation() && !matches!(character, '.' | ',' | ':' | '/' | '-') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(plain("a [b](c) *d* <e>"), r"a \[b\]\(c\) \*d\* \<e\>");
        assert_eq!(plain("https://a.b/c-d"), "https://a.b/c-d");
        assert_eq!(plain("two\nlines"), r"two\\nlines");
    }
}
