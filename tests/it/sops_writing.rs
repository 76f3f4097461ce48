//! What appcred writes into SOPS documents is read by the real SOPS, its MAC accepted, and what SOPS
//! then edits is read again.

use appcred::secret::{OpenedSopsDocument, SecretResolver};

use crate::real::{sops, sops_age};
use crate::shell::{Appcred, age_identity};
use crate::sops::{PLAIN, SELECTIONS, Scene, resolver};

const NOW: &str = "2026-11-24T10:00:00Z";

/// What SOPS decrypts, but for comments in lists: those are items as long as they are encrypted.
#[track_caller]
fn decrypted(scene: &Scene, file: &str) -> String {
    let text = sops(scene.project.path(), &scene.identity, ["--decrypt", file]);
    let of_list =
        |line: &&str| line.contains("a comment in a list") || line.contains(",type:comment]");
    text.lines().filter(|line| !of_list(line)).flat_map(|line| [line, "\n"]).collect()
}

#[track_caller]
fn opened<'t>(text: &'t str, resolver: &SecretResolver) -> OpenedSopsDocument<'t> {
    OpenedSopsDocument::open(text, resolver).unwrap().unwrap()
}

/// The lines of one text that another has not.
fn new_lines<'t>(before: &str, after: &'t str) -> Vec<&'t str> {
    after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect()
}

#[test]
fn sops_reads_what_was_written_with_every_option() {
    for selection in SELECTIONS {
        for mac_only in [&[][..], &["--mac-only-encrypted"]] {
            let scene = Scene::new();
            let options: Vec<&str> = selection.iter().chain(mac_only).copied().collect();
            scene.project.write("a.yaml", PLAIN);
            let before = scene.encrypt("a.yaml", &options);
            let resolver = scene.resolver();
            let document = opened(&before, &resolver);
            let clear = document.clear().unwrap();
            assert_eq!(document.seal(&clear, NOW).unwrap(), before, "{options:?}");

            let changed = clear
                .replace("hunter1", "hunter9")
                .replace("key: a", "key: \"a: #\\n\"\n    more: {new: 7, other: text}")
                .replace("no_map:", "literal: |-\n    two\n\n    lines\nno_map:")
                + "last_x: 2026-11-24\nlast_y: |+\n\n  up\n\n";
            let after = document.seal(&changed, NOW).unwrap();
            scene.project.write("a.yaml", &after);
            // What SOPS itself would have made of it.
            scene.project.write("b.yaml", &changed);
            scene.encrypt("b.yaml", &options);
            assert_eq!(
                decrypted(&scene, "a.yaml"),
                decrypted(&scene, "b.yaml"),
                "{options:?}\n{after}"
            );
            let new = new_lines(&before, &after);
            assert!(new.len() <= 15, "{new:#?}");

            sops(
                scene.project.path(),
                &scene.identity,
                ["set", "a.yaml", "[\"one\"]", "\"by-sops\""],
            );
            let by_sops = std::fs::read_to_string(scene.project.join("a.yaml")).unwrap();
            let again = opened(&by_sops, &resolver);
            assert!(again.clear().unwrap().contains("one: by-sops\n"), "{options:?}\n{by_sops}");
        }
    }
}

#[test]
fn sops_reads_what_was_written_into_mappings_that_are_merged() {
    let scene = Scene::new();
    scene
        .project
        .write("a.yaml", "base: &base {one: hunter1}\nhouse:\n  <<: *base\n  two: hunter2\n");
    let before = scene.encrypt("a.yaml", &[]);
    let resolver = scene.resolver();
    let document = opened(&before, &resolver);
    let clear = document.clear().unwrap();
    let changed = clear.replace("hunter1", "hunter8").replace("hunter2", "hunter9");
    scene.project.write("a.yaml", &document.seal(&changed, NOW).unwrap());
    assert_eq!(decrypted(&scene, "a.yaml"), *changed);
}

