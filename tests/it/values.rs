//! What is no client id, client secret or token is refused by the same rule, whatever source it comes from.

use std::fs;

use crate::shell::{Appcred, Project, age_identity, encrypt};

/// Texts that cannot be a value, each with what is said of it.
const UNFIT: &[(&str, &str)] = &[
    (r#"{"web":{"client_id":"a","client_secret":"m4rk3d"}}"#, "`web.client_secret`"),
    (r#"{"a": "m4rk3d"}"#, "a JSON document"),
    ("client_secret: m4rk3d\nb: c", "a YAML document"),
    ("CLIENT_SECRET=m4rk3d\nB=c", "a file of environment variables"),
    ("[a]\nb = m4rk3d", "an INI or TOML document"),
    ("-----BEGIN PRIVATE KEY-----\nm4rk3d\n-----END PRIVATE KEY-----", "in PEM form"),
    ("<html><body>m4rk3d</body></html>", "a page of HTML or XML"),
    ("m4rk3d\nm4rk3d", "a text of several lines"),
    ("h1dd3n\u{200b}", "the hidden character U+200B"),
    ("h1dd3né", "the character U+00E9"),
    ("${H1DD3N}", "a placeholder that was not filled in"),
    ("op://h1dd3n/x", "a placeholder: it names a secret of another program"),
    ("!vault h1dd3n", "begins with a YAML tag"),
];

/// A project with one entry a text, whose field is written as `write` says.
fn project(field: &str, write: impl Fn(usize, &str) -> String) -> Project {
    let other = if field == "client_id" { "client_secret" } else { "client_id" };
    let entries = UNFIT.iter().enumerate().map(|(at, (text, _))| {
        let value = write(at, text);
        format!("  - {{domain: spotify, key: k{at}, {other}: 4f5c0a{at}, {field}: {value}}}\n")
    });
    let entries: String = entries.collect();
    Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\nallow_plaintext: true\n")
        .file("credentials/a.yaml", &format!("application_credentials:\n{entries}"))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// All are refused at their places, and none is shown.
#[track_caller]
fn all_are_refused(field: &str, project: &Project, appcred: impl Fn() -> Appcred) {
    let said = appcred().in_dir(project.path()).args(["plan"]).status(1).run().stderr;
    for (at, (_, why)) in UNFIT.iter().enumerate() {
        let line = at + 2;
        let reported = said.split("\n\n").filter(|problem| {
            problem.contains(&format!("credentials/a.yaml:{line}:")) && problem.contains(why)
        });
        assert_eq!(reported.count(), 1, "{field}, line {line}, {why}:\n{said}");
    }
    assert!(!said.contains("m4rk3d"), "a document may have secrets in it: {said}");
    let is_shown = said.to_lowercase().contains("h1dd3n");
    assert!(!is_shown || field == "client_id", "{said}");
}

#[test]
fn what_is_no_value_is_refused_from_every_source() {
    let (identity, recipient) = age_identity();
    let with_key = || Appcred::new().env("SOPS_AGE_KEY", &identity);
    for field in ["client_id", "client_secret"] {
        all_are_refused(field, &project(field, |_, text| quoted(text)), Appcred::new);

        let encrypted = project(field, |_, text| quoted(&encrypt(text, &recipient)));
        all_are_refused(field, &encrypted, with_key);

        let named = project(field, |at, _| format!("!secret s{at}"));
        let secrets = UNFIT.iter().enumerate();
        let secrets: String =
            secrets.map(|(at, (text, _))| format!("s{at}: {}\n", quoted(text))).collect();
        named.write("secrets.yaml", &secrets);
        all_are_refused(field, &named, Appcred::new);
        fs::remove_file(named.join("secrets.yaml")).unwrap();
        named.write("secrets.yaml.age", &encrypt(&secrets, &recipient));
        all_are_refused(field, &named, with_key);

        for is_encrypted in [false, true] {
            let in_files = project(field, |at, _| format!("!file s{at}"));
            for (at, (text, _)) in UNFIT.iter().enumerate() {
                let text =
                    if is_encrypted { encrypt(text, &recipient) } else { (*text).to_owned() };
                in_files.write(&format!("credentials/s{at}"), &text);
            }
            all_are_refused(field, &in_files, with_key);
        }

        let of_environment = || {
            let variables = UNFIT.iter().enumerate();
            variables.fold(Appcred::new(), |appcred, (at, (text, _))| {
                appcred.env(&format!("S{at}"), text)
            })
        };
        let in_variables = project(field, |at, _| format!("!env_var S{at}"));
        all_are_refused(field, &in_variables, of_environment);
    }
}

#[test]
fn a_placeholder_that_is_meant_is_accepted_where_the_project_says_so() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file(
            "credentials/a.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: client_id, client_secret: !env_var S}\n",
        );
    let plan = || Appcred::new().in_dir(project.path()).env("S", "changeme").args(["plan"]);
    let said = plan().status(1).run().stderr;
    assert!(said.contains("`client_id` is a placeholder"), "{said}");
    assert!(said.contains("`allow_placeholders: true` in appcred.yaml accepts it"), "{said}");
    project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\nallow_placeholders: true\n");
    assert!(plan().run().stdout.contains("+ create spotify"));
}

#[test]
fn tokens_are_checked_before_anybody_is_asked() {
    let project = Project::new().file("credentials/a.yaml", "application_credentials: []\n");
    for (text, why) in [
        ("${HASS_TOKEN}", "a placeholder that was not filled in"),
        ("your-long-lived-access-token", "a placeholder that was not filled in"),
        (r#"{"access_token": "m4rk3d"}"#, "the values are those of `access_token` in it"),
        ("op://m4rk3d/x", "a placeholder: it names a secret of another program"),
        ("m4rk3d.x # mine", "holds more than an access token"),
        ("m4rk3d.x,", "has a quote, a comma or another character that no access token has"),
        ("m4rk3d...", "is shortened"),
    ] {
        project.write("token.txt", text);
        for token in
            ["token_file: token.txt", "token: !env_var T", "token_command: [cat, token.txt]"]
        {
            // Nobody listens there, and nobody is asked.
            let targets = format!("targets: {{home: {{url: 'http://127.0.0.1:1', {token}}}}}\n");
            project.write("appcred.yaml", &targets);
            let plan = Appcred::new().in_dir(project.path()).env("T", text).args(["plan"]);
            let ran = plan.status(1).run();
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains(why), "{token}: {said}");
            assert!(!said.contains("m4rk3d"), "{token}: {said}");
        }
    }
    fs::remove_file(project.join("appcred.yaml")).unwrap();
    let plan = Appcred::new().in_dir(project.path()).args(["plan"]);
    let plan = plan.env("HASS_SERVER", "http://127.0.0.1:1").env("HASS_TOKEN", "${TOKEN}");
    let ran = plan.status(1).run();
    assert!((ran.stdout + &ran.stderr).contains("SUPERVISOR_TOKEN) is a placeholder"));
}

#[test]
fn no_folder_address_or_name_is_a_template() {
    let check = |target: &str, name: &str, more: &str, status: i32| {
        let manifest = format!(
            "application_credentials:\n  - {{domain: spotify, name: '{name}', key: a, client_id: 4f5c0a, client_secret: !env_var S}}\n"
        );
        let project = Project::new()
            .file("appcred.yaml", &format!("targets: {{home: {{{target}}}}}\n{more}"))
            .file("credentials/a.yaml", &manifest);
        let ran = Appcred::new()
            .in_dir(project.path())
            .env("S", "4f5c")
            .args(["validate"])
            .status(status)
            .run();
        ran.stdout + &ran.stderr
    };
    let why = "is a placeholder that was not filled in";
    for text in ["${HA_DIR}", "{{ dir }}", "<path to ha>", "!env_var DIR", "$HOME/ha/${X}"] {
        for (target, name, what) in [
            (format!("config_dir: '{text}'"), "A", "appcred.yaml:1:"),
            (format!("url: 'https://ha.example', token_file: '{text}'"), "A", "appcred.yaml:1:"),
            ("config_dir: ha".to_owned(), text, "a.yaml:2:"),
        ] {
            let said = check(&target, name, "", 1);
            assert!(said.contains(why) && said.contains(what), "{target} {name}: {said}");
        }
    }
    for url in ["https://${HA_HOST}:8123", "!env_var URL"] {
        let said = check(&format!("url: '{url}'"), "A", "", 1);
        assert!(said.contains(&format!("`url` {why}")), "{url}: {said}");
    }
    let meant = check("config_dir: 'a (b) {c} $d <e'", "My {secret} key & <3", "", 0);
    assert!(!meant.contains(why), "{meant}");
    let accepted = check("config_dir: '${A}'", "<A>", "allow_placeholders: true\n", 0);
    assert!(!accepted.contains(why), "{accepted}");
}

#[test]
fn what_another_program_put_in_place_of_a_file_is_named_wherever_a_text_is_read() {
    let manifest = |secret: &str| {
        format!(
            "application_credentials:\n  - {{domain: spotify, client_id: 4f5c0a, client_secret: {secret}}}\n"
        )
    };
    for (bytes, why) in [
        (b"\0GITCRYPT\0x".as_slice(), "it is locked by git-crypt"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4f\nsize 1\n", "Git LFS"),
        (b"\xff\xfes\0:\0 \0x\0", "it is UTF-16"),
        (b"\0\0\xfe\xff\0\0\0s", "it is UTF-32"),
        (b"\x1f\x8b\x08\0", "it is compressed by gzip"),
        (b"PK\x03\x04\x14\0", "it is a ZIP archive"),
    ] {
        let read = |file: &str, secret: &str, project_file: &str| {
            let project = Project::new()
                .file("appcred.yaml", project_file)
                .file("credentials/a.yaml", &manifest(secret));
            fs::write(project.join(file), bytes).unwrap();
            let plan = Appcred::new().in_dir(project.path()).env("S", "4f5c").args(["plan"]);
            let ran = plan.status(1).run();
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains(why) && said.contains(file), "{file}, {why}: {said}");
        };
        let folder = "targets: {lab: {config_dir: ha}}\n";
        read("secrets.yaml", "!secret s", folder);
        read("secrets.sops.yaml", "!secret s", folder);
        read("secrets.yaml.age", "!secret s", folder);
        read("credentials/s.txt", "!file s.txt", folder);
        read("appcred.yaml", "!env_var S", folder);
        read("credentials/a.yaml", "!env_var S", folder);
        let with_token = "targets: {home: {url: 'http://127.0.0.1:1', token_file: token.txt}}\n";
        read("token.txt", "!env_var S", with_token);
        let with_authority =
            "targets: {home: {url: 'https://127.0.0.1:1', token: !env_var S, ca_file: ca.pem}}\n";
        read("ca.pem", "!env_var S", with_authority);
        let (_, recipient) = age_identity();
        let armored = quoted(&encrypt("x", &recipient));
        let with_identity = format!("{folder}age: {{identities: [keys.txt]}}\n");
        read("keys.txt", &armored, &with_identity);
    }
}

#[test]
fn an_address_of_the_environment_is_read_as_one_of_the_project_file_and_never_shown() {
    let project = Project::new().file("credentials.yaml", "application_credentials: []\n");
    for (url, why) in [
        ("http://user:hush@127.0.0.1:9", "cannot have a user or a password in it"),
        ("http://127.0.0.1:9/?token=hush", "cannot have a query"),
        ("http://127.0.0.1:9/#hush", "cannot have a `#`"),
        ("ftp://u:hush@127.0.0.1", "must begin with `http://` or `https://`"),
        ("user:hush@127.0.0.1", "must begin with `http://` or `https://`"),
        ("hush@127.0.0.1", "is not a URL"),
    ] {
        for verb in [
            &["plan"][..],
            &["apply", "--yes"],
            &["plan", "--format", "json"],
            &["list", "--format", "json"],
            &["snapshot"],
            &["watch"],
            &["login"],
            &["logout"],
        ] {
            let ran = Appcred::new()
                .in_dir(project.path())
                .env("HASS_SERVER", url)
                .env("HASS_TOKEN", "zz")
                .args(verb);
            let ran = ran.status(1).run();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!said.contains("hush"), "{verb:?}: {said}");
            assert!(said.contains(&format!("HASS_SERVER {why}")), "{verb:?}: {said}");
        }
    }
    for arguments in [
        &["plan", "--against", "ftp://u:hush@h"][..],
        &["plan", "--against", "http://u:hush@h:x"],
        &["watch", "--consent-base", "https://u:hush@h?hush"],
    ] {
        let ran = Appcred::new().args(arguments).status(1).run();
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
    }
}

#[test]
fn a_name_behind_which_a_placeholder_was_found_is_taken_for_no_secret() {
    let manifest = "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !secret p1}\n";
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file("secrets.yaml", "p1: changeme\n")
        .file("credentials/a.yaml", manifest);
    let said = Appcred::new().in_dir(project.path()).args(["validate"]).status(1).run().stderr;
    assert!(said.contains("a placeholder"), "{said}");
    assert!(!said.contains("could be the secret itself"), "{said}");
}

/// A clock may be wrong, and another server may be meant: such a token is sent all the same.
#[test]
fn what_is_most_likely_no_token_is_a_warning_before_it_is_sent() {
    let project = Project::new().file("credentials/a.yaml", "application_credentials: []\n");
    // {"iss": "a", "iat": 1000000000, "exp": 1315360000}
    let expired = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiAiYSIsICJpYXQiOiAxMDAwMDAwMDAwLCAiZXhwIjogMTMxNTM2MDAwMH0.FIRdDzDtj1qVJQAd1xO7Y6lqnE8mYk5Pk5ZXYyXEYXo";
    // {"iss": "a", "exp": 4102444800}
    let good = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiAiYSIsICJleHAiOiA0MTAyNDQ0ODAwfQ.FIRdDzDtj1qVJQAd1xO7Y6lqnE8mYk5Pk5ZXYyXEYXo";
    for (text, why) in [
        ("hunter2", "is no access token of Home Assistant, which begins with `eyJ`"),
        (expired, "expired on 2011-09-07"),
        ("m4rk3d0123456789m4rk3d0123456789", "is no access token of Home Assistant"),
        ("m4rk3d-token-of-another-server", ""),
        (&good[..good.len() - 5], "was not copied as a whole, or has more at its end"),
        (&format!("hass_{good}"), "has something before the access token"),
        (good, ""),
    ] {
        project.write("token.txt", text);
        project.write("secrets.yaml", &format!("t: {text}\n"));
        for token in ["token_file: token.txt", "token: !env_var T", "token: !secret t"] {
            let targets = format!("targets: {{home: {{url: 'http://127.0.0.1:1', {token}}}}}\n");
            project.write("appcred.yaml", &targets);
            let validate = Appcred::new().in_dir(project.path()).env("T", text).args(["validate"]);
            let said = validate.run().stderr;
            assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{token}: {said}");
            assert!(!said.contains(text), "{token}: {said}");
        }
    }
}

/// A list of what programs and people write would never be whole: what a provider issues is one word.
#[test]
fn what_a_file_holds_or_a_program_prints_is_one_word() {
    let manifest = |secret: &str| {
        format!(
            "application_credentials:\n  - {{domain: spotify, client_id: 4f5c0a, client_secret: {secret}}}\n"
        )
    };
    let project_file = "targets: {lab: {config_dir: ha}}\nsources: {it: {command: [cat, '{}']}}\n";
    let project = Project::new().file("appcred.yaml", project_file);
    for (text, why) in [
        ("? Master password: [hidden]", "it may be a prompt"),
        ("Kein Eintrag unter diesem Namen", "it may be a prompt, a message"),
        ("zx81m4rk3d # old", "a value with a comment"),
        ("zx81m4rk3d ; 2024", "a value with a comment"),
        ("$ zx81m4rk3d", "it may be a prompt"),
        ("[zx81m4rk3d](https://x.example)", "something else of the text that it was copied from"),
        ("zx81\\u0026m4rk3d", "something else of the text that it was copied from"),
        ("zx81%2Bm4rk3d", "something else of the text that it was copied from"),
        ("No value found at secret/m4rk3d", "it may be a prompt, a message"),
    ] {
        project.write("credentials/s.txt", text);
        for secret in ["!file s.txt", "!from it credentials/s.txt"] {
            project.write("credentials/a.yaml", &manifest(secret));
            let plan = Appcred::new().in_dir(project.path()).env("PATH", "/usr/bin:/bin");
            let ran = plan.args(["plan"]).status(1).run();
            let said = ran.stdout + &ran.stderr;
            assert!(
                said.contains("client_secret") && said.contains(why),
                "{secret}, {text}: {said}"
            );
            assert!(!said.contains("m4rk3d"), "{secret}: {said}");
        }
    }
    project.write("secrets.yaml", "s: 'a passphrase # of us 4f5c'\n");
    project.write("credentials/a.yaml", &manifest("!secret s"));
    Appcred::new().in_dir(project.path()).args(["plan"]).run();
}

#[test]
fn a_client_id_of_several_words_is_a_warning() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file(
            "credentials/a.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: 4f5c 0a88, client_secret: !env_var S}\n",
        );
    let appcred = |verb: &str| Appcred::new().in_dir(project.path()).env("S", "4f5c").args([verb]);
    let said = appcred("validate").run().stderr;
    assert!(said.contains("warning: `client_id` has white space in it"), "{said}");
    // Home Assistant may have one.
    appcred("plan").stderr("").run();
}

