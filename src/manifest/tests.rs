use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::date;
use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};
use proptest::test_runner::{Config, FileFailurePersistence};

use super::owner::derived_owner;
use super::{LoadRequest, Loaded, Project, Targets, entry, load, mask, project};
use crate::diagnostic::{ProblemCode, SourceFile, Span, Spot};
use crate::model::{
    Adopt, Completeness, Key, MaxDeletes, OnDelete, Owner, Prune, Reference, TargetName,
};
use crate::secret::SecretResolver;
use crate::target::Endpoint;
use crate::target::config_dir::ConfigDirEndpoint;
use crate::target::home_assistant::{AuthMethod, HomeAssistantEndpoint, NetworkSettings};

/// A project of these files.
fn project_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let request = LoadRequest {
        folder: folder.path().to_owned(),
        home: Some("/home/me".into()),
        owner: None,
    };
    let loaded = load(&request);
    (folder, loaded)
}

const LEAST: &str = "application_credentials:\n  - domain: spotify\n    client_id: 4f5c0a\n    \
                     client_secret: !env_var X\n";

#[test]
fn what_is_left_out_has_its_default() {
    let (folder, loaded) = project_of(&[("credentials.yaml", LEAST)]);
    assert!(loaded.problems.is_empty());
    let [entry] = loaded.entries.as_slice() else { panic!("{:?}", loaded.entries) };
    assert_eq!((entry.name.value.as_str(), entry.key.value.as_str()), ("spotify", "spotify"));
    assert_eq!(entry.name.spot.span, entry.domain.spot.span);
    assert_eq!((entry.place.line, entry.place.column), (2, 5));
    assert_eq!(entry.place.file.as_ref(), folder.path().join("credentials.yaml"));
    assert!(entry.adopt == Adopt::No && entry.integration.setup && entry.targets == Targets::All);
    assert_eq!(entry.integration.on_delete, OnDelete::Keep);
    assert_eq!(loaded.project.owner, derived_owner(folder.path()));
    assert_eq!(loaded.project.previous_owners, [Owner::default()].into());
    assert_eq!(loaded.project.file, None);
}

#[test]
fn references_are_told_apart() {
    let text = "application_credentials:\n  - domain: google\n    name: Küche\n    client_id: >-\n      a.b\n    \
                client_secret: |\n      -----BEGIN AGE ENCRYPTED FILE-----\n      YWdl\n      \
                -----END AGE ENCRYPTED FILE-----\n";
    let (_folder, loaded) = project_of(&[("credentials.yaml", text)]);
    let [entry] = loaded.entries.as_slice() else { panic!("{:?}", loaded.problems) };
    assert_eq!(entry.key.value.as_str(), "kuche");
    let Reference::Plain(id) = &entry.client_id.value else { panic!("{:?}", entry.client_id) };
    assert_eq!(id.expose(), "a.b");
    let Reference::Age(armor) = &entry.client_secret.value else {
        panic!("{:?}", entry.client_secret)
    };
    assert_eq!(armor.lines().count(), 3);
    assert!(armor.starts_with("-----BEGIN") && armor.ends_with("FILE-----"));
}