#[test]
fn sops_reads_comments_of_one_text_in_several_places() {
    let scene = Scene::new();
    let plain = "\
# same
plain: x
# same
one_secret:
    # same
    a: hunter1
    # same
    b: hunter2
two_secret:
    # same
    a: hunter3
";
    scene.project.write("a.yaml", plain);
    let before = scene.encrypt("a.yaml", &["--encrypted-suffix", "_secret"]);
    assert!(before.starts_with("# same\n") && before.contains("type:comment]"), "{before}");
    let resolver = scene.resolver();
    let document = opened(&before, &resolver);
    let clear = document.clear().unwrap();
    assert_eq!(*clear, plain);
    assert_eq!(document.seal(&clear, NOW).unwrap(), before);
    for (old, new) in [
        ("hunter3", "hunter4"),
        ("one_secret:\n    # same\n", "one_secret:\n"),
        ("one_secret:\n    # same\n    a: hunter1\n    # same\n    b: hunter2\n", ""),
        ("# same\nplain", "plain"),
    ] {
        let changed = clear.replacen(old, new, 1);
        let after = document.seal(&changed, NOW).unwrap();
        scene.project.write("a.yaml", &after);
        let read = sops(scene.project.path(), &scene.identity, ["--decrypt", "a.yaml"]);
        let without_indent = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.trim().to_owned()).collect()
        };
        assert_eq!(without_indent(&read), without_indent(&changed), "{after}");
    }
}

#[test]
fn sops_recipients_change_and_nothing_else_does() {
    let scene = Scene::new();
    let (other, other_recipient) = age_identity();
    let other_recipient = other_recipient.to_string();
    scene.project.write("a.yaml", PLAIN);
    let before = scene.encrypt("a.yaml", &[]);
    let own = scene.resolver();
    let document = opened(&before, &own);
    let one = [scene.recipient.clone()];
    let both = [scene.recipient.clone(), other_recipient.clone()];
    assert!(document.rekeyed(&one, false).unwrap().is_none());
    let rekeyed = document.rekeyed(&both, false).unwrap().unwrap();
    // The key for the one that stays is not touched, so that lines are added only.
    assert!(new_lines(&rekeyed, &before).is_empty());
    let read = |text: &str, identity: &str| {
        scene.project.write("a.yaml", text);
        sops(scene.project.path(), identity, ["--decrypt", "a.yaml"])
    };
    assert_eq!(read(&rekeyed, &other), read(&before, &scene.identity));
    assert_eq!(read(&rekeyed, &scene.identity), read(&rekeyed, &other));

    let theirs = resolver(&[&other], scene.project.path());
    let document = opened(&rekeyed, &theirs);
    assert!(document.rekeyed(&both, false).unwrap().is_none());
    assert!(document.rekeyed(&both, true).unwrap().is_some_and(|anew| anew != rekeyed));
    let alone = document.rekeyed(&[other_recipient], false).unwrap().unwrap();
    assert!(OpenedSopsDocument::open(&alone, &own).is_err());
    let added = opened(&alone, &theirs);
    assert!(added.clear().unwrap().contains("one: hunter1\n"));
}

/// Its recipients stay as they are, so that each group still has its part.
#[test]
fn sops_documents_with_a_split_key_are_edited() {
    let scene = Scene::new();
    let (other, for_other) = age_identity();
    let group = |recipient: &str| format!("      - age: [{recipient}]\n");
    let groups = group(&scene.recipient) + &group(&for_other.to_string());
    scene.project.write(".sops.yaml", &format!("creation_rules:\n  - key_groups:\n{groups}"));
    scene.project.write("a.yaml", PLAIN);
    let both = format!("{}\n{other}", scene.identity);
    let run = |arguments: [&str; 2]| sops(scene.project.path(), &both, arguments);
    let before = run(["--encrypt", "a.yaml"]);
    let resolver = resolver(&[&scene.identity, &other], scene.project.path());
    let document = opened(&before, &resolver);
    let changed = document.clear().unwrap().replace("hunter1", "hunter9");
    let after = document.seal(&changed, NOW).unwrap();
    scene.project.write("a.yaml", &after);
    assert!(run(["--decrypt", "a.yaml"]).contains("one: hunter9"));
    let why = document.rekeyed(&[for_other.to_string()], true).unwrap_err().to_string();
    assert_eq!(why, "its recipients are in key groups, which only `sops` can change");
}