/// What is wrong with all of a file of secrets is a problem of that file, and not of each entry that reads one.
#[test]
fn a_file_of_secrets_that_cannot_be_read_is_reported_once() {
    let entry = |name: &str| {
        format!(
            "  - {{domain: spotify, client_id: {name}, key: {name}, client_secret: !secret {name}}}\n"
        )
    };
    let manifest = format!("application_credentials:\n{}{}", entry("one"), entry("two"));
    for (bytes, why, count) in [
        (b"one: caf\xe9\ntwo: x\n".as_slice(), "error: secrets.yaml is not UTF-8 text", 1),
        (b"\xff\xfeo\0", "error: cannot read secrets.yaml: it is UTF-16", 1),
        (b"PK\x03\x04\x14\0", "error: cannot read secrets.yaml: it is a ZIP archive", 1),
        (b"", "error: cannot read secrets.yaml: it is a folder, not a file", 1),
        // Another clone has the file itself.
        (b"\0GITCRYPT\0x", "cannot read secrets.yaml: it is locked by git-crypt", 2),
    ] {
        let project = Project::new()
            .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
            .file("credentials/a.yaml", &manifest);
        match bytes {
            b"" => fs::create_dir(project.join("secrets.yaml")).unwrap(),
            bytes => fs::write(project.join("secrets.yaml"), bytes).unwrap(),
        }
        let status = if count == 1 { 1 } else { 0 };
        let validate = Appcred::new().in_dir(project.path()).args(["validate"]);
        let said = validate.status(status).run().stderr;
        assert!(said.contains(why), "{said}");
        let found = said
            .lines()
            .filter(|line| line.starts_with("error: ") || line.starts_with("warning: "));
        assert_eq!(found.count(), count, "{said}");
        assert_eq!(said.matches("= help:").count(), 1, "{said}");
    }
}