#[test]
fn the_project_file_is_read_whole() {
    let text = "owner: house\nmanifests: [more.yaml]\nallow_plaintext: yes\n\
                targets:\n  home: {url: \"https://ha.example:8123/\", token: abc, ca_file: ca.pem,\n    proxy: \"http://proxy.example:3128\"}\n  \
                lab: {config_dir: ./ha}\npolicy: {prune: none, max_deletes: 20%, allow_empty: on}\n\
                age: {recipients: [age17xa6vukfh6tunre0lun32jav9azm2jc96qtrms3nft2gv7aeqfgqdftp3y], identities: [~/id.txt, /etc/id.txt]}\ncustom_integrations: [mine]\n";
    let (folder, Loaded { project, manifests, entries, problems, .. }) =
        project_of(&[("appcred.yaml", text), ("more.yaml", LEAST), ("credentials.yaml", LEAST)]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((manifests, entries.len()), (vec![folder.path().join("more.yaml")], 1));
    assert_eq!((project.owner.as_str(), project.allow_plaintext), ("house", true));
    let Endpoint::HomeAssistant(HomeAssistantEndpoint { url, auth, network }) =
        &project.targets[&TargetName::new("home")]
    else {
        panic!("{:?}", project.targets)
    };
    assert_eq!(url, "https://ha.example:8123");
    assert_eq!(network.ca_file.as_ref().unwrap().value, folder.path().join("ca.pem"));
    let network = NetworkSettings { ca_file: None, ..network.clone() };
    let read = network.read(&SecretResolver::default()).unwrap();
    assert_eq!(format!("{:?}", read.proxy.unwrap()), "http://proxy.example:3128");
    let AuthMethod::Reference(token) = auth else { panic!("{auth:?}") };
    assert!(matches!(&token.value, Reference::Plain(token) if token.expose() == "abc"));
    let lab = &project.targets[&TargetName::new("lab")];
    assert_eq!(*lab, Endpoint::ConfigDir(ConfigDirEndpoint(folder.path().join("./ha"))));
    assert_eq!((project.policy.prune, project.policy.allow_empty), (Prune::Nothing, true));
    assert_eq!(project.policy.max_deletes, Some(MaxDeletes::Percent(20)));
    assert_eq!(project.age.identities, [Path::new("/home/me/id.txt"), Path::new("/etc/id.txt")]);
}

#[test]
fn a_token_is_had_in_one_of_four_ways() {
    let text = "targets:\n  file: {url: \"https://a\", token_file: ~/token}\n  \
                program: {url: \"https://b\", token_command: [pass, show, house]}\n  \
                session: {url: \"https://c\"}\n";
    let (folder, Loaded { project, problems, .. }) =
        project_of(&[("appcred.yaml", text), ("credentials.yaml", LEAST)]);
    assert!(problems.is_empty(), "{problems:?}");
    let token = |name: &str| match &project.targets[&TargetName::new(name)] {
        Endpoint::HomeAssistant(endpoint) => &endpoint.auth,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(token("file"), AuthMethod::File(path) if path.value == Path::new("/home/me/token"))
    );
    assert!(matches!(token("session"), AuthMethod::Session));
    let AuthMethod::Command(command) = token("program") else { panic!("{:?}", token("program")) };
    assert_eq!((command.program.as_str(), &*command.folder), ("pass", folder.path()));
    assert_eq!(command.arguments, ["show", "house"]);
}

#[test]
fn one_client_on_different_targets_is_no_conflict() {
    let appcred = "targets: {a: {config_dir: a}, b: {config_dir: b}, c: {config_dir: c}}\n";
    let mut text = "application_credentials:\n".to_owned();
    for targets in ["[a]", "[b]", "[c, b]"] {
        writeln!(
            text,
            "  - {{domain: spotify, client_id: x, client_secret: !secret s, targets: {targets}}}"
        )
        .unwrap();
    }
    let (_folder, loaded) = project_of(&[("appcred.yaml", appcred), ("credentials.yaml", &text)]);
    let codes: Vec<_> =
        loaded.problems.sorted().iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["duplicate-entry-key", "duplicate-client"]);
    let lines: Vec<_> =
        loaded.problems.sorted().iter().map(|p| p.spot.as_ref().unwrap().span.line).collect();
    assert_eq!(lines, [4, 4]);
}

#[test]
fn many_files_come_in_order() {
    let names: Vec<_> = (0..50).map(|number| format!("credentials/{number:02}.yaml")).collect();
    let texts: Vec<_> = (0..50)
        .map(|number| {
            LEAST
                .replace("4f5c0a", &format!("id{number:02}"))
                .replace("spotify", &format!("d{number:02}"))
        })
        .collect();
    let files: Vec<_> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let (_folder, loaded) = project_of(&files);
    let domains: Vec<_> =
        loaded.entries.iter().map(|entry| entry.domain.value.as_str().to_owned()).collect();
    assert_eq!(domains, (0..50).map(|number| format!("d{number:02}")).collect::<Vec<_>>());
}