#[test]
fn sops_documents_whose_values_comments_choose_are_not_edited() {
    let scene = Scene::new();
    scene.project.write("a.yaml", "# secret\none: hunter1\ntwo: hunter2\n");
    let text = scene.encrypt("a.yaml", &["--encrypted-comment-regex", "secret"]);
    let why = OpenedSopsDocument::open(&text, &scene.resolver()).err().unwrap().to_string();
    assert_eq!(why, "it chooses values by their comments, which only `sops` can change");
}

#[test]
fn sops_documents_of_other_forms_stay_as_they_are() {
    let scene = Scene::new();
    let resolver = scene.resolver();
    let told = |file: &str, plain: &str| {
        scene.project.write(file, plain);
        let text = scene.encrypt(file, &[]);
        let opened = OpenedSopsDocument::open(&text, &resolver);
        opened.and_then(|document| document.unwrap().clear().map(|_| ())).unwrap_err().to_string()
    };
    assert_eq!(told("a.json", "{\"a\": \"b\"}"), "it is JSON, which only `sops` can change");
    assert_eq!(
        told("a.yaml", "a: b\n---\nc: d\n"),
        "it has several documents in one file, which only `sops` can change"
    );
    scene.project.write("a.yaml", "a: b\nc_unencrypted: d\n");
    let text = scene.encrypt("a.yaml", &[]);
    let document = opened(&text, &resolver);
    for (body, why) in [
        (
            "a: &x b\nc: *x\n",
            "the SOPS document is refused: its `sops` part cannot be in a file with aliases, which SOPS never writes",
        ),
        (
            "a: !env_var b\n",
            "line 1 is written in a way that cannot be changed in place: change it by hand",
        ),
        ("a: b\nsops: {}\n", "it has a part `sops` of its own, which only `sops` can change"),
        ("{a: b}\n", "it is a mapping in braces, which only `sops` can change"),
        ("a: [\n", "the SOPS document is refused: it is not complete YAML or JSON"),
    ] {
        assert_eq!(document.seal(body, NOW).unwrap_err().to_string(), why);
    }
    // A value is bound to its place: moved, it is no longer what it was.
    let sealed = document.body().unwrap().lines().next().unwrap().to_owned();
    let moved = document.seal(&format!("b: {}\n", &sealed[3..]), NOW).unwrap_err();
    assert!(
        moved.to_string().ends_with("the value of `b` was changed or moved after it was encrypted")
    );
    // A crossed bit in what is not changed is not signed anew.
    let flipped = text.replace("c_unencrypted: d", "c_unencrypted: e");
    assert!(OpenedSopsDocument::open(&flipped, &resolver).is_err());
}

#[test]
fn sops_age_of_npm_reads_what_was_written() {
    let scene = Scene::new();
    let text =
        "one: hunter1\nlist:\n  - {key: a, number: 1.5}\n  - b\nflag: true\nclear_unencrypted: x\n";
    scene.project.write("a.yaml", text);
    let before = scene.encrypt("a.yaml", &[]);
    let resolver = scene.resolver();
    let document = opened(&before, &resolver);
    let changed =
        document.clear().unwrap().replace("hunter1", "hunter9") + "new: {deep: \"ünï\\n\"}\n";
    scene.project.write("a.yaml", &document.seal(&changed, NOW).unwrap());
    assert_eq!(
        sops_age(&scene.project.join("a.yaml"), &scene.identity),
        serde_json::json!({
            "one": "hunter9", "list": [{"key": "a", "number": 1.5}, "b"], "flag": true,
            "clear_unencrypted": "x", "new": {"deep": "ünï\n"},
        })
    );
}

#[test]
fn a_date_is_the_same_day_however_sops_writes_it() {
    let manifest = "application_credentials:
  - {domain: fitbit, client_id: a1, client_secret: s3cr3tfitbit99, expires: 2098-03-01, rotate_after: \"2097-01-02\"}
";
    let scene = Scene::new();
    scene.project.write("credentials.yaml", manifest);
    let written = scene.encrypt("credentials.yaml", &["--encrypted-regex", "^client_secret$"]);
    assert!(written.contains("expires: 2098-03-01T00:00:00Z"), "{written}");
    let appcred = Appcred::new().in_dir(scene.project.path());
    let appcred = appcred.env("SOPS_AGE_KEY", &scene.identity).args(["validate", "--strict"]);
    assert_eq!(appcred.run().stderr, "", "{written}");
}
