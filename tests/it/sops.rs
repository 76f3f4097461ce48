//! Documents of the real SOPS are read right, and refused once anything in them is not as it was.

use appcred::manifest::{LoadRequest, load};
use appcred::secret::{
    AllowedPaths, Identities, Nobody, SecretResolver, Unreadable, env::IdentitySources, read,
};

use crate::real::sops;
use crate::shell::{Project, age_identity};
use appcred::model::{Reference, Secret, value_fault};

/// A folder with `secrets.yaml`, and the key for it.
pub(crate) struct Scene {
    pub(crate) project: Project,
    pub(crate) identity: String,
    pub(crate) recipient: String,
}

/// All that SOPS tells apart.
pub(crate) const PLAIN: &str = r#"# hunter0
one: hunter1 # hunter00
two_x: "hunter2\n"
three: |
  hunter3
  hunter4
four_y: ünïcode
five_unencrypted: hunter5
yes_no: yes
empty: ""
nothing: null
numbers: [1, 1.50, 1e30, 1.5e-9, 0777, 0x1F, 1_000, .inf, -3, 1000.0]
flags: {right: true, wrong: False}
times: [2026-11-23, 2026-11-23T10:00:00.50+02:00]
deep:
  # one
  key: a
  # two
  list:
    - b
    - [c, d]
    # a comment in a list
    - {key: e, values: [f]}
    - key: g
# last
no_list: []
no_map: {}
"quoted: key": x
"#;

/// The same, and a second document.
fn two_documents() -> String {
    format!("{PLAIN}---\nsecond: hunter6\n")
}

const NAMES: &[&str] = &["one", "two_x", "three", "four_y", "five_unencrypted", "yes_no", "second"];

impl Scene {
    pub(crate) fn new() -> Self {
        let (identity, recipient) = age_identity();
        Self { project: Project::new(), identity, recipient: recipient.to_string() }
    }

    /// Encrypts a file in place, with options for SOPS.
    #[track_caller]
    pub(crate) fn encrypt(&self, file: &str, options: &[&str]) -> String {
        let fixed = ["--encrypt", "--age", &self.recipient];
        let arguments: Vec<_> = fixed.iter().chain(options).copied().chain([file]).collect();
        let text = sops(self.project.path(), &self.identity, arguments);
        self.project.write(file, &text);
        text
    }

    pub(crate) fn resolver(&self) -> SecretResolver {
        resolver(&[&self.identity], self.project.path())
    }

    fn read(&self, name: &str) -> Result<Secret, Unreadable> {
        read(&self.named(name), &self.resolver())
    }

    fn named(&self, name: &str) -> Reference {
        Reference::Tagged {
            tag: "secret".to_owned(),
            argument: name.to_owned(),
            base: self.project.join("manifest.yaml").into(),
        }
    }

    /// Some names with what they stand for, or why they cannot be read.
    fn all(&self) -> Vec<Result<Secret, Unreadable>> {
        let resolver = self.resolver();
        NAMES.iter().map(|name| read(&self.named(name), &resolver)).collect()
    }
}

pub(crate) fn resolver(identities: &[&str], folder: &std::path::Path) -> SecretResolver {
    let texts = identities.iter().map(|text| ("SOPS_AGE_KEY", Secret::new(text))).collect();
    let sources = IdentitySources { texts, ..IdentitySources::default() };
    let (identities, problems) = Identities::gather(&[], &sources, Nobody);
    assert!(problems.is_empty(), "{problems:?}");
    SecretResolver::new(
        identities,
        AllowedPaths { project: folder.to_owned(), ..AllowedPaths::default() },
    )
}

fn expected() -> Vec<Result<Secret, Unreadable>> {
    let unfit = |text| Err(Unreadable::Unfit(value_fault(text, false).unwrap()));
    let secret = |text| Ok(Secret::new(text));
    let [a, b, c, d, e] = ["hunter1", "hunter2", "hunter5", "yes", "hunter6"].map(secret);
    vec![a, b, unfit("several\nlines"), unfit("ünïcode"), c, d, e]
}

pub(crate) const SELECTIONS: &[&[&str]] = &[
    &[],
    &["--encrypted-regex", "^(one|two.*|deep)$"],
    &["--encrypted-suffix", "_x"],
    &["--unencrypted-regex", "^(one|numbers|times|fla)"],
    &["--unencrypted-suffix", "_y"],
    &["--encrypted-regex", "nothing has this"],
    &["--unencrypted-regex", "."],
];

