//! Integrations of Home Assistant's own that behave as only they do, replaced by ours that do the same.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::linking::{Linking, link};
use crate::real::{
    CONFIGURATION, HomeAssistant, Release, copy_folder, each_release, give_integrations,
};

const APPLY: &[&str] = &["apply", "--yes"];
const PLAN: &[&str] = &["plan", "--detailed-exitcode"];

/// A house in which `domain` is an integration that ignores `auth_domain`.
struct Replaced {
    linking: Linking,
    _folder: TempDir,
}

impl Replaced {
    #[track_caller]
    fn start(release: Release, domain: &str, has_cloud: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("appcred-ha-").tempdir().unwrap();
        give_integrations(folder.path());
        let components = folder.path().join("custom_components");
        component("ignores_auth_domain", &components.join(domain), domain, &["linked_account"]);
        component("cloud", &components.join("cloud"), "cloud", &[]);
        let cloud = if has_cloud { "cloud:\n" } else { "" };
        let configuration = format!("{}{cloud}", CONFIGURATION);
        fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
        let linking = Linking::with(HomeAssistant::start_in(release, folder.path()));
        Self { linking, _folder: folder }
    }
}

/// Copies a component, with a manifest for its new name.
#[track_caller]
fn component(name: &str, to: &Path, domain: &str, dependencies: &[&str]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/replacing_components");
    copy_folder(&from.join(name), to);
    let manifest = json!({
        "domain": domain, "name": domain, "version": "1.0.0", "codeowners": [], "requirements": [],
        "config_flow": to.join("config_flow.py").exists(), "dependencies": dependencies,
        "documentation": "https://example.invalid", "iot_class": "cloud_polling",
    });
    fs::write(to.join("manifest.json"), manifest.to_string()).unwrap();
}

/// One that ignores `auth_domain` in this release.
fn ignoring(release: Release) -> &'static str {
    match release {
        Release::Ha2024_3 => "withings",
        Release::Ha2025_12 | Release::Ha2026_11 => "smartthings",
    }
}

each_release!(ha_account_of_an_integration_that_ignores_auth_domain_is_recognised);
fn ha_account_of_an_integration_that_ignores_auth_domain_is_recognised(release: Release) {
    let domain = ignoring(release);
    let Replaced { linking, _folder } = Replaced::start(release, domain, true);
    linking.house.declare(&[linking.entry(domain, "Anna", "anna", "first")]);
    let consent = link(&linking.json(APPLY));
    assert!(consent.contains("client_id=anna"), "{consent}");
    linking.consent(&consent);
    linking.apply();

    let account = linking.account(domain)["entry_id"].as_str().unwrap().to_owned();
    assert_eq!(linking.set_up("anna"), json!({"state": "loaded"}));
    linking.appcred(PLAN).status(0).run();
    assert_eq!(linking.apply().stdout.lines().count(), 2, "nothing is left to do");

    linking.provider.client("anna", "second");
    linking
        .house
        .declare(&[linking.house.entry_with_integration(domain, "Anna", "anna", "second")]);
    let applied = linking.apply().stdout;
    assert!(applied.contains("# reloads the linked account"), "{applied}");
    linking.ha.expire_token(&account);
    assert!(linking.ha.use_account(&account), "it has the new secret");
    assert_eq!(linking.accounts(domain).len(), 1);
    assert_eq!(named_in_storage(linking, &account), domain, "it did ignore `auth_domain`");
}

/// What HA has stored of an account, once it has stopped.
#[track_caller]
fn named_in_storage(mut linking: Linking, account: &str) -> String {
    linking.ha.stop();
    let stored = linking.ha.storage("core.config_entries").unwrap();
    let entries: Vec<Value> = serde_json::from_value(stored["data"]["entries"].clone()).unwrap();
    let entry = entries.iter().find(|entry| entry["entry_id"] == account).unwrap();
    entry["data"]["auth_implementation"].as_str().unwrap().to_owned()
}

