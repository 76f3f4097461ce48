//! `rm`, `rename`, `rotate` and `explain`: what is meant is changed in place, and nothing else.

use serde_json::Value;

use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity, encrypt};

/// A project with an age key, and its target a folder.
pub(crate) struct House {
    pub(crate) project: Project,
    identity: String,
    recipient: age::x25519::Recipient,
}

impl House {
    pub(crate) fn new(manifest: &str) -> Self {
        let (identity, recipient) = age_identity();
        let project = Project::new()
            .file(
                "appcred.yaml",
                &format!("owner: house\ntargets: {{home: {{config_dir: ha}}}}\nage: {{recipients: [{recipient}]}}\n"),
            )
            .file("ha/.storage/core.config_entries", r#"{"version": 1, "data": {"entries": []}}"#);
        let house = Self { project, identity, recipient };
        house.declare(manifest);
        house
    }

    /// A manifest with a secret for each `AGE`, and another one for each `@NEW`.
    pub(crate) fn declare(&self, manifest: &str) {
        let (old, new) = (self.inline("m4rk3d-old"), self.inline("m4rk3d-new"));
        self.project
            .write("credentials.yaml", &manifest.replace("AGE", &old).replace("@NEW", &new));
    }

    /// An armored age file in one line of a flow mapping.
    fn inline(&self, secret: &str) -> String {
        format!("{:?}", encrypt(secret, &self.recipient))
    }

    pub(crate) fn appcred(&self, arguments: &str) -> Appcred {
        Appcred::new()
            .in_dir(self.project.path())
            .env("SOPS_AGE_KEY", &self.identity)
            .args(arguments.split(' '))
    }

    pub(crate) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.project.join(file)).unwrap()
    }

    /// What the folder holds: by `auth_domain`, its secret.
    pub(crate) fn held(&self) -> Vec<(String, String)> {
        let file = self.project.join("ha/.storage/application_credentials");
        let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
        let stored: Value = serde_json::from_str(&text).unwrap();
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        let items = stored["data"]["items"].as_array().unwrap().iter();
        items.map(|item| (text(item, "auth_domain"), text(item, "client_secret"))).collect()
    }

    /// Rotates and applies, and answers what the program printed.
    #[track_caller]
    fn rotates(&self, name: &str, file: &str) -> String {
        let rotate = format!("rotate {name} --secret-stdin --apply --yes");
        let ran = self.appcred(&rotate).stdin("m4rk3d-new\n").run();
        let printed = format!("Replaced the client secret of `k` in {file}.\n");
        assert!(ran.stdout.starts_with(&printed), "{}", ran.stdout);
        assert!(!(ran.stdout.clone() + &ran.stderr).contains("m4rk3d"), "{}", ran.stdout);
        assert_eq!(self.held(), [("appcred:house:k".to_owned(), "m4rk3d-new".to_owned())]);
        self.text(file)
    }
}

const TWO: &str = "# mine\napplication_credentials:\n  - {domain: spotify, key: a, client_id: a, client_secret: AGE}\n  # second\n  - {domain: twitch, key: b, name: Stream, client_id: b, client_secret: AGE} # flow\n";

#[test]
fn an_entry_is_removed_and_its_credential_with_it() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    let ran = house.appcred("rm Stream").stdout("Removed `b` from credentials.yaml.\n").run();
    assert!(
        ran.stderr.contains("`appcred apply` deletes what targets hold of it"),
        "{}",
        ran.stderr
    );
    let left = house.text("credentials.yaml");
    assert!(left.starts_with("# mine\n") && left.ends_with("}\n  # second\n"), "{left}");
    assert_eq!(house.held().len(), 2);
    house.appcred("apply --yes --key b").run();
    assert_eq!(house.held().len(), 1);
    // That nothing is left must be asked for, as ever.
    let ran = house.appcred("rm a --apply --yes").status(1).run();
    assert!(ran.stdout.contains("--allow-empty"), "{}", ran.stdout);
    assert_eq!(house.text("credentials.yaml"), "# mine\napplication_credentials: []\n  # second\n");
    house.appcred("apply --yes --allow-empty").run();
    assert!(house.held().is_empty());
}