#[test]
fn a_name_or_file_that_is_almost_one_is_suggested() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file("secrets/my.yaml", "spotify: 4f5c0a88\nhome: {fitbit: 4f5c0a89}\n");
    for (secret, near) in [
        ("../secrets/my.yaml#spotfy", "it has no value `spotfy`: did you mean `spotify`?"),
        ("../secrets/my.yaml#fitbit", "it has no value `fitbit`: did you mean `home/fitbit`?"),
        ("../secrets/my.yml#spotify", "no such file or folder: did you mean `my.yaml`?"),
        ("../secrets/other.txt", "no such file or folder\n"),
    ] {
        project.write("credentials/a.yaml", &format!("application_credentials:\n  - {{domain: spotify, client_id: 4f5c, client_secret: !file '{secret}'}}\n"));
        let plan = Appcred::new().in_dir(project.path()).args(["plan"]).status(1).run();
        assert!(plan.stderr.contains(near), "{secret}: {}", plan.stderr);
    }
}

#[test]
fn what_is_wrong_with_an_address_or_a_list_of_targets_is_named() {
    let project = Project::new().file("credentials/a.yaml", "application_credentials: []\n");
    for (targets, why) in [
        ("home: {url: 'http://ha:99999'}", "`url` has an invalid port: a port is a number"),
        ("home: {url: 'http://ha:81a'}", "`url` has an invalid port: a port is a number"),
        ("home: {url: 'http://300.1.1.1:8123'}", "`url` has an invalid IPv4 address: it has four"),
        ("home: {url: 'http://192.168.1:8123'}", "`url` has an IPv4 address of fewer than four"),
        ("home: {url: 'http://[::1:8123'}", "`url` has an invalid IPv6 address: it is written"),
        ("home: {url: 'http://me:m4rk/3d@ha:8123'}", "`url` cannot have a user or a password"),
        ("home: {url: 'http://me:m4rk#3d@ha:8123'}", "`url` cannot have a user or a password"),
        ("home: {url: 'http://me:m4rk@3d@ha:8123'}", "`url` cannot have a user or a password"),
        ("home: {url: 'https://ha', proxy: 'http://me:m4rk/3d@p:1'}", "must not contain a user or"),
        ("- home: {config_dir: ha}", "is a target, and a list has the files of targets"),
        ("- name: home\n  config_dir: ha", "is a target, and a list has the files of targets"),
    ] {
        project.write("appcred.yaml", &format!("targets:\n  {}\n", targets.replace('\n', "\n  ")));
        let ran = Appcred::new().in_dir(project.path()).args(["validate"]).status(1).run();
        assert!(ran.stderr.contains(why), "{targets}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{targets}: {}", ran.stderr);
        assert!(!ran.stderr.contains("m4rk"), "{targets}: {}", ran.stderr);
    }
}

