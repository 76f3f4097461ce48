//! The words of messages, comments and documents: plain English that a native reader expects.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::documents::{documents, of_repository};
use crate::source_code::{read, sources};

/// What is not written here, and what is written instead.
const FOREIGN: &[(&str, &str)] = &[
    (r"told|tells?", "say, report, inform"),
    (r"at hand", "available"),
    (r"signs", "characters"),
    (r"(comes|came) to", "become, result in"),
    (r"stands?|stood", "be, represent"),
    (r"by (itself|themselves)", "alone, without being asked"),
    (r"lets? go|letting go", "release, give up"),
    (r"(good|well) order|good end", "valid, successful"),
    (r"takes? leave", "close"),
    (r"(wanted|named|watched|needed|asked|has it|does so|is so) no more", "no longer"),
    (r"(is|are|was|be) had", "be available, be read"),
    (r"mend(s|ed|ing)?", "correct, fix"),
    (r"witness(es)?", "recorder"),
    (r"is no manifest of", "is not read as a manifest"),
    (r"(are|is) one Home Assistant", "the same Home Assistant"),
    (r"taken? away", "remove"),
    (r"in clear", "in plain text"),
    (r"hinders?|hindered|hindrances?", "block, prevent"),
    (r"patience", "timeout, deadline"),
    (r"farewells?", "finalizer, shutdown"),
    (r"standings?", "state, progress"),
    (r"complaints?", "error, problem"),
];

/// All of it, so that a text is searched once.
static ANY: LazyLock<Regex> = LazyLock::new(|| {
    let all: Vec<&str> = FOREIGN.iter().map(|(words, _)| *words).collect();
    pattern(&all.join("|"))
});

fn pattern(words: &str) -> Regex {
    // With the borders of ASCII words, as those of Unicode are slow beside other characters.
    Regex::new(&format!(r"(?i-u)\b(?:{words})\b")).unwrap()
}

fn foreign(text: &str) -> Vec<String> {
    // A person signs in.
    let text = text.replace("signs in", "logs in");
    let found = ANY.find_iter(&text).map(|found| {
        let word = found.as_str();
        let (_, instead) = FOREIGN.iter().find(|(words, _)| pattern(words).is_match(word)).unwrap();
        format!("`{word}`, not `{instead}`: {}", text.trim())
    });
    found.collect()
}

#[test]
fn texts_have_no_foreign_words() {
    let mut all = Vec::new();
    for source in sources() {
        let found = source.texts.iter().flat_map(|text| foreign(text));
        all.extend(found.map(|found| format!("{}: {found}", source.path.display())));
    }
    for document in documents().into_iter().chain(of_repository()) {
        let text = fs::read_to_string(root().join(&document)).unwrap();
        let found = text.lines().flat_map(foreign);
        all.extend(found.map(|found| format!("{}: {found}", document.display())));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// The rule finds what is planted in a message, a comment and the documentation of a type.
#[test]
fn the_rule_finds_foreign_words() {
    let count = |text: &str| {
        let sources = read([("plan/a.rs", text)]);
        sources[0].texts.iter().map(|text| foreign(text).len()).sum::<usize>()
    };
    for text in [
        "fn f() { bail!(\"it is told\") }",
        "/// What stands there.\nstruct A;",
        "//! Names of three signs.",
        "fn f() {\n    // Nobody tells.\n}",
        "#[error(\"it is wanted no more\")]\nstruct A;",
    ] {
        assert_eq!(count(text), 1, "{text}");
    }
    for text in
        ["fn stand() { told() }", "/// Whoever signs in.\nstruct A;", "/// no more room\nstruct A;"]
    {
        assert_eq!(count(text), 0, "{text}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whoever lists the tags of secrets by which more than a file is named lists all of them.
#[test]
fn each_list_of_tags_is_whole() {
    let all: Vec<String> = appcred::secret::tags().map(|tag| format!("!{tag}")).collect();
    let has = |text: &str, tag: &String| {
        text.match_indices(tag.as_str()).any(|(at, _)| {
            !text[at + tag.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    let is_partial = |text: &str| {
        let count = all.iter().filter(|tag| has(text, tag)).count();
        has(text, &"!env_var".to_owned()) && count > 1 && count < all.len()
    };
    let mut partial = Vec::new();
    for source in sources() {
        // Comments are lines; those of fields are in the schemas as a whole.
        let is_comment = |text: &str| text.starts_with(' ');
        let texts = source.texts.iter();
        let texts = texts.filter(|text| !is_comment(text) && is_partial(text));
        partial.extend(texts.map(|text| format!("{}: {text}", source.path.display())));
    }
    let schemas = ["schema/manifest.schema.json", "schema/appcred.schema.json"];
    for file in documents().into_iter().chain(schemas.map(Into::into)) {
        let text = fs::read_to_string(root().join(file)).unwrap();
        partial.extend(text.lines().filter(|line| is_partial(line)).map(str::to_owned));
    }
    assert!(partial.is_empty(), "{}", partial.join("\n"));
    assert!(is_partial("`!env_var NAME` or `!secret NAME`") && !is_partial("`!env_var NAME`"));
}