#[test]
fn several_are_removed_at_once_or_none() {
    let house = House::new(TWO);
    let before = house.text("credentials.yaml");
    let ran = house.appcred("rm a bb").status(1).run();
    assert!(
        ran.stderr.contains("there is no entry with the key `bb`: did you mean `b`?"),
        "{}",
        ran.stderr
    );
    assert_eq!(house.text("credentials.yaml"), before);
    // One that cannot be removed in place keeps the others, in other files too.
    let anchored = "application_credentials:\n  - &x {domain: netatmo, key: c, client_id: c, client_secret: AGE}\n  - {<<: *x, key: d, client_id: d}\n";
    let anchored = anchored.replace("AGE", &house.inline("m4rk3d"));
    house.project.write("other.yaml", &anchored);
    let project = house.text("appcred.yaml");
    house
        .project
        .write("appcred.yaml", &format!("{project}manifests: [credentials.yaml, other.yaml]\n"));
    let ran = house.appcred("rm a c --apply --yes").status(1).run();
    let expected = "error: cannot change other.yaml: the entry `c`: line 2 has an anchor (`&`) that is used elsewhere";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    assert_eq!(house.text("credentials.yaml"), before);
    // With what refers to it, it can be removed.
    house.appcred("rm c d").run();
    assert_eq!(house.text("other.yaml"), "application_credentials: []\n");
    house.project.write("appcred.yaml", &project);
    let removed = "Removed `a` from credentials.yaml.\nRemoved `b` from credentials.yaml.\n";
    house.appcred("rm b a twitch_b").stdout(removed).run();
    assert_eq!(house.text("credentials.yaml"), "# mine\napplication_credentials: []\n  # second\n");
    house.project.write("credentials.yaml", "application_credentials: [{domain: spotify}]\n");
    let ran = house.appcred("rm a").status(1).run();
    assert!(
        ran.stderr.ends_with("Nothing was changed: correct the errors above first.\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_renamed_entry_keeps_its_credential() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    let ran = house.appcred("rename twitch_b stream --apply --yes").run();
    assert!(
        ran.stdout.starts_with("Renamed `b` to `stream` in credentials.yaml.\n"),
        "{}",
        ran.stdout
    );
    assert!(
        house
            .text("credentials.yaml")
            .contains("{formerly: [b], domain: twitch, key: stream, name"),
        "{}",
        house.text("credentials.yaml")
    );
    let mut marks: Vec<String> = house.held().into_iter().map(|(mark, _)| mark).collect();
    marks.sort();
    assert_eq!(marks, ["appcred:house:a", "appcred:house:stream"]);
    house.appcred("plan --detailed-exitcode").run();
    // Back again, without a trace of its own key.
    house.appcred("rename stream b").run();
    assert!(
        house
            .text("credentials.yaml")
            .contains("{formerly: [stream], domain: twitch, key: b, name")
    );
    house.appcred("apply --yes --key b").run();
    house.appcred("plan --detailed-exitcode").run();
    let before = house.text("credentials.yaml");
    let ran = house.appcred("rename a b").status(1).run();
    assert!(
        ran.stderr.contains("the key `b` belongs to another entry (credentials.yaml:"),
        "{}",
        ran.stderr
    );
    let ran = house.appcred("rename a x/y").status(1).run();
    assert!(ran.stderr.contains("it consists of letters"), "{}", ran.stderr);
    house.appcred("rename a a").stdout("Nothing was changed: the key is `a` already.\n").run();
    assert_eq!(house.text("credentials.yaml"), before);
}

const ONE: &str = "application_credentials:\n  - domain: spotify # it\n    key: k\n    client_id: a\n    client_secret: AGE\n";

#[test]
fn a_secret_is_rotated_in_the_form_that_it_is_in() {
    let house = House::new(ONE);
    house.appcred("apply --yes").run();
    let before = house.text("credentials.yaml");
    let after = house.rotates("k", "credentials.yaml");
    let start = |text: &str| text[..text.find("client_secret").unwrap()].to_owned();
    assert_eq!(start(&after), start(&before));
    assert!(after.contains("BEGIN AGE ENCRYPTED FILE") && after != before, "{after}");
    let same = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new");
    same.stdout("Nothing was changed: it has that secret already.\n").run();
    assert_eq!(house.text("credentials.yaml"), after);
    std::fs::remove_file(house.project.join("ha/.storage/application_credentials")).unwrap();
    let same = house.appcred("rotate k --secret-stdin --apply --yes").stdin("m4rk3d-new");
    assert!(same.run().stdout.starts_with("Nothing was changed: it has that secret already.\n"));
    assert_eq!(house.held(), [("appcred:house:k".to_owned(), "m4rk3d-new".to_owned())]);

    let keep = |secret: &str| ONE.replace("AGE", secret);
    house.project.write("credentials.yaml", &keep("!secret name"));
    let others = format!("# all\nother: {}\n", house.inline("m4rk3d-x"));
    house.project.write("secrets.yaml", &format!("{others}name: {}\n", house.inline("m4rk3d-old")));
    let after = house.rotates("spotify_a", "secrets.yaml");
    assert!(after.starts_with(&others), "{after}");
    std::fs::remove_file(house.project.join("secrets.yaml")).unwrap();

    house.project.write("secrets.yaml.age", &encrypt("name: m4rk3d-old\n", &house.recipient));
    assert!(house.rotates("k", "secrets.yaml.age").starts_with("-----BEGIN AGE"));

    house.project.write("credentials.yaml", &keep("!file k.age"));
    house.project.write("k.age", &encrypt("m4rk3d-old\n", &house.recipient));
    assert!(house.rotates("k", "k.age").starts_with("-----BEGIN AGE"));

    // Of a file with several, all others stay.
    let others = format!("# all\nwifi: {}\nk: ", house.inline("m4rk3d-wifi"));
    for (file, text, named) in [
        ("m.yaml", format!("{others}{}\n", house.inline("m4rk3d-old")), "!file m.yaml#k"),
        ("m.yaml", format!("{others}\n  a: {}\n", house.inline("m4rk3d-old")), "!file m.yaml#k/a"),
    ] {
        house.project.write("credentials.yaml", &keep(named));
        house.project.write(file, &text);
        let after = house.rotates("k", file);
        assert!(after.starts_with(&others) && after != text, "{after}");
    }
    house.project.write("credentials.yaml", &keep("!file m.yaml.age#k"));
    let both = "wifi: m4rk3d-wifi\nk: m4rk3d-old\n";
    house.project.write("m.yaml.age", &encrypt(both, &house.recipient));
    assert!(house.rotates("k", "m.yaml.age").starts_with("-----BEGIN AGE"));
    house.project.write("credentials.yaml", &keep("!file m.yaml.age#wifi"));
    house.appcred("apply --yes").run();
    assert_eq!(house.held(), [("appcred:house:k".to_owned(), "m4rk3d-wifi".to_owned())]);
}

#[test]
fn a_secret_is_rotated_from_the_file_of_a_console() {
    let house = House::new(
        "application_credentials:\n  - {domain: google, key: k, client_id: 12-a.apps.googleusercontent.com, client_secret: AGE}\n",
    );
    let json = |id: &str| {
        format!(
            r#"{{"web":{{"client_id":"{id}","client_secret":"GOCSPX-m4rk3dXbN5vKp9dLs3tYh"}}}}"#
        )
    };
    house.project.write("other.json", &json("34-b.apps.googleusercontent.com"));
    let said = house.appcred("rotate k --from other.json").status(1).run().stderr;
    assert!(said.contains("the client id in the file is not that of the entry `k`"), "{said}");
    house.project.write("client.json", &json("12-a.apps.googleusercontent.com"));
    let said = house.appcred("rotate k --from client.json --secret-stdin").status(1).run().stderr;
    assert!(said.contains("leave one of them out"), "{said}");
    let ran = house.appcred("rotate k --from client.json --apply --yes").run();
    assert!(!(ran.stdout + &ran.stderr).contains("m4rk3d"));
    assert_eq!(
        house.held(),
        [("appcred:house:k".to_owned(), "GOCSPX-m4rk3dXbN5vKp9dLs3tYh".to_owned())]
    );
}

#[test]
fn a_rotation_names_the_date_that_is_to_be_changed() {
    let house = House::new(&format!("{ONE}    rotate_after: 2099-02-01\n"));
    let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new\n").run();
    // As PowerShell pipes it.
    house.appcred("rotate k --secret-stdin").stdin("\u{feff}m4rk3d-new2\r\n").run();
    let help = "Change the date 2099-02-01 of the entry too (credentials.yaml:";
    assert!(ran.stderr.contains(help), "{}", ran.stderr);
}

#[test]
fn a_secret_of_a_sops_document_is_rotated_in_it() {
    let house = House::new(ONE);
    house.project.write("credentials.yaml", &ONE.replace("AGE", "m4rk3d-old"));
    let recipient = house.recipient.to_string();
    let rule = [
        "--encrypt",
        "--age",
        &recipient,
        "--encrypted-regex",
        "client_secret",
        "credentials.yaml",
    ];
    let sealed = sops(house.project.path(), &house.identity, rule);
    house.project.write("credentials.yaml", &sealed);
    let after = house.rotates("k", "credentials.yaml");
    assert!(after.contains("ENC[AES256_GCM") && after.contains("sops:"), "{after}");
    let clear = sops(house.project.path(), &house.identity, ["--decrypt", "credentials.yaml"]);
    assert!(clear.contains("client_secret: m4rk3d-new"), "{clear}");
    // The document is whole after a change of its entries too.
    house.appcred("rename k other").run();
    let clear = sops(house.project.path(), &house.identity, ["--decrypt", "credentials.yaml"]);
    assert!(clear.contains("key: other") && clear.contains("- k\n"), "{clear}");
    house.appcred("rm other").run();
    let clear = sops(house.project.path(), &house.identity, ["--decrypt", "credentials.yaml"]);
    assert_eq!(clear, "application_credentials: []\n# it\n");
}

/// By an anchor, a merge, a name or a file: the other entry would get the new secret as well.
#[test]
fn a_secret_that_others_have_too_is_not_rotated() {
    let house = House::new(ONE);
    let entry = |key: &str, secret: &str| {
        format!(
            "  - {{domain: spotify, key: {key}, client_id: client-{key}, client_secret: {secret}}}\n"
        )
    };
    let manifest = |entries: &[String]| format!("application_credentials:\n{}", entries.concat());
    let anchored = manifest(&[entry("k", "&s AGE"), entry("other", "*s")]);
    let merged = manifest(&[
        entry("k", "AGE").replace("- {", "- &e {"),
        "  - {<<: *e, key: other, client_id: o}\n".to_owned(),
    ]);
    let named = manifest(&[entry("k", "!secret one"), entry("other", "!secret one")]);
    let aliased = manifest(&[entry("k", "!secret one"), entry("other", "!secret two")]);
    let filed = manifest(&[entry("k", "!file secret.age"), entry("other", "!file ./secret.age")]);
    let secrets = "one: AGE\n";
    let secrets_aliased = "one: &x AGE\ntwo: *x\n";
    for (text, file, secrets) in [
        (anchored, "credentials.yaml", secrets),
        (merged, "credentials.yaml", secrets),
        (named.clone(), "secrets.yaml", secrets),
        (aliased, "secrets.yaml", secrets_aliased),
        (filed, "secret.age", secrets),
    ] {
        let sealed = |text: &str| text.replace("AGE", &house.inline("m4rk3d-old"));
        house.project.write("credentials.yaml", &sealed(&text));
        house.project.write("secrets.yaml", &sealed(secrets));
        house.project.write("secret.age", &encrypt("m4rk3d-old", &house.recipient));
        let before = house.text(file);
        let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
        assert_eq!(house.text(file), before, "{}", ran.stderr);
        let (by_name, by_anchor) = (
            "`client_secret` at credentials.yaml:3:",
            "has an anchor (`&`) that is used elsewhere",
        );
        let is_said = ran.stderr.contains(by_name) || ran.stderr.contains(by_anchor);
        assert!(is_said && !ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
    }
    // The token of a target may be the same name.
    let project = house.text("appcred.yaml");
    let with_token = "house: {url: http://127.0.0.1:9, token: !secret one}}";
    house.project.write("appcred.yaml", &project.replace("ha}}", &format!("ha}}, {with_token}")));
    house.project.write("credentials.yaml", &manifest(&[entry("k", "!secret one")]));
    let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
    assert!(ran.stderr.contains("`token` at appcred.yaml:2:"), "{}", ran.stderr);
    house.project.write("appcred.yaml", &project);
    // One client may be in two entries, for targets of their own.
    let text =
        named.replace("client-other", "client-k").replace("key: k,", "key: k, targets: [home],");
    let project = house.text("appcred.yaml").replace("ha}}", "ha}, cabin: {config_dir: cabin}}");
    house.project.write("appcred.yaml", &project);
    house
        .project
        .write("credentials.yaml", &text.replace("key: other,", "key: other, targets: [cabin],"));
    house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").run();
}

#[test]
fn an_entry_is_selected_and_removed_by_its_earlier_key_too() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    house.appcred("rename a a2").run();
    let changes = |arguments: &str, status: i32| {
        house.appcred(&format!("plan --detailed-exitcode {arguments}")).status(status).run().stdout
    };
    assert!(changes("--key a", 2).contains("\"a\" -> \"a2\""));
    assert!(changes("--key a2", 2).contains("\"a\" -> \"a2\""));
    for excluded in ["a", "a2"] {
        let plan = changes(&format!("--exclude {excluded}"), 0);
        assert!(plan.contains("No changes."), "{plan}");
    }
    let nothing = house.appcred("plan --key a --domain twitch").status(1).run().stderr;
    assert!(nothing.contains("no entry matches all of --key=a --domain=twitch"), "{nothing}");
    house.appcred("plan --key a --exclude a*").status(1).run();
    house.appcred("verify --key a --domain twitch").status(1).run();
    let before = house.held().len();
    house.appcred("rm a2 --apply --yes").run();
    assert_eq!(house.held().len(), before - 1);
    house.project.write(
        "credentials.yaml",
        &TWO.replace("AGE", &house.inline("m4rk3d-old")).replace("key: a,", "key: never-applied,"),
    );
    house.appcred("rm never-applied --apply --yes").run();
}

/// What a target has of an entry goes with that, and selects nothing.
#[test]
fn an_entry_is_not_selected_by_a_key_that_only_a_target_has() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    let held = house.held();
    let renamed = house.text("credentials.yaml").replace("key: a,", "key: a2,");
    house.project.write("credentials.yaml", &renamed);
    let plan = house.appcred("plan --key a --detailed-exitcode").run().stdout;
    assert!(plan.contains("No changes."), "{plan}");
    house.appcred("apply --yes --key a").run();
    assert_eq!(house.held(), held);
    for excluded in ["a", "a2"] {
        house.appcred(&format!("plan --detailed-exitcode --exclude {excluded}")).run();
    }
    let plan = house.appcred("plan --key a2").run().stdout;
    assert!(plan.contains("\"a\" -> \"a2\""), "{plan}");
}

#[test]
fn nothing_is_changed_that_could_not_be_applied() {
    let house = House::new(TWO);
    let before = house.text("credentials.yaml");
    for change in ["rm a --apply", "rename a b2 --apply", "rotate a --secret-stdin --apply"] {
        let ran = house.appcred(change).stdin("m4rk3d-new").status(1).run();
        assert!(ran.stderr.contains("pass --yes"), "{}", ran.stderr);
        assert_eq!(house.text("credentials.yaml"), before);
    }
    let with_id = before.replacen("client_id: a,", "client_id: 7f3k9x2m4q8w1z5t,", 1);
    house.project.write("credentials.yaml", &with_id);
    let same = house.appcred("rotate a --secret-stdin").stdin("7f3k9x2m4q8w1z5t").status(1).run();
    assert!(same.stderr.contains("is the same text as its client id"), "{}", same.stderr);
}

/// What an entry had for another integration is deleted with what it has now, or not at all.
#[test]
fn a_selection_by_the_integration_that_an_entry_had_deletes_nothing() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    let moved = house.text("credentials.yaml").replacen("domain: spotify", "domain: netatmo", 1);
    house.project.write("credentials.yaml", &moved);
    house.appcred("apply --yes --domain spotify").run();
    assert_eq!(house.held().len(), 2);
    house.appcred("apply --yes --key a").run();
    assert_eq!(house.held().len(), 2);
}

