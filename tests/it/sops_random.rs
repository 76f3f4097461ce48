//! Documents of all kinds are read as the real SOPS reads them, and so are changed ones, or refused.

use std::fs;
use std::process::Command;

use appcred::secret::{OpenedSopsDocument, SecretResolver};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use proptest::{collection, option, proptest};
use serde_yaml::Value;

use crate::real::SOPS;
use crate::sops::{SELECTIONS, Scene};

fn cases() -> ProptestConfig {
    const EACH_TIME: u32 = 40;
    let config = ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::default() };
    // As `laws.rs` does.
    if config.cases > 256 {
        config
    } else {
        ProptestConfig { cases: EACH_TIME, rng_seed: RngSeed::Fixed(1), ..config }
    }
}

/// A value, as it is written.
#[derive(Clone, Debug)]
enum Written {
    /// On one line.
    Scalar(String),
    /// Below `|`.
    Block(Vec<String>),
    List(Vec<Written>),
    Map(Vec<Pair>),
}

#[derive(Clone, Debug)]
struct Pair {
    comment: Option<String>,
    key: String,
    value: Written,
    trailing: Option<String>,
}

fn scalars() -> impl Strategy<Value = Written> {
    let odd = select(vec![
        "true",
        "False",
        "yes",
        "off",
        "null",
        "~",
        "",
        "0",
        "-1",
        "0777",
        "0o17",
        "0x1F",
        "1_000",
        "1.50",
        "1e3",
        "1.5e-9",
        "-0.0",
        "1000000.0",
        "123456789012345678",
        "12345678901234567890",
        ".inf",
        "2026-11-23",
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.50+02:00",
        "2026-11-23 10:00:00",
        "12:30:45",
        "plain text",
        "'it''s'",
        "'#no comment'",
        "a#b",
        "ENC[AES256_GCM,data:x]",
        "=",
        "[]",
        "{}",
        "[a, 1, {b: c}]",
    ]);
    prop_oneof![
        odd.prop_map(|text| Written::Scalar(text.to_owned())),
        any::<i64>().prop_map(|number| Written::Scalar(number.to_string())),
        any::<i32>().prop_map(|number| Written::Scalar(format!("{}", f64::from(number) / 64.0))),
        "[ -~äß€😀\n\t]{0,24}"
            .prop_map(|text| Written::Scalar(serde_json::to_string(&text).unwrap())),
        collection::vec("[!-~][ -~]{0,12}", 1..4).prop_map(Written::Block),
    ]
}

fn comments() -> impl Strategy<Value = Option<String>> {
    option::weighted(0.2, "[ -~]{0,12}")
}

fn pairs(values: impl Strategy<Value = Written>) -> impl Strategy<Value = Vec<Pair>> {
    let keys = prop_oneof![
        "[a-z]{1,4}(_x|_y|_unencrypted|_encrypted)?",
        "[ -~é]{1,6}".prop_map(|key| serde_json::to_string(&key).unwrap()),
        select(vec!["one", "two_x", "deep", "numbers", "times", "1", "true", "null"])
            .prop_map(str::to_owned),
    ];
    let pair = (comments(), keys, values, comments());
    let pair =
        pair.prop_map(|(comment, key, value, trailing)| Pair { comment, key, value, trailing });
    // A key twice is no YAML.
    collection::vec(pair, 1..6).prop_map(|mut all| {
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|pair| pair.key != "sops" && seen.insert(pair.key.trim_matches('"').to_owned()));
        all
    })
}

fn documents() -> impl Strategy<Value = String> {
    let value = scalars().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 1..4).prop_map(Written::List),
            pairs(inner).prop_map(Written::Map),
        ]
    });
    pairs(value).prop_map(|pairs| {
        let mut text = String::new();
        write_pairs(&pairs, 0, &mut text);
        text
    })
}

fn write_pairs(pairs: &[Pair], indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    for Pair { comment, key, value, trailing } in pairs {
        if let Some(comment) = comment {
            text.push_str(&format!("{pad}# {comment}\n"));
        }
        text.push_str(&format!("{pad}{key}:"));
        write_value(value, trailing.as_deref(), indent, text);
    }
}