/// A secret that no manifest has by chance.
const MARKED: &str = "hUnt3r2.mArk3d-S3cr3t";

fn redacted(text: String) -> String {
    SourceFile::new(PathBuf::from("a.yaml"), text, mask).redacted().text
}

#[test]
fn a_path_that_is_too_short_to_be_a_secret_is_shown() {
    let of = |path: &str| redacted(format!("targets: {{cabin: {{config_dir: {path}}}}}\n"));
    for shown in ["ha", "ha3", "./ha3", "config", "/srv/house/config"] {
        assert!(of(shown).contains(&format!("config_dir: {shown}}}")), "{}", of(shown));
    }
    assert!(of("4f5c0a8812d04f5c").contains("config_dir: ********}"));
}

/// Manifests with the marked secret in every way in which people write one.
fn manifests() -> Vec<String> {
    let entry = |secret: &str| {
        format!(
            "application_credentials:\n  # old: {MARKED}\n  - domain: spotify\n    name: Spotify (family)\n    \
             key: spotify-family\n    client_id: 4f5c0a\n    client_secret: {secret}\n    integration:\n      \
             setup: false\n      answers: {{user: {{code: {MARKED}}}}}\n    targets: [home, cabin]\n"
        )
    };
    let project = format!(
        "owner: home\nmanifests: [credentials]\ntargets:\n  home:\n    url: https://ha.example\n    \
         token: {MARKED}\nage: {{identities: [~/id.txt]}}\n"
    );
    let mut all: Vec<_> = [
        format!("{MARKED}   # {MARKED}"),
        format!("\"{MARKED}\""),
        format!("'{MARKED}'"),
        format!("|\n      {MARKED}\n      {MARKED}"),
        format!(">-\n      {MARKED}"),
        format!("\n      {MARKED}"),
        format!("&anchor {MARKED}"),
    ]
    .iter()
    .map(|secret| entry(secret))
    .collect();
    all.push(project);
    all.push(format!(
        "application_credentials:\n  - {{domain: spotify, client_id: 4f5c0a, client_secret: {MARKED}, name: x}}\n"
    ));
    all
}

