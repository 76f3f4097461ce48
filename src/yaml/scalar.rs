//! What a scalar without quotes means. HA reads YAML 1.1, editors and schemas 1.2: what either of them
//! takes for something else than text is not text to us.

/// What a scalar is to YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `~`, `null` or nothing.
    Null,
    /// `true`, `no`, `On` …
    Bool,
    /// Any form of a number.
    Number,
    /// `2026-11-23`, with or without a time.
    Date,
    /// All else.
    Text,
}

impl Kind {
    /// The word for it, with its article.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Date => "a date",
            Self::Text => "text",
        }
    }
}

const TRUE: &[&str] = &["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"];
const FALSE: &[&str] = &["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"];

/// What a boolean says; `None` where the text is none.
pub(super) fn boolean(text: &str) -> Option<bool> {
    if TRUE.contains(&text) { Some(true) } else { FALSE.contains(&text).then_some(false) }
}

/// What a plain scalar is.
pub(super) fn kind(text: &str) -> Kind {
    match text.as_bytes() {
        [] | b"~" | b"null" | b"Null" | b"NULL" => Kind::Null,
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => {
            if is_number(text) {
                Kind::Number
            } else if is_date(text) {
                Kind::Date
            } else {
                Kind::Text
            }
        }
        _ if text.len() <= 5 && boolean(text).is_some() => Kind::Bool,
        _ => Kind::Text,
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let of = |rest: &str, allowed: fn(u8) -> bool| {
        !rest.is_empty() && rest.bytes().all(|byte| byte == b'_' || allowed(byte))
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if let Some(rest) = digits.strip_prefix("0x") {
        return of(rest, |byte| byte.is_ascii_hexdigit());
    }
    if let Some(rest) = digits.strip_prefix("0o").or_else(|| digits.strip_prefix("0b")) {
        return of(rest, |byte| byte.is_ascii_digit());
    }
    is_decimal(digits) || is_sexagesimal(digits)
}

/// `1`, `1_000`, `1.5`, `.5`, `1.`, `1e3`, `1.5e-3`.
fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && exponent.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mut points = 0;
    let mantissa_fits = mantissa.bytes().all(|byte| {
        points += usize::from(byte == b'.');
        byte.is_ascii_digit() || matches!(byte, b'.' | b'_')
    });
    let has_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    exponent_fits && mantissa_fits && points <= 1 && has_digit && !mantissa.starts_with('_')
}

/// `1:30:00`, which YAML 1.1 reads as 5400.
fn is_sexagesimal(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let leads = parts.next().is_some_and(|first| {
        !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    });
    let mut rest = 0;
    let fits = parts.all(|part| {
        rest += 1;
        let part = part.split('.').next().unwrap_or_default();
        matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    });
    leads && fits && rest > 0
}

fn is_date(text: &str) -> bool {
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let mut parts = date.split('-');
    let mut next = |lengths: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| {
            lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let fits = next(4..=4) && next(1..=2) && next(1..=2);
    let rest = &text[date.len()..];
    fits && parts.next().is_none() && (rest.is_empty() || rest.contains(':') && rest.len() <= 30)
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn what_any_yaml_takes_for_more_than_text_is_not_text() {
        let check = |kind_wanted: Kind, texts: &[&str]| {
            for text in texts {
                assert_eq!(kind(text), kind_wanted, "{text}");
            }
        };
        check(Kind::Null, &["", "~", "null", "Null", "NULL"]);
        check(Kind::Bool, &["true", "False", "yes", "NO", "on", "Off"]);
        check(
            Kind::Number,
            &[
                "12345678",
                "0x1F",
                "1e3",
                "61e2",
                "-1",
                "+1",
                ".5",
                "1.",
                "1.5e-3",
                "0o17",
                "017",
                "0b101",
                "1_000",
                ".inf",
                "-.INF",
                ".nan",
                "1:30",
                "190:20:30",
            ],
        );
        check(Kind::Date, &["2026-11-23", "2026-11-23T10:00:00Z", "2026-1-2 3:04:05"]);
        check(
            Kind::Text,
            &[
                "yEs",
                "y",
                "n",
                "4f5c0a",
                "1e",
                "e3",
                "0x",
                "1.2.3",
                "-",
                ".",
                "...",
                "12-34",
                "1:99",
                "a:1",
                "2026-11",
                "2026-11-23-x",
                "1a",
                "_1",
                "+",
                "http://x",
                "0xzz",
                "12 34",
            ],
        );
    }
}