fn write_value(value: &Written, trailing: Option<&str>, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent + 2);
    let trailing = trailing.map(|trailing| format!(" # {trailing}")).unwrap_or_default();
    match value {
        Written::Scalar(scalar) => text.push_str(&format!(" {scalar}{trailing}\n")),
        Written::Block(lines) => {
            text.push_str(" |\n");
            lines.iter().for_each(|line| text.push_str(&format!("{pad}{line}\n")));
        }
        Written::List(items) => {
            text.push('\n');
            for item in items {
                text.push_str(&format!("{pad}-"));
                write_value(item, None, indent + 2, text);
            }
        }
        Written::Map(pairs) => {
            text.push('\n');
            write_pairs(pairs, indent + 2, text);
        }
    }
}

/// What SOPS prints, or that it refuses.
fn sops(scene: &Scene, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(SOPS)
        .arg("--disable-version-check")
        .args(arguments)
        .current_dir(scene.project.path())
        .env_clear()
        .env("HOME", scene.project.path())
        .env("SOPS_AGE_KEY", &scene.identity)
        .output()
        .unwrap_or_else(|error| panic!("{SOPS}: {error}; `tests/run` brings it"));
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What appcred reads of a document.
fn ours(text: &str, resolver: &SecretResolver) -> Result<String, String> {
    let opened = OpenedSopsDocument::open(text, resolver).map_err(|why| why.to_string())?;
    let opened = opened.ok_or("it is no SOPS document")?;
    opened.clear().map(|clear| clear.to_string()).map_err(|why| why.to_string())
}

/// The values of a document.
fn values(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

/// Whether a document has the values that SOPS printed. Where a text below a list begins with a line break, it
/// prints `|4`, which is more than it then indents by: no YAML, and it does not read it again either.
fn has_values(ours: &str, theirs: &str) -> bool {
    let ours = values(ours);
    match serde_yaml::from_str(theirs) {
        Ok(theirs) => are_same(&ours, &theirs),
        Err(why) => {
            assert!(theirs.contains("|4"), "{why}: {theirs}");
            true
        }
    }
}

/// Whether it is a comment that SOPS has made an item of a list. As text it stays as it is.
fn is_comment(item: &Value) -> bool {
    let text = item.as_str().unwrap_or_default();
    text.starts_with("ENC[AES256_GCM,") && text.ends_with(",type:comment]")
}

/// Whether they are the same values, in whatever form numbers are written.
fn are_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Sequence(ours), Value::Sequence(theirs)) => {
            let ours: Vec<_> = ours.iter().filter(|item| !is_comment(item)).collect();
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| are_same(ours, theirs))
        }
        (Value::Mapping(ours), Value::Mapping(theirs)) => {
            let is_there = |(key, ours): (&Value, &Value)| {
                theirs.get(key).is_some_and(|theirs| are_same(ours, theirs))
            };
            ours.len() == theirs.len() && ours.iter().all(is_there)
        }
        // SOPS drops a tag that is not YAML's own, and takes the value for text. Here it stays, as all that is not encrypted.
        (Value::Tagged(ours), Value::String(text)) => match &ours.value {
            Value::String(ours) => ours == text,
            ours => are_same(ours, &values(text)),
        },
        (Value::Tagged(ours), theirs) => are_same(&ours.value, theirs),
        (ours, theirs) => ours == theirs,
    }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn a_document_is_read_as_sops_reads_it(
        plain in documents(),
        selection in select(SELECTIONS),
        mac_only in any::<bool>(),
        (at, byte) in (any::<Index>(), b' '..=b'~'),
    ) {
        let scene = Scene::new();
        scene.project.write("a.yaml", &plain);
        let mut options = vec!["--encrypt", "--age", &scene.recipient];
        options.extend(selection);
        options.extend(mac_only.then_some("--mac-only-encrypted"));
        options.push("a.yaml");
        // What it does not take is none of its documents.
        if let Ok(encrypted) = sops(&scene, &options) {
            let resolver = scene.resolver();
            let read = ours(&encrypted, &resolver);
            scene.project.write("a.yaml", &encrypted);
            match (sops(&scene, &["--decrypt", "a.yaml"]), &read) {
                (Ok(theirs), Ok(ours)) => assert!(has_values(ours, &theirs), "{ours}\n{theirs}\n{plain}\n{encrypted}"),
                (Err(_), Err(_)) => {}
                (theirs, _) => panic!("{read:?}, where SOPS has {theirs:?}\n{plain}\n{encrypted}"),
            }
            let mut changed = encrypted.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = byte;
            if let Ok(changed) = String::from_utf8(changed)
                && let Ok(ours) = ours(&changed, &resolver)
            {
                fs::write(scene.project.join("a.yaml"), &changed).unwrap();
                match sops(&scene, &["--decrypt", "a.yaml"]) {
                    Ok(theirs) => assert!(has_values(&ours, &theirs), "{ours}\n{theirs}\n{changed}"),
                    Err(why) => panic!("SOPS refuses what was read: {why}\n{changed}"),
                }
            }
        }
    }
}