#[test]
fn harmless_parts_of_a_manifest_are_shown() {
    let shown = redacted(manifests().remove(0));
    for part in [
        "domain: spotify\n",
        "name: Spotify (family)\n",
        "client_secret: ****",
        "targets: [home, cabin]",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = redacted(manifests().remove(0).replace("spotify\n", "[spotify\n"));
    for part in ["- domain: [spotify\n", "client_id: 4f5c0a\n", "client_secret: ****"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn the_name_of_a_secret_is_shown_and_a_secret_in_its_place_is_not() {
    for (value, expected) in [
        ("!secret family_secret", "!secret family_secret"),
        ("!scret family_secret", "!scret family_secret"),
        ("!Secret family_secret", "!Secret family_secret"),
        ("!secret netatmo2", "!secret netatmo2"),
        ("!env_vra SPOTIFY_SECRET", "!env_vra SPOTIFY_SECRET"),
        ("!secret hunter2", "!secret ********"),
        ("!scret hunter2", "!scret ********"),
        ("!include hunter2", "!include ********"),
        ("!hunter family_secret", "******** ********"),
        ("!secret 4f5c0a8812d04f5c", "!secret ********"),
        ("!env_var NAME hunter", "!env_var NAME********"),
    ] {
        let text = format!("application_credentials:\n  - client_secret: {value}\n");
        let shown = redacted(text);
        assert!(shown.contains(&format!("client_secret: {expected}\n")), "{value}: {shown}");
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Delete(prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
    Cut(prop::sample::Index),
    Misspell(&'static str),
}

fn edit() -> impl Strategy<Value = Mutation> {
    let at = proptest::prelude::any::<prop::sample::Index>;
    let pieces = prop::sample::select(vec![
        " ", "\n", "\t", ":", ": ", "-", "- ", "#", " #", "\"", "'", "|", ">", "{", "}", "[", "]",
        "&", "*", "!", "%", "@", "`", ",", "?", "x", "\\", "---\n", "...\n", "é",
    ]);
    let misspelt = prop::sample::select(vec![
        "client_secert",
        "Client_Secret",
        "clientsecret",
        "secret",
        "client-secret",
        "x",
    ]);
    prop_oneof![
        6 => at().prop_map(Mutation::Delete),
        6 => (at(), pieces).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        1 => at().prop_map(Mutation::Cut),
        1 => misspelt.prop_map(Mutation::Misspell),
        1 => Just(Mutation::Misspell("token")),
    ]
}

/// Does it, unless it would break up the secret itself.
fn done(text: &str, edit: &Mutation) -> String {
    let chars: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = |index: &prop::sample::Index| *index.get(&chars);
    let in_secret = |at: usize| {
        text.match_indices(MARKED).any(|(start, _)| start < at && at < start + MARKED.len())
    };
    match edit {
        Mutation::Misspell(name) => text.replace("client_secret", name),
        Mutation::Cut(index) => text[..at(index)].to_owned(),
        Mutation::Insert(index, _) | Mutation::Delete(index) if in_secret(at(index)) => {
            text.to_owned()
        }
        Mutation::Insert(index, piece) => {
            format!("{}{piece}{}", &text[..at(index)], &text[at(index)..])
        }
        Mutation::Delete(index) => {
            let start = at(index);
            let in_marked = text[start..].starts_with(MARKED);
            match text[start..].chars().next() {
                Some(character) if !in_marked => {
                    format!("{}{}", &text[..start], &text[start + character.len_utf8()..])
                }
                _ => text.to_owned(),
            }
        }
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 3000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/proptest-regressions/manifest.txt",
        ))),
        ..Config::default()
    })]

    #[test]
    fn a_secret_is_never_shown_whatever_is_done_to_its_file(
        manifest in prop::sample::select(manifests()),
        edits in prop::collection::vec(edit(), 1..=3),
    ) {
        let text = edits.iter().fold(manifest, |text, edit| done(&text, edit));
        let shown = redacted(text.clone());
        for start in 0..MARKED.len() - 5 {
            let part = &MARKED[start..start + 5];
            assert!(!shown.contains(part), "{text}\nis shown as\n{shown}");
        }
        assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
    }
}

#[test]
fn what_looks_like_an_accident_is_not_taken_for_a_statement() {
    let emptied = |files: &[(&str, &str)]| -> Vec<PathBuf> {
        let project = "manifests: [a, b.yaml]\n";
        let mut all = vec![("appcred.yaml", project), ("a/least.yaml", LEAST)];
        all.extend(files);
        let (folder, loaded) = project_of(&all);
        let inside = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
        match loaded.completeness() {
            Completeness::Whole => Vec::new(),
            Completeness::Emptied(places) => places.iter().map(inside).collect(),
            Completeness::Partial => vec!["(partial)".into()],
        }
    };
    let null = "application_credentials: # cut\n";
    for text in ["", "\n", "# nothing\n", "---\n", "---\n...\n---\n", "{}\n", null] {
        assert_eq!(emptied(&[("b.yaml", text)]), [Path::new("b.yaml")], "{text:?}");
    }
    let text = "application_credentials: []\n";
    assert_eq!(emptied(&[("b.yaml", text)]), [""; 0].map(PathBuf::from));
    for file in ["a/c.yaml/note.txt", "a/house/.gitkeep"] {
        let place = Path::new(file).parent().unwrap();
        assert_eq!(emptied(&[("b.yaml", text), (file, "")]), [place]);
    }
    assert_eq!(emptied(&[("b.yaml", text), ("a/notes/x.md", "")]), [""; 0].map(PathBuf::from));
    assert_eq!(emptied(&[]), [Path::new("(partial)")]);
    assert_eq!(emptied(&[("b.yaml/note.txt", "")]), [Path::new("b.yaml")]);
}

#[test]
fn earlier_keys_and_owners_are_read() {
    let text = "application_credentials:\n  - domain: spotify\n    key: new\n    formerly: [old, older]\n    \
                client_id: a\n    client_secret: !env_var X\n";
    let (_folder, loaded) = project_of(&[
        ("appcred.yaml", "owner: house\nprevious_owners: [default, cabin]\n"),
        ("credentials.yaml", text),
    ]);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let formerly: Vec<_> = loaded.entries[0].formerly.iter().map(Key::as_str).collect();
    assert_eq!(formerly, ["old", "older"]);
    let previous: Vec<_> = loaded.project.previous_owners.iter().map(Owner::as_str).collect();
    assert_eq!(previous, ["cabin", "default"]);
}

#[test]
fn a_place_that_becomes_a_link_to_another_is_not_taken_for_removed_manifests() {
    let linked = |project: &str, link: &str, to: &str| {
        let files =
            [("appcred.yaml", project), ("credentials/x.yaml", LEAST), ("other/y.yaml", "")];
        let (folder, _) = project_of(&files);
        std::os::unix::fs::symlink(to, folder.path().join(link)).unwrap();
        let request = LoadRequest { folder: folder.path().to_owned(), home: None, owner: None };
        let loaded = load(&request);
        let said: Vec<String> =
            loaded.problems.sorted().into_iter().map(|problem| problem.message.clone()).collect();
        (loaded.completeness() != Completeness::Whole, said.concat())
    };
    for (project, link, to) in [
        ("manifests: [credentials, b]\n", "b", "credentials"),
        ("manifests: [b, credentials]\n", "b", "credentials"),
        ("manifests: [credentials, b.yaml]\n", "b.yaml", "credentials/x.yaml"),
        ("owner: a\n", "application_credentials", "credentials"),
        ("owner: a\n", "credentials.yaml", "credentials/x.yaml"),
    ] {
        let (is_held, said) = linked(project, link, to);
        assert!(is_held && said.contains("leads to manifests that are read already"), "{said}");
    }
    for (project, link, to) in [
        ("manifests: [credentials, ./credentials]\n", "b", "credentials"),
        ("manifests: [credentials, credentials/x.yaml]\n", "b", "credentials"),
        ("manifests: [credentials/x.yaml, credentials]\n", "b", "credentials"),
        ("manifests: [b]\n", "b", "credentials"),
        ("owner: a\n", "credentials/z.yaml", "x.yaml"),
    ] {
        assert_eq!(linked(project, link, to), (false, String::new()), "{project}");
    }
}

#[test]
fn a_variable_is_named_without_what_a_shell_writes_around_it() {
    let codes = |argument: &str| -> Vec<&'static str> {
        let text = LEAST.replace("client_id: 4f5c0a", &format!("client_id: !env_var '{argument}'"));
        let (_, loaded) = project_of(&[("credentials.yaml", text.as_str())]);
        loaded.problems.sorted().into_iter().map(|problem| problem.code.as_str()).collect()
    };
    for argument in
        ["$CID dflt", "${CID}", "${CID:-dflt}", "$(CID)", "%CID%", "CID=d", "CID:d", "$cid x"]
    {
        assert_eq!(codes(argument), ["bad-value"], "{argument}");
    }
    for argument in ["CID", "CID dflt", "cid", "CID $dflt", "CID a=b"] {
        assert_eq!(codes(argument), [""; 0], "{argument}");
    }
}

