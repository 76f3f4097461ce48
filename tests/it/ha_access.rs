//! How somebody gets into a running Home Assistant.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::real::{CONFIGURATION, HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project, Ran};

/// A project whose only target gets its token in this way.
fn project(ha: &HomeAssistant, token: &str) -> Project {
    let url = ha.url();
    Project::new()
        .file("appcred.yaml", &format!("targets:\n  home: {{url: \"{url}\", {token}}}\n"))
        .file("credentials.yaml", "application_credentials: []\n")
}

/// Lists with nothing but a `PATH` in the environment.
#[track_caller]
fn list(project: &Project, status: i32) -> Ran {
    let path = format!("{}:/usr/bin:/bin", project.path().display());
    Appcred::new().in_dir(project.path()).env("PATH", path).args(["list"]).status(status).run()
}

each_release!(ha_takes_a_token_from_a_file);
fn ha_takes_a_token_from_a_file(release: Release) {
    let ha = HomeAssistant::start(release);
    let project = project(&ha, "token_file: keys/token");
    let ran = list(&project, 1);
    assert!(ran.stdout.contains("cannot read keys/token: there is no such file"), "{}", ran.stdout);
    project.write("keys/token", &format!("{}\n", ha.token()));
    assert_eq!(list(&project, 0).stdout, "No credentials.\n");
}

each_release!(ha_takes_a_token_from_a_program);
fn ha_takes_a_token_from_a_program(release: Release) {
    let ha = HomeAssistant::start(release);
    let project = project(&ha, "token_command: [./print, the token, '$HOME']");
    let ran = list(&project, 1);
    assert!(ran.stdout.contains("`./print` cannot be run"), "{}", ran.stdout);

    let script = |body: &str| {
        project.write("print", &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(project.join("print"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("echo locked >&2; exit 3");
    let ran = list(&project, 1);
    assert!(ran.stdout.contains("`./print` ended with exit status: 3"), "{}", ran.stdout);
    assert!(ran.stderr.contains("locked"), "{}", ran.stderr);
    script(&format!("[ \"$1\" = 'the token' ] && [ \"$2\" = '$HOME' ] && echo {}", ha.token()));
    assert_eq!(list(&project, 0).stdout, "No credentials.\n");
}

each_release!(a_program_is_run_for_no_target_but_those_asked_for);
fn a_program_is_run_for_no_target_but_those_asked_for(release: Release) {
    let ha = HomeAssistant::start(release);
    let project = project(&ha, "token_file: token").file("token", ha.token());
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    let other = "  other: {url: \"http://127.0.0.1:9\", token_command: [touch, was-run]}\n";
    project.write("appcred.yaml", &(text + other));
    let appcred = || Appcred::new().in_dir(project.path()).env("PATH", "/usr/bin:/bin");
    appcred().args(["list", "-t", "home"]).run();
    appcred().args(["validate"]).run();
    assert!(!project.join("was-run").exists());
    let ran = appcred().args(["list", "-t", "other"]).status(1).run();
    assert!(ran.stdout.contains("the output of `touch` is empty"), "{}", ran.stdout);
    assert!(project.join("was-run").exists());
}

each_release!(ha_refuses_a_token_and_programs_read_that);
fn ha_refuses_a_token_and_programs_read_that(release: Release) {
    let ha = HomeAssistant::start(release);
    let (_, recipient) = crate::shell::age_identity();
    let project = project(&ha, "token_file: token").file("token", "m4rk3d-no-token");
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    project.write("appcred.yaml", &format!("{text}age: {{recipients: [{recipient}]}}\n"));
    project.write("credentials.yaml", "application_credentials:\n  - {domain: spotify, client_id: one, client_secret: !env_var S}\n");
    for words in ["plan", "apply --yes", "list", "doctor", "authorize", "import", "snapshot"] {
        let appcred = Appcred::new().in_dir(project.path()).env("S", "m4rk3d-secret");
        let format = ["--format", "json"].iter().filter(|_| words != "snapshot");
        let ran = appcred.args(words.split(' ')).args(format).status(1).run();
        let (out, said) = (&ran.stdout, &ran.stderr);
        // The schema of each is checked by who runs it.
        assert_eq!(out.is_empty(), words == "snapshot", "{words}: {said}");
        let refused = "refused the access token";
        let told = if words == "doctor" { out } else { said };
        assert!(
            told.contains(refused) && !(out.clone() + said).contains("m4rk3d"),
            "{words}: {out}{said}"
        );
    }
}

each_release!(ha_refuses_a_token_that_has_expired);
fn ha_refuses_a_token_that_has_expired(release: Release) {
    let ha = HomeAssistant::start(release);
    let project = project(&ha, "token_file: token").file("token", ha.expired_token());
    let two_days_ago = jiff::Timestamp::now() - jiff::Span::new().hours(48);
    let day = two_days_ago.to_zoned(jiff::tz::TimeZone::UTC).date();
    for words in ["plan", "list", "doctor"] {
        let ran = Appcred::new().in_dir(project.path()).args([words]).status(1).run();
        let said = ran.stdout + &ran.stderr;
        assert!(
            said.contains(&format!(
                "refused the access token; it expired on {day}, and is from token"
            )),
            "{said}"
        );
    }
}

each_release!(ha_in_recovery_mode_is_not_ready);
fn ha_in_recovery_mode_is_not_ready(release: Release) {
    let mut ha = HomeAssistant::start(release);
    ha.stop();
    let broken = CONFIGURATION.replace("homeassistant:\n", "homeassistant:\n  latitude: nowhere\n");
    fs::write(ha.config_dir().join("configuration.yaml"), broken).unwrap();
    ha.begin_again();
    let project = project(&ha, "token: !env_var HASS_TOKEN");
    let run = |words: &str| {
        let appcred = Appcred::new().in_dir(project.path()).env("HASS_TOKEN", ha.token());
        let ran = appcred.args(words.split(' ')).status(1).run();
        ran.stdout + &ran.stderr
    };
    for words in ["list", "plan", "apply --yes", "doctor"] {
        let said = run(words);
        assert!(said.contains("is in recovery mode"), "{words}: {said}");
    }
}
