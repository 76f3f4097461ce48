//! Texts of a notification that name what they are filled in with, as in `{target}: {message}`.

/// What may be named: the fields of a notice.
pub const NOTICE_FIELDS: [&str; 6] = ["message", "event", "target", "address", "at", "id"];

/// Fills a text in; `{{` and `}}` are braces.
///
/// # Errors
/// The part that cannot be filled in: a brace alone, or a name that has no value.
pub fn fill_in<'t, 'v>(
    text: &'t str,
    value: impl Fn(&str) -> Option<&'v str>,
) -> Result<String, &'t str> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            filled.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let end = brace.find('}').filter(|end| *end > 0).ok_or(&brace[..1])?;
        let name = &brace[1..end];
        filled.push_str(value(name).ok_or(&brace[..=end])?);
        rest = &brace[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::fill_in;

    #[test]
    fn names_in_braces_are_filled_in_once() {
        let value = |name: &str| match name {
            "message" => Some("it {target} failed"),
            "target" => Some("home"),
            _ => None,
        };
        let fill_in = |text| fill_in(text, value);
        assert_eq!(fill_in("{target}: {message}!").unwrap(), "home: it {target} failed!");
        assert_eq!(fill_in("{{target}} é {{}}").unwrap(), "{target} é {}");
        assert_eq!(fill_in("").unwrap(), "");
        for (text, wrong) in [
            ("a {mesage}", "{mesage}"),
            ("a {", "{"),
            ("a } b", "}"),
            ("{}", "{}"),
            ("{ target}", "{ target}"),
        ] {
            assert_eq!(fill_in(text), Err(wrong), "{text}");
        }
    }
}