#[test]
fn a_folder_of_another_machine_or_that_nobody_filled_in_is_no_path() {
    let said = |path: &str| {
        let text = format!("targets: {{home: {{config_dir: {path}}}}}\n");
        let (_, loaded) = project_of(&[("appcred.yaml", &text), ("credentials.yaml", LEAST)]);
        let problems = loaded.problems.sorted().into_iter();
        problems.map(|problem| problem.message.clone()).collect::<String>()
    };
    for (path, why) in [
        ("'%HADIR%'", "this path is a placeholder that was not filled in"),
        ("changeme", "this path is a placeholder that was not filled in"),
        ("'C:\\ha'", "this path is a Windows path"),
        ("'root@host:ha'", "this path is on another machine"),
        ("'ha '", "this path has white space at its beginning or end"),
    ] {
        assert_eq!(said(path), why, "{path}");
    }
    assert_eq!(said("ha"), "");
}

#[test]
fn a_comment_that_looks_like_something_else_is_warned_of() {
    let said = |comment: &str| {
        let text = format!("# {comment}\n{LEAST}");
        let (_, loaded) = project_of(&[("credentials.yaml", &text)]);
        let problems = loaded.problems.sorted().into_iter();
        problems.map(|problem| problem.message.clone()).collect::<String>()
    };
    for (comment, code) in
        [("a \u{202e}b", "U+202E"), ("é\u{2066}", "U+2066"), ("\u{200b}", "U+200B")]
    {
        assert_eq!(said(comment), format!("a comment has the hidden character {code}"));
    }
    for comment in ["é", "می\u{200c}خواهم", "\u{1f468}\u{200d}\u{1f469} \u{2764}\u{fe0f}", "a\tb é"]
    {
        assert_eq!(said(comment), "", "{comment}");
    }
}

