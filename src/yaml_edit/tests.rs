use std::fmt::Write;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::{Config, FileFailurePersistence};

use super::{
    NewEntry, NewValue, Obstacle, SlotValue, YamlEditError, append, new_manifest, put, slots,
};
use crate::model::Secret;
use crate::yaml;

const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5\ncHRpb24=\n-----END AGE ENCRYPTED FILE-----\n";

const STYLES: &str = "\
# head
application_credentials:
  - domain: spotify
    client_id: abc      # stays
    client_secret:   plain # why
    name: A
  - {domain: twitch, client_id: x, client_secret: 'it''s', name: \"B\"}
  -   domain: google
      client_secret: &anchor >-
        folded
        text
      # between
      client_id: y

  - domain: other
    client_secret:
      \"below\"
  - domain: alias
    client_secret: *anchor
  - domain: done
    client_secret: !env_var X
targets:
  home:
    token: last";

/// Puts the armor in the place of every secret in plain text.
fn encrypted(text: &str) -> Result<String, YamlEditError> {
    let slots = slots(text)?;
    let plain: Vec<_> = slots
        .iter()
        .filter(|slot| matches!(slot.held, SlotValue::Plain(_)))
        .map(|slot| (slot, NewValue::Age(ARMOR)))
        .collect();
    put(text, &plain)
}

#[test]
fn secrets_of_every_style_are_encrypted_in_place() {
    insta::assert_snapshot!(encrypted(STYLES).unwrap(), @r#"
    # head
    application_credentials:
      - domain: spotify
        client_id: abc      # stays
        client_secret:   | # why
          -----BEGIN AGE ENCRYPTED FILE-----
          YWdlLWVuY3J5
          cHRpb24=
          -----END AGE ENCRYPTED FILE-----
        name: A
      - {domain: twitch, client_id: x, client_secret: "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5\ncHRpb24=\n-----END AGE ENCRYPTED FILE-----\n", name: "B"}
      -   domain: google
          client_secret: &anchor |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5
            cHRpb24=
            -----END AGE ENCRYPTED FILE-----
          # between
          client_id: y

      - domain: other
        client_secret:
          |
          -----BEGIN AGE ENCRYPTED FILE-----
          YWdlLWVuY3J5
          cHRpb24=
          -----END AGE ENCRYPTED FILE-----
      - domain: alias
        client_secret: *anchor
      - domain: done
        client_secret: !env_var X
    targets:
      home:
        token: |
          -----BEGIN AGE ENCRYPTED FILE-----
          YWdlLWVuY3J5
          cHRpb24=
          -----END AGE ENCRYPTED FILE-----
    "#);
}

#[test]
fn line_breaks_stay_those_of_the_file() {
    let made = encrypted("targets:\r\n  h:\r\n    token: x\r\n    url: y\r\n").unwrap();
    assert!(!made.replace("\r\n", "").contains('\n'), "{made:?}");
}

#[test]
fn what_was_encrypted_is_found_again_and_replaced() {
    let text = encrypted("targets:\n  h:\n    token: x # note\n    url: y\n").unwrap();
    let found = slots(&text).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].held, SlotValue::Age(ARMOR.trim().to_owned()));
    let other = ARMOR.replace("YWdl", "eHl6");
    assert_eq!(
        put(&text, &[(&found[0], NewValue::Age(&other))]).unwrap(),
        text.replace("YWdl", "eHl6")
    );
    assert_eq!(put(&text, &[(&found[0], NewValue::Age(ARMOR))]).unwrap(), text);
}

#[test]
fn what_is_between_a_key_and_its_block_hides_no_secret() {
    let lines = ARMOR.replace('\n', "\n      ");
    for between in
        ["", " # a", "\n    # a: |", " &a", " &a\n     # | b", " !!str # |", "\n\n    # a\n"]
    {
        let text = format!("targets:\n  h:\n    token:{between}\n     |- # c\n      {lines}\n");
        let found = slots(&text).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        let other = ARMOR.replace("YWdl", "eHl6");
        let made = put(&text, &[(&found[0], NewValue::Age(&other))]).unwrap();
        assert!(
            made.starts_with(&format!("targets:\n  h:\n    token:{between}\n     | # c\n")),
            "{made}"
        );
        assert_eq!(slots(&made).unwrap()[0].held, SlotValue::Age(other.trim().to_owned()));
    }
}

