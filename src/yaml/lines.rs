//! SOPS documents that have a value in each line, dotenv and INI, as trees.

use serde_json::{Map, Value as Json};

use super::{Pair, Parsed, SOPS};
use crate::diagnostic::Span;

/// The section of INI that keys before all sections are in.
const DEFAULT: &str = "DEFAULT";
/// A list that SOPS writes is not longer.
const LONGEST_LIST: usize = 1000;
/// All lists together are not longer.
const MOST_ITEMS: usize = 10_000;
/// What SOPS says has no name of more parts.
const MOST_PARTS: usize = 8;

/// A document in dotenv form; nothing where SOPS says nothing of it.
pub(super) fn dotenv(text: &str) -> Option<Parsed<'_>> {
    const OWN: &str = "sops_";
    if !text.lines().any(|line| line.starts_with("sops_version=") || line.starts_with("sops_mac="))
    {
        return None;
    }
    let (mut pairs, mut said, mut room) = (Vec::new(), Json::Null, MOST_ITEMS);
    let mut at = 0;
    for line in text.split('\n') {
        let start = at;
        at += line.len() + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, written) = line.split_once('=')?;
        let value = written.replace("\\n", "\n");
        match key.strip_prefix(OWN) {
            Some(name) => put(&mut said, &mut room, name, value)?,
            // A key that is there twice has two values to SOPS.
            None => {
                let span = |start, end| Span { start, end, ..Span::default() };
                let (parting, end) = (start + key.len(), start + line.len());
                let key = (key, span(start, parting));
                pairs.push(Pair::of_text(key, (value, span(parting + 1, end))));
            }
        }
    }
    pairs.push(Pair::of_json(SOPS.to_owned(), said));
    Some(Parsed::of_pairs(pairs))
}

/// A document in INI form; nothing where SOPS says nothing of it.
pub(super) fn ini(text: &str) -> Option<Parsed<'_>> {
    let lines = || text.lines().map(str::trim);
    if !lines().any(|line| line == "[sops]") {
        return None;
    }
    let (mut tree, mut said, mut room) = (Map::new(), Json::Null, MOST_ITEMS);
    let mut section = DEFAULT;
    for line in lines().filter(|line| !line.is_empty() && !line.starts_with([';', '#'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
            continue;
        }
        let (key, value) = line.split_once('=')?;
        let (key, value) = (bare(key), bare(value));
        if section == SOPS {
            put(&mut said, &mut room, key, value.replace("\\n", "\n"))?;
            continue;
        }
        let values = tree.entry(section).or_insert_with(|| Map::new().into());
        values.as_object_mut()?.insert(key.to_owned(), value.into());
    }
    tree.insert(SOPS.to_owned(), said);
    let pairs = tree.into_iter().map(|(section, values)| Pair::of_json(section, values));
    Some(Parsed::of_pairs(pairs.collect()))
}

/// A key or value of INI without what is around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap_or(text)
}

/// Puts what SOPS says where it is in a tree: `age__list_0__map_enc` is `enc` in the first item of `age`.
/// There is room for so many more items of lists.
fn put(said: &mut Json, room: &mut usize, name: &str, value: String) -> Option<()> {
    if name.split("__").count() > MOST_PARTS {
        return None;
    }
    let mut at = said;
    for (number, part) in name.split("__").enumerate() {
        if let (1.., Some(index)) = (number, part.strip_prefix("list_")) {
            let index: usize = index.parse().ok().filter(|index| *index < LONGEST_LIST)?;
            if at.is_null() {
                *at = Json::Array(Vec::new());
            }
            let items = at.as_array_mut()?;
            let added = (index + 1).saturating_sub(items.len());
            *room = room.checked_sub(added)?;
            items.resize(items.len() + added, Json::Null);
            at = items.get_mut(index)?;
            continue;
        }
        let key = if number == 0 { part } else { part.strip_prefix("map_")? };
        if at.is_null() {
            *at = Map::new().into();
        }
        at = at.as_object_mut()?.entry(key).or_insert(Json::Null);
    }
    *at = match value.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        _ => value.into(),
    };
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{dotenv, ini};
    use crate::yaml::{Parsed, to_json};

    fn tree(parsed: Option<Parsed<'_>>) -> Option<serde_json::Value> {
        parsed.map(|parsed| to_json(&parsed.documents[0]).unwrap())
    }

    #[test]
    fn what_sops_says_is_neither_deep_nor_huge() {
        let deep = format!("a{}", "__map_a".repeat(100_000));
        let wide = "a__list_999".to_owned() + &"__list_999".repeat(6);
        let many: String = (0..20).map(|at| format!("sops_l{at}__list_999=x\n")).collect();
        for line in [format!("sops_{deep}=x\n"), format!("sops_{wide}__list_999=x\n"), many] {
            assert_eq!(tree(dotenv(&format!("A=x\nsops_version=3.8.0\n{line}"))), None);
        }
        assert_eq!(tree(ini(&format!("[a]\nb = c\n[sops]\n{deep} = x\n"))), None);
    }

    #[test]
    fn what_sops_says_is_a_tree_again() {
        let said = json!({
            "age": [{"enc": "a\nb", "recipient": "r"}, {"enc": "c"}],
            "mac_only_encrypted": true,
            "version": "3.11.0",
        });
        let lines = [
            "age__list_1__map_enc=c",
            "age__list_0__map_enc=a\\nb",
            "age__list_0__map_recipient=r",
        ];
        let lines = [&lines[..], &["mac_only_encrypted=true", "version=3.11.0"]].concat();
        let own: String = lines.iter().map(|line| format!("sops_{line}\n")).collect();
        let text = format!("#ENC[x]\nA=1=2\n B =\n{own}");
        assert_eq!(tree(dotenv(&text)).unwrap(), json!({"A": "1=2", " B ": "", "sops": said}));
        let text = format!("t = `#`\n[s]\n; c\na  = b\n\n[sops]\n{}\n", lines.join("\n"));
        let expected = json!({"DEFAULT": {"t": "#"}, "s": {"a": "b"}, "sops": said});
        assert_eq!(tree(ini(&text)).unwrap(), expected);
    }

    #[test]
    fn a_text_of_which_sops_says_nothing_or_nonsense_is_none() {
        for text in ["", "A=b\n", "[s]\na = b\n", "sops_version_of=1\n"] {
            assert!(dotenv(text).is_none() && ini(text).is_none(), "{text:?}");
        }
        for wrong in ["age__list_x", "age__list_9999999999", "age__map", "age\nsops_age__list_0"] {
            assert!(dotenv(&format!("sops_version=1\nsops_{wrong}=x\n")).is_none(), "{wrong:?}");
        }
    }
}