#[test]
fn a_former_key_leads_to_one_entry() {
    let entry = |key: &str, formerly: &str, targets: &str| {
        format!(
            "  - domain: spotify\n    key: {key}\n    formerly: [{formerly}]\n    client_id: {key}\n    \
             client_secret: !env_var S\n    targets: [{targets}]\n"
        )
    };
    let project = "targets: {a: {config_dir: a}, b: {config_dir: b}}\n";
    let codes = |entries: &[String]| -> Vec<&'static str> {
        let text = format!("application_credentials:\n{}", entries.concat());
        let files = [("appcred.yaml", project), ("credentials.yaml", text.as_str())];
        let (_, loaded) = project_of(&files);
        loaded.problems.sorted().iter().map(|problem| problem.code.as_str()).collect()
    };
    let twice = ["duplicate-former-key"];
    assert_eq!(codes(&[entry("new", "old", "a")]), [""; 0]);
    assert_eq!(codes(&[entry("new", "new", "a")]), twice);
    assert_eq!(codes(&[entry("new", "old", "a"), entry("old", "", "a")]), twice);
    assert_eq!(codes(&[entry("one", "old", "a"), entry("other", "old", "a")]), twice);
    assert_eq!(codes(&[entry("one", "old", "a"), entry("other", "old", "b")]), [""; 0]);
}

/// The lines of a file: what is before a value, a value that is right, and whether it may be left out.
type Lines = &'static [(&'static str, &'static str, bool)];

const ENTRY_LINES: Lines = &[
    ("application_credentials:\n  - adopt: ", "yes", false),
    ("    domain: ", "spotify", true),
    ("    name: ", "Spotify (family)", true),
    ("    key: ", "family", true),
    ("    formerly: ", "[old]", true),
    ("    client_id: ", "4f5c0a", true),
    ("    client_secret: ", "!secret x", true),
    ("    targets: ", "[home]", true),
    ("    integration:\n      setup: ", "false", false),
    ("      implementation: ", "cloud", true),
    ("      on_delete: ", "remove_integration", true),
    ("      token_url: ", "\"https://a.example/token\"", false),
    ("      answers: ", "{user: {code: x}}", true),
    ("    unknown: ", "x", false),
];