/// What was done is done, and reported where it was asked for.
#[test]
fn a_job_summary_that_cannot_be_written_fails_no_run() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file("credentials/a.yaml", "application_credentials:\n  - {domain: spotify, client_id: 4f5c, client_secret: !env_var S}\n");
    for words in [["plan", "-v"], ["apply", "--yes"]] {
        let appcred = Appcred::new().in_dir(project.path()).env("S", "4f5c0a88");
        let ran = appcred.env("GITHUB_STEP_SUMMARY", "/nowhere/summary").args(words).run();
        let warning = "warning: cannot write the job summary /nowhere/summary: there is no such file or folder\n";
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
        assert!(ran.stdout.contains("create"), "{}", ran.stdout);
    }
}

#[test]
fn init_takes_the_recipients_of_sops_and_leaves_a_misnamed_project_alone() {
    let (_, recipient) = age_identity();
    let project = Project::new();
    let init = || Appcred::new().in_dir(project.path()).args(["init"]);
    for name in ["appcred.yml", "Appcred.yaml", ".appcred.yaml"] {
        project.write(name, "targets: {}\n");
        let said = init().status(1).run().stderr;
        assert!(said.contains(&format!("{name} exists and would not be read")), "{said}");
        let said = Appcred::new().in_dir(project.path()).args(["plan"]).status(1).run().stderr;
        assert!(said.contains(&format!("`{name}` is not read")), "{said}");
        assert!(!project.join("appcred.yaml").exists());
        fs::remove_file(project.join(name)).unwrap();
    }
    let ran = init().env("SOPS_AGE_RECIPIENTS", format!(" {recipient},")).run();
    assert!((ran.stdout + &ran.stderr).contains("those of SOPS_AGE_RECIPIENTS"));
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    assert!(text.contains(&format!("- {recipient}\n")), "{text}");
}
