//! Values that are no text, in the form in which SOPS hashes them. It reads YAML as its parser, of the
//! Go language, does: `yes` is text, `0777` is 511, a date is a time.

use secrecy::zeroize::Zeroizing;

/// What a scalar means.
pub(super) enum TypedScalar {
    Null,
    Text,
    /// A number, boolean or time.
    Other(Other),
}

/// A value that is not text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// What SOPS calls its type.
    pub(super) kind: &'static str,
    /// As it is hashed.
    pub(super) hashed: String,
}

impl Other {
    pub(super) fn boolean(value: bool) -> Self {
        Self { kind: "bool", hashed: boolean(value) }
    }

    pub(super) fn float(value: f64) -> Self {
        Self { kind: "float", hashed: float(value) }
    }
}

/// What a scalar of YAML means to SOPS.
pub(super) fn meaning(text: &str, is_plain: bool) -> TypedScalar {
    if !is_plain {
        return TypedScalar::Text;
    }
    let found = match text {
        "" | "~" | "null" | "Null" | "NULL" => return TypedScalar::Null,
        "true" | "True" | "TRUE" => Some(Other::boolean(true)),
        "false" | "False" | "FALSE" => Some(Other::boolean(false)),
        ".nan" | ".NaN" | ".NAN" => Some(Other::float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Other::float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Other::float(f64::NEG_INFINITY)),
        _ => number_or_time(text),
    };
    found.map_or(TypedScalar::Text, TypedScalar::Other)
}

fn number_or_time(text: &str) -> Option<Other> {
    if !text.starts_with(['+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        return None;
    }
    if let Some(time) = time(text) {
        return Some(Other { kind: "time", hashed: time });
    }
    let digits = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(whole) = whole(&digits) {
        return Some(Other { kind: "int", hashed: whole.to_string() });
    }
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    let is_float = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_float {
        return None;
    }
    digits.parse().ok().map(Other::float)
}

fn whole(digits: &str) -> Option<i64> {
    let (negative, unsigned) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let lower = unsigned.to_ascii_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(start, base)| lower.strip_prefix(start).map(|rest| (rest, base)));
    let (rest, base) = match based {
        Some(based) => based,
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(rest, base).ok()?);
    i64::try_from(if negative { -value } else { value }).ok()
}

/// A date, or a date with a time, as SOPS writes it out.
fn time(text: &str) -> Option<String> {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
        None => (text, None),
    };
    let number = |text: &str, lengths: std::ops::RangeInclusive<usize>, most: u32| {
        let fits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|value| fits && *value <= most)
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4..=4, 9999)?;
    let month = number(parts.next()?, 1..=2, 12)?;
    let day = number(parts.next()?, 1..=2, 31)?;
    if parts.next().is_some() || month == 0 || day == 0 {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some((parting, clock)) = rest else { return Some(format!("{date}T00:00:00Z")) };
    let (clock, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) if parting != " " => (&clock[..at], &clock[at..]),
        None if parting == " " => (clock, "Z"),
        _ => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 1..=2, 23)?;
    let minute = number(parts.next()?, 1..=2, 59)?;
    let second = number(parts.next()?, 1..=2, 59)?;
    let fraction = fraction.trim_end_matches('0');
    let fits = parts.next().is_none()
        && fraction.len() <= 9
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = if matches!(zone, "+00:00" | "-00:00") { "Z" } else { zone };
    fits.then(|| format!("{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}"))
}

/// A decrypted value as it is hashed; `None` where it is not what its type says.
pub(super) fn canonical(kind: &str, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = match kind {
        "int" => text.parse::<i64>().ok()?.to_string(),
        "float" => float(text.parse().ok()?),
        "bool" => match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => boolean(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => boolean(false),
            _ => return None,
        },
        _ => return None,
    };
    Some(Zeroizing::new(text.into_bytes()))
}

/// A value that is not text as it is written in YAML, so that it means the same again.
pub(super) fn written(kind: &str, hashed: &str) -> String {
    match (kind, hashed) {
        ("bool", value) => value.to_ascii_lowercase(),
        ("float", "NaN") => ".nan".to_owned(),
        ("float", "+Inf") => ".inf".to_owned(),
        ("float", "-Inf") => "-.inf".to_owned(),
        // Without its point it would be an integer.
        ("float", value) if !value.contains('.') => format!("{value}.0"),
        (_, value) => value.to_owned(),
    }
}

/// A boolean as it is hashed.
fn boolean(value: bool) -> String {
    (if value { "True" } else { "False" }).to_owned()
}

/// A floating number as it is hashed: no exponent, as few digits as identify it.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        value.to_string()
    }
}