const PROJECT_LINES: Lines = &[
    ("owner: ", "house", true),
    ("previous_owners: ", "[default]", true),
    ("manifests: ", "[credentials]", true),
    ("custom_integrations: ", "[mine]", true),
    ("allow_plaintext: ", "no", true),
    ("allow_outside_files: ", "no", true),
    ("notify: ", "[home_assistant, {webhook: !secret x}]", true),
    (
        "age:\n  recipients: ",
        "[age17xa6vukfh6tunre0lun32jav9azm2jc96qtrms3nft2gv7aeqfgqdftp3y]",
        false,
    ),
    ("  identities: ", "[/id.txt]", true),
    ("policy:\n  prune: ", "all", false),
    ("  max_deletes: ", "20%", true),
    ("  allow_empty: ", "true", true),
    ("  on_drift: ", "report", true),
    ("targets:\n  home:\n    url: ", "\"https://ha.example\"", false),
    ("    token: ", "!secret x", true),
    ("    ca_file: ", "ca.pem", true),
    ("    proxy: ", "\"http://proxy.example:3128\"", true),
    ("  lab:\n    config_dir: ", "ha", false),
    ("unknown: ", "x", false),
];

/// Values that many fields do not take.
const WRONG: &[&str] = &[
    "12",
    "-1",
    "1.5",
    "maybe",
    "\"\"",
    "~",
    "[]",
    "[12, ~, [a], {a: b}]",
    "[\"\", x y]",
    "{a: b}",
    "{webhook: ~}",
    "[{webhok: x}, ~]",
    "{user: x}",
    "{user: {code: 0o17}, b: x, c: {d: 0o17}}",
    "!secret x",
    "!other {}",
    "*gone",
    "ENC[AES256_GCM,x]",
    "\"a\\u200Bb\"",
    "2026-11-26",
    "99999999999999999999",
];

/// A file of these lines in which some have another value, or none.
fn with(lines: Lines, others: &[(usize, Option<&str>)]) -> String {
    let mut text = String::new();
    for (at, (before, right, may_go)) in lines.iter().enumerate() {
        match others.iter().find(|(line, _)| *line == at) {
            Some((_, None)) if *may_go => {
                text += &"# nothing\n".repeat(before.matches('\n').count() + 1);
            }
            Some((_, Some(wrong))) => writeln!(text, "{before}{wrong}").unwrap(),
            _ => writeln!(text, "{before}{right}").unwrap(),
        }
    }
    text
}

/// What is wrong with a file, and where, from which serde's own words are absent.
fn problems(lines: Lines, others: &[(usize, Option<&str>)]) -> BTreeSet<(u32, u32, String)> {
    let text = with(lines, others);
    let source = Arc::new(SourceFile::new("a.yaml".into(), text.clone(), mask));
    let paths = project::Paths { folder: Path::new(""), home: None };
    let home = TargetName::new("home");
    let found = if lines == ENTRY_LINES {
        let project = Project {
            target_spots: [(home, Spot { file: Arc::clone(&source), span: Span::default() })]
                .into(),
            ..Project::default()
        };
        entry::decode(&source, &project).problems
    } else {
        project::decode(&source, paths).1
    };
    let all = found.sorted().into_iter().map(|problem| {
        let span = problem.spot.as_ref().unwrap().span;
        let (before, line) = (&text[..span.start], span.line as usize);
        assert!(text.get(span.start..span.end).is_some(), "{text}\n{problem:?}");
        assert_eq!(before.matches('\n').count() + 1, line, "{text}\n{problem:?}");
        let said = format!("{} {:?} {:?}", problem.message, problem.label, problem.help);
        for word in ["invalid type", "expected", "variant", "missing field", "$field", "$pairs"] {
            assert!(!said.contains(word), "{text}\n{said}");
        }
        assert_ne!(problem.code, ProblemCode::BadValue, "{text}\n{said}");
        // The advice may depend on other fields, as the way to encrypt does on recipients.
        let what = format!("{} {:?}", problem.message, problem.label);
        // The place of what is missing is the first key that is there.
        if problem.code == ProblemCode::MissingField {
            (0, 0, what)
        } else {
            (span.line, span.column, what)
        }
    });
    all.collect()
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    /// What is wrong with one field hides nothing that is wrong with another.
    #[test]
    fn all_problems_of_a_file_are_found_at_once(
        lines in prop::sample::select(vec![ENTRY_LINES, PROJECT_LINES]),
        others in prop::collection::vec((
            proptest::prelude::any::<prop::sample::Index>(),
            prop::option::weighted(0.9, prop::sample::select(WRONG)),
        ), 1..8),
    ) {
        let others: BTreeMap<_, _> =
            others.into_iter().map(|(at, value)| (at.index(lines.len()), value)).collect();
        let others: Vec<_> = others.into_iter().collect();
        let together = problems(lines, &others);
        let alone = others.iter().flat_map(|other| problems(lines, &[*other])).collect();
        assert_eq!(together, alone, "{}", with(lines, &others));
    }
}