each_release!(ha_account_that_may_be_linked_through_cloud_is_not_removed);
fn ha_account_that_may_be_linked_through_cloud_is_not_removed(release: Release) {
    let domain = ignoring(release);
    let Replaced { mut linking, _folder } = Replaced::start(release, domain, true);
    linking.house.declare(&[linking.entry(domain, "Anna", "anna", "first")]);
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.ha.stop();
    let file = linking.ha.config_dir().join(".storage/core.config_entries");
    let mut stored: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for entry in stored["data"]["entries"].as_array_mut().unwrap() {
        if entry["domain"] == domain {
            entry["data"]["auth_implementation"] = "cloud".into();
        }
    }
    fs::write(&file, stored.to_string()).unwrap();
    linking.ha.start_again();

    linking.house.declare(&[linking.house.entry("spotify", "Other", "other", "second")]);
    let remove = linking.appcred(APPLY).args(["--remove-integrations"]);
    let said = remove.status(1).run().stdout;
    let why = "does not show whether the linked account \"Anna\" uses it or Home Assistant Cloud";
    assert!(said.contains(why) && said.contains("remove the integration in Home"), "{said}");
    let account = linking.account(domain)["entry_id"].as_str().unwrap().to_owned();

    let path = format!("/api/config/config_entries/entry/{account}");
    assert_eq!(linking.ha.rest("DELETE", &path, None).0, 200);
    linking.appcred(APPLY).args(["--remove-integrations"]).run();
    assert_eq!(linking.ha.credentials().len(), 1, "the other one alone is left");
}

each_release!(ha_reason_that_only_home_assistant_knows_is_reported_in_its_words);
fn ha_reason_that_only_home_assistant_knows_is_reported_in_its_words(release: Release) {
    let domain = ignoring(release);
    let Replaced { linking, _folder } = Replaced::start(release, domain, true);
    fs::write(linking.ha.config_dir().join("full_moon"), "").unwrap();
    linking.house.declare(&[linking.entry(domain, "Anna", "anna", "first")]);
    let applied = linking.appcred(APPLY).status(1).run().stdout;
    assert!(applied.contains("The moon of Jupiter is full. Wait (full_moon)"), "{applied}");
}

each_release!(ha_dependency_that_cannot_be_set_up_is_named);
fn ha_dependency_that_cannot_be_set_up_is_named(release: Release) {
    let folder = tempfile::Builder::new().prefix("appcred-ha-").tempdir().unwrap();
    give_integrations(folder.path());
    let components = folder.path().join("custom_components");
    component("cloud", &components.join("broken"), "broken", &[]);
    let fails = "async def async_setup(hass, config):\n    return False\n";
    fs::write(components.join("broken/__init__.py"), fails).unwrap();
    let needs_it = ["application_credentials", "linked_account", "broken"];
    component(
        "../custom_components/linked_account_device",
        &components.join("linked_account_device"),
        "linked_account_device",
        &needs_it,
    );
    let linking = Linking::with(HomeAssistant::start_in(release, folder.path()));
    let domain = "linked_account_device";
    linking.house.declare(&[linking.entry(domain, "Anna", "anna", "first")]);
    let applied = linking.appcred(APPLY).status(1).run().stdout;
    let why = "cannot set up what the integration depends on: broken";
    assert!(applied.contains(why), "{applied}");
}

/// `gentex_homelink` of 2026.11 does so.
mod ha_integration_with_a_client_of_its_own_is_not_set_up {
    use super::*;

    #[test]
    fn ha_2026_11() {
        let linking = Linking::with(HomeAssistant::start(Release::Ha2026_11));
        let entry = linking.entry("gentex_homelink", "Anna", "anna", "first");
        linking.house.declare(&[entry]);
        let planned = linking.appcred(PLAN).status(2).run().stdout;
        assert!(planned.contains("the integration uses a client of its own"), "{planned}");
        assert!(planned.contains("remove the entry, and add the integration"), "{planned}");
    }
}

/// In 2024.3 no integration needs it.
mod ha_set_up_that_needs_cloud_is_not_begun_without_it {
    use super::*;

    #[test]
    fn ha_2026_11() {
        let Replaced { linking, _folder } =
            Replaced::start(Release::Ha2026_11, "smartthings", false);
        linking.house.declare(&[linking.entry("smartthings", "Anna", "anna", "first")]);
        let why = "its set-up needs Home Assistant's integration `cloud`";
        let planned = linking.appcred(PLAN).status(2).run().stdout;
        assert!(planned.contains(why), "{planned}");
        let applied = linking.appcred(APPLY).status(1).run().stdout;
        assert!(applied.contains(why) && !applied.contains("waiting for consent"), "{applied}");
        assert_eq!(linking.ha.credentials().len(), 1, "the credential itself is made");
    }
}
