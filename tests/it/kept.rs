//! What people said is to be left alone: protected, suspended and forgotten entries, and suspended targets.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::Value;

use crate::changing::House;

const TWO: &str = "application_credentials:\n  - {domain: spotify, key: a, client_id: a, client_secret: AGE}\n  - {domain: twitch, key: b, client_id: b, client_secret: AGE}\n";

/// Both entries are applied, and the secret of `a` is another one since, and this is in the entry.
fn changed(field: &str) -> House {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    house.declare(&TWO.replacen("AGE", &format!("@NEW, {field}"), 1));
    house
}

/// By `auth_domain`, its secret.
fn is_held(house: &House, expected: &[(&str, &str)]) {
    let held = house.held();
    let held: Vec<_> = held.iter().map(|(mark, secret)| (mark.as_str(), secret.as_str())).collect();
    assert_eq!(held, expected);
}

const OLD: [(&str, &str); 2] =
    [("appcred:house:a", "m4rk3d-old"), ("appcred:house:b", "m4rk3d-old")];

#[test]
fn what_is_protected_is_replaced_only_where_that_is_allowed() {
    let house = changed("protect: true");
    let ran = house.appcred("apply --yes").status(1).run();
    assert!(ran.stdout.contains("`a` is protected"), "{}", ran.stdout);
    assert!(ran.stdout.contains("--allow-protected"), "{}", ran.stdout);
    is_held(&house, &OLD);
    house.appcred("plan --detailed-exitcode").status(2).run();
    let ran = house.appcred("list").run();
    assert!(ran.stdout.contains("differs, protected"), "{}", ran.stdout);
    for (state, count) in [("protected", 1), ("suspended", 0), ("in_sync,protected", 2)] {
        let listed = house.appcred(&format!("list --format json --state {state}")).run().stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let listed = listed["targets"][0]["credentials"].as_array().unwrap();
        assert_eq!(listed.len(), count, "{state}: {listed:?}");
    }
    let ran = house.appcred("plan --format json").run();
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["targets"][0]["withheld"][0]["why"], "protected", "{plan}");

    // A saved plan is applied with the same permission alone.
    house.appcred("plan --allow-protected a --out p.plan").run();
    house.appcred("apply p.plan").status(1).run();
    house.appcred("apply p.plan --allow-protected a").run();
    is_held(&house, &[OLD[1], ("appcred:house:a", "m4rk3d-new")]);
}

#[test]
fn a_mistyped_key_whose_protection_is_lifted_leads_to_the_right_one() {
    let house = changed("protect: true");
    let project = house.text("appcred.yaml");
    house.project.write("appcred.yaml", &format!("{project}policy: {{protect: [ghost]}}\n"));
    let snapshot = house.appcred("snapshot").run().stdout;
    house.project.write("s.json", &snapshot);
    house.appcred("plan --allow-protected a --out p.plan").run();
    for run in ["plan", "apply --yes", "apply p.plan", "plan --against s.json", "plan --key a"] {
        let ran = house.appcred(&format!("{run} --allow-protected bb")).status(1).run();
        let said = "there is no entry or credential with the key `bb`: did you mean `b`?";
        assert!(ran.stderr.contains(said), "{run}: {}", ran.stderr);
        // What is there, or named by the policy, and not protected or held now.
        for known in ["b", "ghost"] {
            house.appcred(&format!("plan --allow-protected a,{known}")).run();
        }
    }
    is_held(&house, &OLD);
    // A credential whose entry is gone has its key.
    house.declare(&TWO.replace("key: b", "key: c"));
    house.appcred("plan --allow-protected b").run();
}

#[test]
fn an_entry_that_the_policy_protects_is_not_removed() {
    let house = House::new(TWO);
    let project = house.text("appcred.yaml");
    house.project.write("appcred.yaml", &format!("{project}policy: {{protect: [a]}}\n"));
    let ran = house.appcred("rm a").status(1).run();
    assert!(
        ran.stderr.contains("`a` is protected by the policy in appcred.yaml"),
        "{}",
        ran.stderr
    );
    assert!(house.text("credentials.yaml").contains("key: a"));
    house.appcred("apply --yes").run();
    house.appcred("forget a").run();
    house.appcred("plan --detailed-exitcode").status(0).run();
}

#[test]
fn a_protected_entry_is_not_removed_and_what_the_policy_names_stays_without_it() {
    let house = changed("protect: true");
    let ran = house.appcred("rm a").status(1).run();
    assert!(
        ran.stderr.contains("the entry `a` is protected (credentials.yaml:2:"),
        "{}",
        ran.stderr
    );
    house.declare(
        &TWO.replace("  - {domain: spotify, key: a, client_id: a, client_secret: AGE}\n", ""),
    );
    let project = house.text("appcred.yaml");
    house.project.write("appcred.yaml", &format!("{project}policy: {{protect: [a]}}\n"));
    let ran = house.appcred("apply --yes").status(1).run();
    assert!(ran.stdout.contains("not done: delete spotify"), "{}", ran.stdout);
    is_held(&house, &OLD);
    house.appcred("apply --yes --allow-protected a").run();
    is_held(&house, &OLD[1..]);
}