#[test]
fn sops_files_with_every_option_are_read() {
    let scene = Scene::new();
    for selection in SELECTIONS {
        for mac_only in [&[][..], &["--mac-only-encrypted"]] {
            scene.project.write("secrets.yaml", &two_documents());
            let options: Vec<&str> = selection.iter().chain(mac_only).copied().collect();
            let text = scene.encrypt("secrets.yaml", &options);
            assert_eq!(scene.all(), expected(), "{options:?}\n{text}");
            assert_eq!(scene.read("flags"), no_such("flags"), "{options:?}");
        }
    }
}

fn no_such(name: &str) -> Result<Secret, Unreadable> {
    Err(Unreadable::NoSecret {
        name: name.to_owned(),
        looked: ["secrets.yaml".to_owned()].into(),
        misnamed: Box::default(),
        near: None,
    })
}

#[test]
fn sops_json_is_read() {
    let scene = Scene::new();
    let text = r#"{"one": "hunter1", "n": [1, 1.0, 1e3, 12345678901234567890, -0.5, true, null, "<é\n>"],
        "deep": {"one": "x", "e": {}, "l": []}}"#;
    for selection in [&[][..], &["--encrypted-regex", "^one$"]] {
        scene.project.write("secrets.sops.json", text);
        scene.encrypt("secrets.sops.json", selection);
        assert_eq!(scene.read("one"), Ok(Secret::new("hunter1")), "{selection:?}");
    }
}