#[test]
fn a_plain_value_before_a_comment_is_in_quotes() {
    for entry in ["  - client_secret: \"k3\" #x\n", "  - {client_secret: \"k3\" #x\n    }\n"] {
        let text = format!("application_credentials:\n{entry}");
        let sealed = encrypted(&text).unwrap();
        let found = slots(&sealed).unwrap();
        let new = Secret::new("k4");
        let made = put(&sealed, &[(&found[0], NewValue::Plain(&new))]).unwrap();
        assert_eq!(made, text.replace("k3", "k4"));
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    assert_eq!(slots("a: [").unwrap_err(), YamlEditError::NotYaml);
    assert_eq!(slots("a: 1\nsops: {}\n").unwrap_err(), YamlEditError::Sops);
    assert_eq!(append("a: 1\n", &[entry()]).unwrap_err(), YamlEditError::NoList);
    let tagged = "application_credentials: !x [{domain: a}]\n";
    assert_eq!(append(tagged, &[entry()]).unwrap_err(), YamlEditError::Line(1, Obstacle::Form));
}

/// Our reader takes a line of white space alone for an empty one, whatever that is; others do not.
#[test]
fn a_line_with_a_tab_alone_is_named_where_it_is_in_the_way() {
    let text = "application_credentials:\n  - {domain: a, client_secret: b}\n\t\n";
    let in_the_way = YamlEditError::Line(3, Obstacle::Tab);
    assert_eq!(append(text, &[entry()]).unwrap_err(), in_the_way);
    let found = slots(text).unwrap();
    let new = Secret::new("k4");
    assert_eq!(put(text, &[(&found[0], NewValue::Plain(&new))]).unwrap_err(), in_the_way);
    // Spaces are nothing to any reader, and a tab in a block of text is a part of it.
    append(&text.replace('\t', "  "), &[entry()]).unwrap();
    let block = "a: |\n  b\n  \t\napplication_credentials: !x []\n";
    assert_eq!(append(block, &[entry()]).unwrap_err(), YamlEditError::Line(4, Obstacle::Form));
}

#[test]
fn an_entry_goes_into_a_list_in_brackets() {
    let added = format!(
        "{{domain: spotify, name: 'Spotify: family', key: family, client_id: '0123', client_secret: {}}}",
        super::write::quoted(ARMOR)
    );
    for (before, after) in [
        (
            "application_credentials: [{domain: a}] # x\n",
            "application_credentials: [{domain: a}, @] # x\n",
        ),
        (
            "{application_credentials: [{domain: a},]}",
            "{application_credentials: [{domain: a}, @,]}",
        ),
        (
            "application_credentials: [\n  {domain: a},\n]\n",
            "application_credentials: [\n  {domain: a},\n  @,\n]\n",
        ),
    ] {
        assert_eq!(append(before, &[entry()]).unwrap(), after.replace('@', &added));
    }
    for commented in ["[\n  {domain: a}, # x\n]\n", "[\n  # none\n]\n"] {
        let before = format!("application_credentials: {commented}");
        assert_eq!(
            append(&before, &[entry()]).unwrap_err(),
            YamlEditError::Line(1, Obstacle::Form)
        );
    }
}

fn entry() -> NewEntry {
    NewEntry {
        domain: "spotify".to_owned(),
        name: Some("Spotify: family".to_owned()),
        key: "family".to_owned(),
        client_id: "0123".to_owned(),
        client_secret: SlotValue::Age(ARMOR.to_owned()),
        ..NewEntry::default()
    }
}

#[test]
fn an_entry_goes_behind_the_last_one() {
    let check = |before: &str, after: &str| {
        let lines = "- domain: spotify\n  name: 'Spotify: family'\n  key: family\n  client_id: '0123'\n  client_secret: |\n    A\n";
        let armored = ARMOR.trim_end();
        let (lead, _) = after.rsplit('@').next().unwrap().split_once('\n').unwrap();
        let indent: String = std::iter::repeat_n(' ', lead.parse().unwrap()).collect();
        let entry_lines: String = lines
            .replace(
                "    A\n",
                &armored.lines().map(|line| format!("    {line}\n")).collect::<String>(),
            )
            .lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect();
        let wanted = after.replace(&format!("@{lead}\n"), &entry_lines);
        assert_eq!(append(before, &[entry()]).unwrap(), wanted);
    };
    check("", "application_credentials:\n@2\n");
    check("# only\n", "# only\napplication_credentials:\n@2\n");
    check("application_credentials:\n", "application_credentials:\n@2\n");
    check("application_credentials: [] # none\n", "application_credentials: # none\n@2\n");
    check("application_credentials: ~ # none\n", "application_credentials: # none\n@2\n");
    check("application_credentials: []\n", "application_credentials:\n@2\n");
    check(
        "application_credentials:\n- domain: a # x\n  name: b # y\n\n# end\n",
        "application_credentials:\n- domain: a # x\n  name: b # y\n@0\n\n# end\n",
    );
    check(
        "application_credentials:\n    - client_secret: |\n        x\n\nz: 1\n",
        "application_credentials:\n    - client_secret: |\n        x\n@4\n\nz: 1\n",
    );
    check(
        "application_credentials:\n- {domain: a, client_id: x}\n",
        "application_credentials:\n- {domain: a, client_id: x}\n@0\n",
    );
    check(
        "application_credentials:\n  - domain: a",
        "application_credentials:\n  - domain: a\n@2\n",
    );
    assert_eq!(append(&new_manifest(&[]).unwrap(), &[entry()]), new_manifest(&[entry()]));
}

/// A value in one of the ways in which people write one, for a field in the column `at`.
fn value(at: usize) -> impl Strategy<Value = String> {
    let word = "[a-z][a-z0-9#é.]{0,11}";
    let lead = " ".repeat(at + 3);
    let (folded, below, two, noted, block) =
        (lead.clone(), lead.clone(), lead.clone(), lead.clone(), lead);
    prop_oneof![
        3 => word.prop_map(|word| format!(" {word}\n")),
        1 => (word, word).prop_map(|(word, note)| format!("   '{word}'   # {note}\n")),
        1 => word.prop_map(|word| format!(" &anchor \"{word}\"\n")),
        1 => (word, word).prop_map(move |(one, two)| format!(" >- # note\n{folded}{one}\n{folded}{two}\n")),
        1 => word.prop_map(move |word| format!("\n{below}{word}\n")),
        1 => (word, word).prop_map(move |(a, b)| format!(" |\n{two}{a}\n{two}{b}\n\n")),
        1 => (word, word).prop_map(move |(note, word)| format!(" # {note}\n{noted}# | {note}: |\n{noted}{word}\n")),
        1 => (word, word).prop_map(move |(note, word)| format!("\n{block}# {note}: >\n{block}&anchor |\n{block}{word}\n")),
        1 => Just(" !env_var NAME # by tag\n".to_owned()),
    ]
}

/// A line between others.
fn between() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        1 => Just("\n".to_owned()),
        1 => "[a-z :'\"{|]{0,20}".prop_map(|note| format!("      # {note}\n")),
        1 => Just("  # less deep\n\n\n".to_owned()),
    ]
}