#[test]
fn a_protected_entry_is_not_deleted_at_targets_that_it_no_longer_names() {
    let house = House::new(TWO);
    let project = house.text("appcred.yaml");
    let two =
        project.replace("home: {config_dir: ha}", "home: {config_dir: ha}, lab: {config_dir: lab}");
    house.project.write("appcred.yaml", &two);
    house
        .project
        .write("lab/.storage/core.config_entries", r#"{"version": 1, "data": {"entries": []}}"#);
    house.appcred("apply --yes").run();
    house.declare(&TWO.replacen("AGE", "AGE, protect: true, targets: [lab]", 1));
    house.appcred("apply --yes").status(1).run();
    is_held(&house, &OLD);
}

#[test]
fn a_suspended_entry_stays_as_it_is_and_that_is_no_error() {
    let house = changed("suspend: true");
    let ran = house.appcred("apply --yes").run();
    assert!(ran.stdout.contains("the entry is suspended"), "{}", ran.stdout);
    is_held(&house, &OLD);
    house.appcred("plan --detailed-exitcode").status(0).run();
    let ran = house.appcred("list --format json").run();
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    let first = &list["targets"][0]["credentials"][0];
    assert_eq!((&first["suspended"], &first["state"]), (&true.into(), &"differs".into()));
    house.declare(&TWO.replacen("AGE", "@NEW", 1));
    house.appcred("apply --yes").run();
    is_held(&house, &[OLD[1], ("appcred:house:a", "m4rk3d-new")]);
}

#[test]
fn a_suspended_target_is_not_looked_at() {
    let house = House::new(TWO);
    let project = house.text("appcred.yaml");
    // Nobody listens there.
    let down = "home: {config_dir: ha}, cabin: {url: 'http://127.0.0.1:1', token: !env_var T, suspend: true}";
    house.project.write("appcred.yaml", &project.replace("home: {config_dir: ha}", down));
    let ran = house.appcred("apply --yes").run();
    assert!(ran.stderr.contains("the target `cabin` is suspended"), "{}", ran.stderr);
    assert!(ran.stderr.contains("appcred.yaml:2:"), "{}", ran.stderr);
    is_held(&house, &OLD);
    house.appcred("plan --target cabin --key a --detailed-exitcode").status(0).run();
    let ran = house.appcred("doctor --target cabin").env("T", "token").run();
    assert!(ran.stdout.contains("it is suspended, so nothing connects to it"), "{}", ran.stdout);
    house.project.write("appcred.yaml", &project.replace("ha}", "ha, suspend: maybe}"));
    let ran = house.appcred("validate").status(1).run();
    assert!(ran.stderr.contains("`suspend` must be"), "{}", ran.stderr);
}

#[test]
fn a_forgotten_entry_is_gone_and_its_credential_stays() {
    let house = House::new(TWO);
    house.appcred("apply --yes").run();
    let ran = house.appcred("forget Spotify").run();
    let said = "Removed `a` from credentials.yaml, and noted it in appcred.yaml: what targets hold of it stays.\n";
    assert_eq!(ran.stdout, said);
    assert!(house.text("appcred.yaml").ends_with("policy:\n  forgotten: [a]\n"));
    assert!(!house.text("credentials.yaml").contains("key: a"));
    for arguments in ["apply --yes", "apply --yes --prune all"] {
        house.appcred(arguments).run();
        is_held(&house, &OLD);
    }
    house.appcred("plan --detailed-exitcode").status(0).run();
    let ran = house.appcred("list --state forgotten").run();
    assert!(ran.stdout.contains("spotify"), "{}", ran.stdout);

    // What is held of it is not to become another entry's.
    let ran = house.appcred("rename b a").status(1).run();
    assert!(ran.stderr.contains("`a` is under `policy.forgotten`"), "{}", ran.stderr);

    // Nothing is written where one of the files cannot be changed.
    let before = house.text("credentials.yaml");
    house.project.write("appcred.yaml", &house.text("appcred.yaml").replace("[a]", "{}"));
    house.appcred("forget b").status(1).run();
    assert_eq!(house.text("credentials.yaml"), before);
}

#[test]
fn forgetting_makes_a_project_file_where_there_is_none_and_is_reported() {
    let house = House::new(TWO);
    std::fs::remove_file(house.project.join("appcred.yaml")).unwrap();
    let ran = house.appcred("forget b --format json").run();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["changes"][0]["change"], "entry_forgotten", "{report}");
    assert_eq!(house.text("appcred.yaml"), "policy:\n  forgotten: [b]\n");
    house.appcred("validate").run();
}

#[test]
fn apply_says_that_no_window_is_open_and_applies() {
    let house = House::new(TWO);
    let project = house.text("appcred.yaml");
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let in_days = |days: i64| today.checked_add(days.days()).unwrap();
    let windows = |days: i64| {
        let day = in_days(days).strftime("%a").to_string().to_lowercase();
        let window = format!("{{days: [{day}], from: \"00:00\", to: \"00:00\", time_zone: UTC}}");
        house.project.write("appcred.yaml", &format!("{project}policy: {{windows: [{window}]}}\n"));
    };
    windows(3);
    let ran = house.appcred("apply --yes").run();
    let said = in_days(3).strftime("No maintenance window is open before %a %Y-%m-%d 00:00 UTC: ");
    assert!(ran.stderr.contains(&said.to_string()), "{}", ran.stderr);
    is_held(&house, &OLD);
    let ran = house.appcred("apply --yes").run();
    assert!(!ran.stderr.contains("window"), "nothing is to be done: {}", ran.stderr);
    house.declare(&TWO.replacen("AGE", "@NEW", 1));
    windows(0);
    let ran = house.appcred("apply --yes").run();
    assert!(!ran.stderr.contains("window"), "one is open: {}", ran.stderr);
}