#[test]
fn sops_json_is_read_as_a_manifest() {
    let scene = Scene::new();
    let entry = r#"{"domain": "spotify", "client_id": "c", "client_secret": "hunt\"er1"}"#;
    let manifest = format!(r#"{{"application_credentials": [{entry}]}}"#);
    scene.project.write("credentials.json", &manifest);
    let text = scene.encrypt("credentials.json", &["--encrypted-regex", "^client_secret$"]);
    scene.project.write("credentials.yaml", &text);
    let loaded =
        load(&LoadRequest { folder: scene.project.path().to_owned(), home: None, owner: None });
    let secret = &loaded.entries[0].client_secret.value;
    assert_eq!(read(secret, &scene.resolver()), Ok(Secret::new("hunt\"er1")));
}

/// SOPS keeps all pairs of a key that is there twice, and its MAC is that of all.
#[test]
fn a_key_that_is_there_twice_keeps_no_other_secret_from_being_read() {
    let scene = Scene::new();
    let deep = r#"{"x": {"A": "hunter1"}, "B": "hunter2", "x": {"A": "hunter3"}}"#;
    for (file, text, name, lines) in [
        ("a.env", "A=hunter1\nB=hunter2\nA=hunter3\n", "A", [1, 3]),
        ("a.json", r#"{"A": "hunter1", "B": "hunter2", "A": "hunter3"}"#, "A", [2, 4]),
        ("deep.json", deep, "x/A", [3, 7]),
    ] {
        scene.project.write(file, text);
        scene.encrypt(file, &[]);
        let read = |name: &str| {
            let reference = Reference::Tagged {
                tag: "file".to_owned(),
                argument: format!("{file}#{name}"),
                base: scene.project.join("manifest.yaml").into(),
            };
            read(&reference, &scene.resolver())
        };
        assert_eq!(read("B"), Ok(Secret::new("hunter2")), "{file}");
        let twice = Unreadable::Twice { lines };
        let within = Unreadable::Within { file: file.to_owned(), why: Box::new(twice) };
        assert_eq!(read(name), Err(within), "{file}");
    }
}

/// SOPS encrypts what `<<` merges as if that were a key, each alias for itself.
#[test]
fn mappings_that_are_merged_are_read_as_sops_wrote_them() {
    let scene = Scene::new();
    let text = "base: &base {one: hunter1, two: hunter2}\nhouse:\n  <<: *base\n  two: hunter3\nalias: *base\n";
    scene.project.write("secrets.yaml", text);
    let text = scene.encrypt("secrets.yaml", &[]);
    assert!(text.contains("!!merge <<:"), "{text}");
    for (name, secret) in [
        ("base/two", "hunter2"),
        ("house/one", "hunter1"),
        ("house/two", "hunter3"),
        ("alias/one", "hunter1"),
    ] {
        assert_eq!(scene.read(name), Ok(Secret::new(secret)), "{name}");
    }
    let manifest = "base: &base {domain: spotify, client_id: c, client_secret: hunter4}\napplication_credentials:\n  - <<: *base\n    name: Family\n";
    scene.project.write("credentials.yaml", manifest);
    scene.encrypt("credentials.yaml", &["--encrypted-regex", "^client_secret$"]);
    let loaded =
        load(&LoadRequest { folder: scene.project.path().to_owned(), home: None, owner: None });
    let secret = &loaded.entries[0].client_secret.value;
    assert_eq!(read(secret, &scene.resolver()), Ok(Secret::new("hunter4")));
}

#[test]
fn sops_file_of_any_other_kind_is_read() {
    let scene = Scene::new();
    scene.project.write("token.txt", "hunter1\n");
    scene.encrypt("token.txt", &["--input-type", "binary"]);
    let reference = Reference::Tagged {
        tag: "file".to_owned(),
        argument: "token.txt".to_owned(),
        base: scene.project.join("manifest.yaml").into(),
    };
    assert_eq!(read(&reference, &scene.resolver()), Ok(Secret::new("hunter1")));
}

#[test]
fn sops_recipients_any_of_which_opens() {
    let scene = Scene::new();
    let (other, other_recipient) = age_identity();
    let (third, _) = age_identity();
    scene.project.write("secrets.yaml", &two_documents());
    let both = format!("{other_recipient},{}", scene.recipient);
    scene.encrypt("secrets.yaml", &["--age", &both]);
    let with = |identities: &[&str]| {
        read(&scene.named("one"), &resolver(identities, scene.project.path()))
    };
    assert_eq!(with(&[&other]), Ok(Secret::new("hunter1")));
    assert_eq!(with(&[&third, &scene.identity]), Ok(Secret::new("hunter1")));
    let told = |identities: &[&str]| with(identities).unwrap_err().to_string();
    assert_eq!(
        told(&[&third]),
        "secrets.yaml: it is encrypted to 2 recipients, and none of the age identities found can decrypt it (1 tried)"
    );
    assert!(told(&[]).contains("encrypted to 2 recipients, and no age identity"), "{}", told(&[]));
}

#[test]
fn sops_documents_without_an_age_recipient_say_what_they_need() {
    let scene = Scene::new();
    scene.project.write("secrets.yaml", "one: hunter1\n");
    let text = scene.encrypt("secrets.yaml", &[]);
    let told = |text: &str| {
        scene.project.write("secrets.yaml", text);
        scene.read("one").unwrap_err().to_string()
    };
    let age = &text[text.find("    age:").unwrap()..text.find("    lastmodified").unwrap()];
    let other = "    pgp:\n        - fp: 0123\n          enc: x\n";
    assert_eq!(
        told(&text.replace(age, other)),
        "secrets.yaml: the SOPS document is refused: it is encrypted to PGP and to no age recipient, so only `sops` can decrypt it"
    );
    let group = age.replace("\n    ", "\n            ").replacen("    age:", "", 1);
    let groups = format!("    key_groups:\n        - age:{group}\n");
    scene.project.write("secrets.yaml", &text.replace(age, &groups));
    assert_eq!(scene.read("one"), Ok(Secret::new("hunter1")));
}

/// A key that is split among three groups, of which two are needed, and one that needs all.
#[test]
fn a_key_that_sops_has_split_is_put_together() {
    let scene = Scene::new();
    let [(a, for_a), (b, for_b), (c, for_c)] = [(); 3].map(|()| age_identity());
    for (threshold, enough, too_few) in [
        ("\n    shamir_threshold: 2", vec![vec![&a, &c], vec![&b, &a], vec![&c, &b, &a]], vec![&b]),
        ("", vec![vec![&c, &b, &a]], vec![&a, &b]),
    ] {
        let group = |recipient| format!("      - age: [{recipient}]\n");
        let groups = [&for_a, &for_b, &for_c].map(group).concat();
        let rules = format!("creation_rules:\n  - key_groups:\n{groups}{threshold}\n");
        scene.project.write(".sops.yaml", &rules);
        scene.project.write("secrets.yaml", PLAIN);
        let text = sops(scene.project.path(), &a, ["--encrypt", "secrets.yaml"]);
        scene.project.write("secrets.yaml", &text);
        let with = |identities: &[&String]| {
            let texts: Vec<&str> = identities.iter().map(|text| text.as_str()).collect();
            read(&scene.named("one"), &resolver(&texts, scene.project.path()))
        };
        for enough in enough {
            assert_eq!(with(&enough), Ok(Secret::new("hunter1")), "{text}");
        }
        let (needed, opened) = if threshold.is_empty() { (3, 2) } else { (2, 1) };
        assert_eq!(
            with(&too_few).unwrap_err().to_string(),
            format!(
                "secrets.yaml: the SOPS document is refused: its key is split among 3 key groups, of which {needed} are needed, and the age identities found open {opened}"
            )
        );
    }
}

#[test]
fn values_that_comments_choose_are_read_and_guarded() {
    let scene = Scene::new();
    let plain = "# secret\none: hunter1\ntwo_x: hunter2\ndeep:\n  # secret\n  key: a\n  other: b\n";
    for option in ["--encrypted-comment-regex", "--unencrypted-comment-regex"] {
        scene.project.write("secrets.yaml", plain);
        let text = scene.encrypt("secrets.yaml", &[option, "secret"]);
        // Two of the four, and the MAC.
        assert_eq!(text.matches(": ENC[").count(), 3, "{text}");
        for (name, secret) in [("one", "hunter1"), ("two_x", "hunter2"), ("deep/other", "b")] {
            assert_eq!(scene.read(name), Ok(Secret::new(secret)), "{option}\n{text}");
        }
        // What was encrypted cannot be exchanged for plain text.
        let line = text.lines().find(|line| line.contains(": ENC[")).unwrap();
        let name = &line[..line.find(':').unwrap()];
        scene.project.write("secrets.yaml", &text.replace(line, &format!("{name}: mine")));
        assert!(scene.read("one").unwrap_err().to_string().contains("MAC does not match"));
    }
}

/// The MAC leaves out what a rule of comments would say is not encrypted.
#[test]
fn a_rule_of_comments_lets_no_plain_value_into_a_document() {
    let scene = Scene::new();
    scene.project.write("secrets.yaml", "one: hunter1\ntwo: hunter2\n");
    let text =
        scene.encrypt("secrets.yaml", &["--mac-only-encrypted", "--encrypted-regex", "one|two"]);
    assert_eq!(scene.read("one"), Ok(Secret::new("hunter1")));
    let by_comment = text.replace("encrypted_regex: one|two", "encrypted_comment_regex: x");
    scene
        .project
        .write("secrets.yaml", &by_comment.replacen("one: ENC", "one:\n  - mine\n  - ENC", 1));
    assert_eq!(
        scene.read("one").unwrap_err().to_string(),
        "secrets.yaml: the SOPS document is refused: its `sops` part chooses values by their comments and has `mac_only_encrypted`, which only `sops` can check"
    );
}

#[test]
fn a_key_is_not_split_among_fewer_groups_than_are_needed() {
    let scene = Scene::new();
    let groups = format!("      - age: [{0}]\n      - age: [{0}]\n", scene.recipient);
    scene.project.write(".sops.yaml", &format!("creation_rules:\n  - key_groups:\n{groups}"));
    scene.project.write("secrets.yaml", PLAIN);
    let text = sops(scene.project.path(), &scene.identity, ["--encrypt", "secrets.yaml"]);
    for (threshold, why) in [
        ("0", None),
        ("3", Some("needs more key groups than it has")),
        ("18446744073709551615", Some("needs more key groups than it has")),
        ("-1", Some("is damaged")),
    ] {
        let changed =
            text.replace("shamir_threshold: 2", &format!("shamir_threshold: {threshold}"));
        scene.project.write("secrets.yaml", &changed);
        let read = scene.read("one");
        match why {
            None => assert_eq!(read, Ok(Secret::new("hunter1"))),
            Some(why) => assert!(read.unwrap_err().to_string().ends_with(why), "{changed}"),
        }
    }
}

#[test]
fn sops_flipped_bits_never_change_what_is_read() {
    for options in [&[][..], &["--unencrypted-regex", "^(numbers|deep)$"]] {
        let scene = Scene::new();
        scene.project.write("secrets.yaml", &two_documents());
        let text = scene.encrypt("secrets.yaml", options);
        let mut refused = 0;
        let body = text.find("\nsops:").unwrap();
        let mac = text.find("    mac:").unwrap();
        let end = mac + text[mac..].find('\n').unwrap();
        for at in (0..body).chain(mac + "    mac: ".len()..end).step_by(3) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << (at % 7);
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            scene.project.write("secrets.yaml", &changed);
            let answers = scene.all();
            if answers.iter().all(Result::is_ok) {
                assert_eq!(answers, expected(), "byte {at} of\n{text}");
                let start = text[..at].rfind('\n').map_or(0, |before| before + 1);
                let line = text[start..].lines().next().unwrap_or_default().trim_start();
                let rest = text[at..].lines().next().unwrap_or_default();
                let is_key_of_clear = !line.contains("ENC[") && rest.contains(':');
                // SOPS hashes neither comments nor what is empty, nor how it is laid out, nor the
                // keys of values in plain text.
                let nothing = ["#", "empty:", "nothing:", "no_list:", "no_map:"];
                let harmless = nothing.iter().any(|start| line.starts_with(start))
                    || is_key_of_clear
                    || line.ends_with("type:comment]")
                    || text[at..].starts_with(['\n', ' ', '"', '\'']);
                assert!(harmless, "byte {at}, in {line:?}, may be changed");
            } else {
                refused += 1;
            }
        }
        assert!(refused > 500, "{refused}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of changes")]
fn sops_changes_are_refused_and_named() {
    let scene = Scene::new();
    scene.project.write(
        "secrets.yaml",
        "list:\n- {key: a}\n- {key: b}\none: hunter1\ntwo: hunter2\nclear_unencrypted: x\nlong: [a, b]\n",
    );
    let text = scene.encrypt("secrets.yaml", &[]);
    let value = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let keys: Vec<_> =
        text.lines().filter(|line| line.trim_start().starts_with("- key:")).collect();
    let (one, two) = (value("one:"), value("two:"));
    let swapped =
        |text: &str, a: &str, b: &str| text.replace(a, "(a)").replace(b, a).replace("(a)", b);
    let mac = "it was changed after it was encrypted: its MAC does not match";
    let itself = "its MAC, or the time of its last change, was changed after it was encrypted";
    for (what, changed, told) in [
        (
            "values swapped",
            swapped(&text, &one, &two),
            "the value of `one` was changed or moved after it was encrypted",
        ),
        ("values of one path swapped", swapped(&text, keys[0], keys[1]), mac),
        ("a key removed", text.replace(&format!("two: {two}\n"), ""), mac),
        ("a key added", format!("new_unencrypted: 1\n{text}"), mac),
        (
            "a key renamed",
            text.replace("two: ", "owt: "),
            "the value of `owt` was changed or moved after it was encrypted",
        ),
        (
            "keys in another order",
            swapped(&text, &format!("one: {one}"), &format!("two: {two}")),
            mac,
        ),
        (
            "a value in plain text",
            text.replace(&two, "hunter3"),
            "the value of `two` is in plain text, and should be encrypted",
        ),
        (
            "a number in plain text",
            text.replace(&two, "3"),
            "the value of `two` is in plain text, and should be encrypted",
        ),
        ("another clear value", text.replace("clear_unencrypted: x", "clear_unencrypted: y"), mac),
        ("another time", text.replace("lastmodified: \"2", "lastmodified: \"1"), itself),
        ("no MAC", text.replace("    mac: ", "    cam: "), "its `sops` part has no MAC"),
        (
            "no version",
            text.replace("    version: ", "    noisrev: "),
            "its `sops` part names no version",
        ),
        (
            "a version that is none",
            text.replace("    version: ", "    version: x"),
            "its `sops` part has a `version` that SOPS refuses",
        ),
        (
            "another rule",
            text.replace("unencrypted_suffix: _unencrypted", "encrypted_suffix: e"),
            mac,
        ),
        (
            "an alias",
            text.replace(&two, "*x").replacen("one: ", "one: &x ", 1),
            "its `sops` part cannot be in a file with aliases, which SOPS never writes",
        ),
    ] {
        scene.project.write("secrets.yaml", &changed);
        let answer = scene.read("one").unwrap_err();
        assert_eq!(
            answer.to_string(),
            format!("secrets.yaml: the SOPS document is refused: {told}"),
            "{what}"
        );
    }
}