#[test]
fn what_cannot_be_rotated_is_said_with_what_to_do() {
    let house = House::new(ONE);
    for (secret, expected) in [
        (
            "!env_var SPOTIFY",
            "the secret of `k` is not in a file of this project: change it where `!env_var SPOTIFY` reads it",
        ),
        (
            "!secret gone",
            "cannot find the secret of `k` (credentials.yaml:5:28): there is no secrets.yaml with the secret `gone`",
        ),
        ("!file gone.txt", "cannot find the secret of `k` (credentials.yaml:5:26): "),
    ] {
        house.project.write("credentials.yaml", &ONE.replace("AGE", secret));
        let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    for (secrets, expected) in [
        ("a: &a x\nk: *a\n", "secrets.yaml: line 2 has it from elsewhere in the file, by an alias"),
        ("k: &k x\nb: *k\n", "secrets.yaml: line 1 has an anchor (`&`) that is used elsewhere"),
        ("k: x\nk: y\n", "secrets.yaml: line 2 has a key that is in the file before: keep one"),
        ("k: [x]\n", "secrets.yaml: line 1 is written in a way that cannot be changed in place"),
        ("other: x\n", "secrets.yaml does not have the secret `k`; add it to secrets.yaml"),
    ] {
        house.project.write("secrets.yaml", secrets);
        house.project.write("credentials.yaml", &ONE.replace("AGE", "!secret k"));
        let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
        assert!(ran.stderr.contains(expected), "{secrets}: {}", ran.stderr);
        assert_eq!(house.text("secrets.yaml"), secrets);
    }
    std::fs::remove_file(house.project.join("secrets.yaml")).unwrap();
    house.project.write("k.txt", "old");
    house.project.write("credentials.yaml", &ONE.replace("AGE", "!file k.txt"));
    let ran = house.appcred("rotate k --secret-stdin").stdin("a: m4rk3d-new").status(1).run();
    assert!(
        ran.stderr
            .contains("it is a YAML mapping, and one value is needed; write it into the manifest"),
        "{}",
        ran.stderr
    );
    assert_eq!(house.text("k.txt"), "old");
    house.project.write("credentials.yaml", &ONE.replace("AGE", &house.inline("m4rk3d-old")));
    let before = house.text("credentials.yaml");
    for (typed, expected) in [("", "the client secret is empty"), ("changeme", "placeholder")] {
        let ran = house.appcred("rotate k --secret-stdin").stdin(typed).status(1).run();
        assert!(ran.stderr.contains(expected), "{typed}: {}", ran.stderr);
    }
    let ran = house.appcred("rotate k").status(1).run();
    assert!(ran.stderr.contains("--secret-stdin or --from is needed"), "{}", ran.stderr);
    assert_eq!(house.text("credentials.yaml"), before);
}

/// A secret is refused by `rotate` and `add` as by the `validate` after it.
#[test]
fn what_validate_would_refuse_is_not_written() {
    let house = House::new(ONE);
    let id = format!("client_id: {}", house.inline("m4rk3d-new"));
    let sealed = ONE.replace("AGE", &house.inline("m4rk3d-old")).replace("client_id: a", &id);
    house.project.write("credentials.yaml", &sealed);
    let before = house.text("credentials.yaml");
    let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
    assert!(ran.stderr.contains("of `k` is the same text as its client id"), "{}", ran.stderr);
    assert_eq!(house.text("credentials.yaml"), before);

    let comment = "# it was 4f5c0A7d2b9E\n";
    house.project.write("credentials.yaml", &(comment.to_owned() + &before));
    let expected =
        "the client secret is in plain text as well (credentials.yaml:1:10); remove it there";
    let ran = house.appcred("rotate k --secret-stdin").stdin("4f5c0A7d2b9E").status(1).run();
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    let add = "add --domain twitch --client-id t --secret-stdin";
    let ran = house.appcred(add).stdin("4f5c0A7d2b9E").status(1).run();
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    let ran = house.appcred(add).stdin("t").status(1).run();
    assert!(ran.stderr.contains("is the same text as its client id"), "{}", ran.stderr);
    // What only a target has is no integration to `validate`.
    let add = "add --domain linked_account --client-id t --secret-stdin";
    let ran = house.appcred(add).stdin("m4rk3d").status(1).run();
    assert!(ran.stderr.contains("list a custom one under `custom_integrations`"), "{}", ran.stderr);
    assert_eq!(house.text("credentials.yaml"), comment.to_owned() + &before);
    let listed = house.text("appcred.yaml") + "custom_integrations: [linked_account]\n";
    house.project.write("appcred.yaml", &listed);
    house.appcred(add).stdin("m4rk3d").run();
    house.appcred("validate").run();
}

/// In plain text it was, and so it stays where the project allows that; elsewhere it is encrypted.
#[test]
fn a_secret_in_plain_text_stays_so_where_that_is_allowed() {
    let house = House::new(ONE);
    let allow = house.text("appcred.yaml") + "allow_plaintext: true\n";
    house.project.write("appcred.yaml", &allow);
    house.project.write("credentials.yaml", &ONE.replace("AGE", "m4rk3d-old"));
    assert_eq!(house.rotates("k", "credentials.yaml"), ONE.replace("AGE", "m4rk3d-new"));
    house.project.write("credentials.yaml", &ONE.replace("AGE", "!file k.txt"));
    house.project.write("k.txt", "m4rk3d-old\n");
    assert_eq!(house.rotates("k", "k.txt"), "m4rk3d-new\n");
}

#[test]
fn fields_are_explained_and_verbs_have_their_names() {
    let appcred = |arguments: &str| Appcred::new().args(arguments.split(' '));
    let said = appcred("explain entry.client_secret").run().stdout;
    assert!(
        said.starts_with(
            "entry.client_secret: text\n\n  The OAuth client secret: an armored age file"
        ),
        "{said}"
    );
    let said = appcred("explain policy.prune").run().stdout;
    assert!(
        said.contains("\nValues:\n  managed\n      What this owner manages.\n  none\n"),
        "{said}"
    );
    for (arguments, expected) in [
        ("explain", "  client_secret (text, required)\n"),
        ("explain targets", "  config_dir (text)\n"),
        ("explain targets.home.token", "A long-lived access token of an administrator"),
        ("explain entry.integration.on_delete", "  remove_integration\n"),
        ("explain formerly", "formerly: list, each item: text\n"),
        ("plan --help", "appcred plan --key 'spotify-*' --exclude spotify-kids"),
        ("--help", "[alias: diff]"),
    ] {
        let said = appcred(arguments).run().stdout;
        assert!(said.contains(expected), "{arguments}: {said}");
    }
    let ran = appcred("explain entry.clent_id").status(1).run();
    assert!(
        ran.stderr.contains("there is no field `clent_id`: did you mean `client_id`?"),
        "{}",
        ran.stderr
    );
    let house = House::new(TWO);
    house.appcred("diff --detailed-exitcode").status(2).run();
}

/// Whatever else is in the file.
#[test]
fn what_was_encrypted_stays_so_though_the_same_is_in_plain_text_elsewhere() {
    let house = House::new(TWO);
    let allow = house.text("appcred.yaml") + "allow_plaintext: true\n";
    house.project.write("appcred.yaml", &allow);
    let manifest = TWO.replacen("AGE", "m4rk3d-new", 1).replace("AGE", &house.inline("m4rk3d-old"));
    house.project.write("credentials.yaml", &manifest);
    house.appcred("rotate b --secret-stdin").stdin("m4rk3d-new").run();
    let after = house.text("credentials.yaml");
    assert_eq!(after.matches("m4rk3d-new").count(), 1, "{after}");
    assert_eq!(after.matches("BEGIN AGE").count(), 1, "{after}");
    house.appcred("apply --yes").run();
    assert!(house.held().iter().all(|(_, secret)| secret == "m4rk3d-new"), "{:?}", house.held());
}

#[test]
fn a_secret_below_other_names_is_rotated_where_it_is() {
    let house = House::new(&ONE.replace("AGE", "!secret home/x/k"));
    house
        .project
        .write("secrets.yaml", "home: # all\n  k: m4rk3d\n  x:\n    k: 'm4rk3d-old' # it\n");
    let after = "home: # all\n  k: m4rk3d\n  x:\n    k: m4rk3d-new # it\n";
    assert_eq!(house.rotates("k", "secrets.yaml"), after);
    house.project.write(
        "secrets.yaml",
        "home: {x: {k: AGE}}\n".replace("AGE", &house.inline("m4rk3d-old")).as_str(),
    );
    let after = house.rotates("k", "secrets.yaml");
    assert!(after.starts_with("home: {x: {k: \"-----BEGIN AGE"), "{after}");
    // A name that has the slashes itself is read first, and so it is changed.
    house.project.write("secrets.yaml", "home: {x: {k: other}}\nhome/x/k: m4rk3d-old\n");
    let after = "home: {x: {k: other}}\nhome/x/k: m4rk3d-new\n";
    assert_eq!(house.rotates("k", "secrets.yaml"), after);
}

#[test]
fn a_secret_is_rotated_in_its_place_in_a_file_that_is_named() {
    const MINE: &str = "# my other secrets\nk: m4rk3d-old\nother: kept # it\n";
    let house = House::new(&ONE.replace("AGE", "!file m.yaml#k"));
    house.project.write("m.yaml", MINE);
    assert_eq!(house.rotates("k", "m.yaml"), MINE.replace("old", "new"));
    // Of two names in one file, each is a secret of its own.
    let two = format!(
        "{}  - {{domain: twitch, key: l, client_id: l, client_secret: !file m.yaml#other}}\n",
        ONE.replace("AGE", "!file m.yaml#k")
    );
    house.declare(&two);
    house.project.write("m.yaml", MINE);
    house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").run();
    assert_eq!(house.text("m.yaml"), MINE.replace("old", "new"));
    // Another tag may lead to the same one.
    house
        .declare(&two.replace("!file m.yaml#other", "!secret k").replace("m.yaml", "secrets.yaml"));
    house.project.write("secrets.yaml", MINE);
    let ran = house.appcred("rotate k --secret-stdin").stdin("m4rk3d-new").status(1).run();
    assert!(ran.stderr.contains("reads the same secret from secrets.yaml"), "{}", ran.stderr);
    house.declare(&ONE.replace("AGE", "!file m.json#a/b"));
    house.project.write("m.json", "{\"a\": {\"b\": \"m4rk3d-old\"}, \"c\": \"d\"}\n");
    assert!(house.rotates("k", "m.json").ends_with(", \"c\": \"d\"}\n"));
}

#[test]
fn rm_names_the_comment_that_it_leaves() {
    let house = House::new(
        "application_credentials:\n  - {domain: twitch, key: t, client_id: t1, client_secret: AGE}\n  # Ann's,\n  # until May\n  - {domain: spotify, key: s, client_id: s1, client_secret: AGE}\n  - {domain: netatmo, key: n, client_id: n1, client_secret: AGE}\n",
    );
    let ran = house.appcred("rm t s").run();
    let said = "The comment above `s` is left (credentials.yaml:2): remove it if it was about that entry.\n";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(!ran.stderr.contains("above `t`"), "{}", ran.stderr);
    let text = std::fs::read_to_string(house.project.join("credentials.yaml")).unwrap();
    assert_eq!(text.lines().nth(1), Some("  # Ann's,"), "{text}");
}