#[test]
fn a_file_of_right_values_has_only_the_problem_of_its_unknown_field() {
    for lines in [ENTRY_LINES, PROJECT_LINES] {
        assert_eq!(problems(lines, &[]).len(), 1);
    }
}

#[test]
fn a_wrong_answer_hides_no_other() {
    let line = ENTRY_LINES.iter().position(|(before, _, _)| before.contains("answers")).unwrap();
    let found =
        problems(ENTRY_LINES, &[(line, Some("{a: {b: 0o17, c: 0o17}, d: x, e: {f: 0o17}}"))]);
    let columns: Vec<_> = found.iter().filter(|(at, ..)| *at == 15).map(|found| found.1).collect();
    assert_eq!(columns, [24, 33, 43, 53], "{found:?}");
}

#[test]
fn a_wrong_entry_does_not_hide_the_others() {
    let text = format!("{LEAST}  - domain: [x]\n    client_id: 1\n{}", &LEAST[25..]);
    let (_folder, loaded) = project_of(&[("credentials.yaml", &text)]);
    let codes: Vec<_> =
        loaded.problems.sorted().iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(
        codes,
        ["missing-field", "wrong-kind", "wrong-kind", "duplicate-entry-key", "duplicate-client"]
    );
    assert_eq!(loaded.entries.len(), 2);
}

#[test]
fn a_manifest_whose_name_has_a_hidden_character_is_refused() {
    for name in ["a\u{202e}b.yaml", "a\nb.yaml", "sub\u{200b}/a.yaml"] {
        let path = format!("credentials/{name}");
        let (_folder, loaded) =
            project_of(&[(path.as_str(), LEAST), ("credentials/c.yaml", LEAST)]);
        let [problem] = loaded.problems.sorted()[..] else { panic!("{:?}", loaded.problems) };
        assert_eq!((problem.code, loaded.entries.len()), (ProblemCode::HiddenCharacter, 1));
        assert!(!problem.message.contains(['\u{202e}', '\n', '\u{200b}']), "{}", problem.message);
    }
}

#[test]
fn without_the_days_that_a_project_meant_only_what_has_expired_is_reported() {
    let entry = LEAST.trim_end().to_owned() + "\n    expires: 2027-03-01\n";
    let reported = |project: &str, today| {
        let files = [("appcred.yaml", project), ("credentials.yaml", entry.as_str())];
        let (_folder, loaded) = project_of(&files);
        assert_eq!(loaded.entries.len(), 1, "{:?}", loaded.problems);
        !super::check_lifetimes(&loaded.project, &loaded.entries, today).is_empty()
    };
    let (before, after) = (date(2027, 2, 20), date(2027, 3, 2));
    assert!(reported("{}\n", before));
    for unread in ["expiring_within: 5\n", "expiring_withi: 5d\n", "owner: [house\n"] {
        assert!(!reported(unread, before), "{unread}");
        assert!(reported(unread, after), "{unread}");
    }
}