/// Entries in block style, oddly laid out; the second of each pair is the part that is to change.
fn manifest() -> impl Strategy<Value = String> {
    let entry = (between(), 0_usize..4, value(5), value(5), between(), any::<bool>(), between());
    prop::collection::vec(entry, 1..60).prop_map(|entries| {
        let mut text = "---\n# a manifest\napplication_credentials:\n".to_owned();
        for (number, (before, pad, id, secret, middle, flow, after)) in entries.iter().enumerate() {
            text.push_str(before);
            let pad = " ".repeat(*pad);
            if *flow {
                writeln!(text, "   - {{domain: d,{pad} client_id: c{number}, client_secret: \"s{number}\" }} # flow").unwrap();
            } else {
                write!(text, "   - domain: d{number}\n     client_id:{id}{middle}     client_secret:{secret}").unwrap();
            }
            text.push_str(after);
        }
        text
    })
}

proptest! {
    #![proptest_config(Config {
        cases: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/proptest-regressions/rewrite.txt",
        ))),
        ..Config::default()
    })]

    #[test]
    fn exactly_the_lines_meant_change(text in manifest()) {
        let parsed = yaml::parse(&text);
        let duplicate_free = parsed.faults.is_empty();
        proptest::prop_assume!(duplicate_free);
        let before = slots(&text).unwrap();
        let made = encrypted(&text).unwrap();
        let after = slots(&made).unwrap();
        proptest::prop_assert_eq!(before.len(), after.len());
        proptest::prop_assert!(after.iter().all(|slot| slot.held == SlotValue::Age(ARMOR.trim().to_owned())));
        // Every line without a secret is there still, byte for byte and in order.
        let secret_lines: Vec<usize> = before.iter().flat_map(|slot| {
            let first = text[..slot.span.start].matches('\n').count();
            let last = text[..slot.span.end].trim_end_matches('\n').matches('\n').count();
            first.saturating_sub(1)..=last
        }).collect();
        let kept = text.split_inclusive('\n').enumerate().filter(|(at, _)| !secret_lines.contains(at));
        let mut rest = made.split_inclusive('\n');
        for (_, line) in kept {
            proptest::prop_assert!(rest.any(|there| there == line), "{line:?} is gone from\n{made}");
        }
    }

    #[test]
    fn what_is_shown_in_clear_goes_back_byte_for_byte(text in manifest(), at in any::<prop::sample::Index>()) {
        proptest::prop_assume!(yaml::parse(&text).faults.is_empty());
        let sealed = encrypted(&text).unwrap();
        let found = slots(&sealed).unwrap();
        proptest::prop_assume!(!found.is_empty());
        let secrets: Vec<_> = (0..found.len()).map(|at| Secret::new(&format!("{at}: 's #"))).collect();
        let shown: Vec<_> = found.iter().zip(&secrets).map(|(slot, secret)| (slot, NewValue::Plain(secret))).collect();
        let clear = put(&sealed, &shown).unwrap();
        proptest::prop_assert!(!clear.contains("BEGIN AGE"));
        let there = slots(&clear).unwrap();
        let old: Vec<_> = found.iter().map(|slot| slot.old(&sealed).unwrap()).collect();
        let mut back: Vec<_> = there.iter().zip(&old).map(|(slot, old)| (slot, NewValue::Old(old))).collect();
        proptest::prop_assert_eq!(put(&clear, &back).unwrap(), sealed.clone());
        // One that was changed is the only one that differs.
        let other = ARMOR.replace("YWdl", "eHl6");
        let at = at.index(back.len());
        back[at].1 = NewValue::Age(&other);
        let changed = put(&clear, &back).unwrap();
        let again = slots(&changed).unwrap();
        let differ: Vec<_> = (0..again.len()).filter(|at| again[*at].held != found[*at].held).collect();
        proptest::prop_assert_eq!(differ, vec![at]);
        let gone = sealed.lines().filter(|line| !changed.lines().any(|new| new == *line)).count();
        proptest::prop_assert!(gone <= 2, "{gone} lines changed");
    }

    #[test]
    fn an_added_entry_leaves_every_byte(text in manifest()) {
        proptest::prop_assume!(yaml::parse(&text).faults.is_empty());
        let made = append(&text, &[entry(), entry()]).unwrap();
        let common = text.bytes().zip(made.bytes()).take_while(|(one, other)| one == other).count();
        let tail = &text[common..];
        proptest::prop_assert!(made.ends_with(tail));
        let added = &made[common..made.len() - tail.len()];
        proptest::prop_assert_eq!(added.matches("domain: spotify").count(), 2);
        proptest::prop_assert_eq!(slots(&made).unwrap().len(), slots(&text).unwrap().len() + 2);
    }
}

#[test]
fn what_says_nothing_is_empty_and_what_says_that_nothing_is_wanted_is_not() {
    for text in [
        "",
        " \n\t",
        "\u{feff}",
        "# a\n  # b",
        "---",
        "---\n...\n",
        "null",
        "~\n",
        "--- # a\n---\n~",
    ] {
        assert!(super::is_empty(text), "{text:?}");
    }
    for text in ["[]", "{}", "---\n{}", "a:", "''", "0", "\"null\"", "a: [", "x"] {
        assert!(!super::is_empty(text), "{text:?}");
    }
}