/// By a changed byte, a value in plain text that the MAC does not guard can come to have one.
#[test]
fn a_tag_of_a_value_in_plain_text_is_read_as_sops_reads_it() {
    let scene = Scene::new();
    scene.project.write("a.yaml", "one: 1\nplain: here\n");
    let options = [
        "--encrypt",
        "--age",
        &scene.recipient,
        "--encrypted-regex",
        "one",
        "--mac-only-encrypted",
        "a.yaml",
    ];
    let encrypted = sops(&scene, &options).unwrap();
    let resolver = scene.resolver();
    for value in [
        "!7",
        "!7086150132837505",
        "!a text",
        "!a 'text'",
        "!a 0777",
        "!a true",
        "!a null",
        "!a ~",
        "!a 1.50",
        "!a [x, 2]",
        "!a {b: 2}",
        "! 1",
    ] {
        let text = encrypted.replace("plain: here", &format!("plain: {value}"));
        scene.project.write("a.yaml", &text);
        let theirs = sops(&scene, &["--decrypt", "a.yaml"]).unwrap();
        let ours = ours(&text, &resolver).unwrap();
        assert!(ours.contains(&format!("plain: {value}\n")), "{ours}");
        assert!(has_values(&ours, &theirs), "{ours}\n{theirs}");
    }
}

#[test]
fn a_document_of_a_version_is_read_where_sops_reads_it() {
    let scene = Scene::new();
    scene.project.write("a.yaml", "one: 1\n");
    let encrypted = sops(&scene, &["--encrypt", "--age", &scene.recipient, "a.yaml"]).unwrap();
    let (before, version) = encrypted.split_once("    version: ").unwrap();
    let resolver = scene.resolver();
    let mut read = 0;
    let versions = "3.0.0 v3.11.0 vv3.0.0 1.x 1. v1.x 2 3.11 3.11.0.1 03.1.0 3.01.0 3.0.00 3.0.0- 3.0.0-rc.1 3.0.0-rc.01 3.0.0-0a.0 \
        3.0.0-rc..1 3.0.0-r_c 3.0.0+b.01 3.0.0+ 3.0.0+b..c 3.0.0+b+c 3.0.0+b-c 3.0.0-a-b -3.0.0 3..0 3.0.18446744073709551616 \
        3.0.18446744073709551615 3.0.0-18446744073709551616 3,0,0 x ''";
    for version in versions.split_whitespace().chain([version.trim()]) {
        let text = format!("{before}    version: {version}\n");
        scene.project.write("a.yaml", &text);
        let (theirs, ours) = (sops(&scene, &["--decrypt", "a.yaml"]), ours(&text, &resolver));
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{version}: {ours:?}, where SOPS has {theirs:?}");
        read += u32::from(ours.is_ok());
    }
    assert!(read > 4, "{read}");
}
