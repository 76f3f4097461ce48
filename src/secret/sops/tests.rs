use super::scalar::{TypedScalar, float, meaning, written};

/// What a plain scalar is hashed as; `None` where it is text.
fn hashed(text: &str) -> Option<String> {
    match meaning(text, true) {
        TypedScalar::Other(other) => Some(other.hashed),
        TypedScalar::Text => None,
        TypedScalar::Null => Some("null".to_owned()),
    }
}

#[test]
fn values_without_quotes_mean_what_they_mean_to_sops() {
    for (text, expected) in [
        ("", "null"),
        ("~", "null"),
        ("TRUE", "True"),
        ("False", "False"),
        ("0777", "511"),
        ("0o17", "15"),
        ("-0x1F", "-31"),
        ("0b101", "5"),
        ("1_000", "1000"),
        ("+12", "12"),
        ("1.50", "1.5"),
        ("1e30", "1000000000000000000000000000000"),
        ("1.5e-9", "0.0000000015"),
        (".5", "0.5"),
        ("-.inf", "-Inf"),
        (".NaN", "NaN"),
        ("2026-11-23", "2026-11-23T00:00:00Z"),
        ("2026-1-2 3:04:05.50", "2026-01-02T03:04:05.5Z"),
        ("2026-11-23T10:00:00+02:00", "2026-11-23T10:00:00+02:00"),
    ] {
        assert_eq!(hashed(text).as_deref(), Some(expected), "{text}");
        let TypedScalar::Other(other) = meaning(text, true) else { continue };
        // Written out again it is of the same type, and the same.
        let TypedScalar::Other(again) = meaning(&written(other.kind, &other.hashed), true) else {
            panic!("{text} became text");
        };
        assert_eq!(again, other, "{text}");
    }
    for text in ["yes", "on", "y", "1:30", "1.2.3", "0x", "12ab", "2026-13-01", "-", ".", "+-1"] {
        assert_eq!(hashed(text), None, "{text}");
    }
}

#[test]
fn numbers_have_no_exponent_and_as_few_digits_as_tell_them_apart() {
    for (value, expected) in [(0.1 + 0.2, "0.30000000000000004"), (1e21, "1000000000000000000000")]
    {
        assert_eq!(float(value), expected);
    }
}
