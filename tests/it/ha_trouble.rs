//! Why a linked account does not run, as a person is shown it.

use serde_json::{Value, json};

use crate::linking::{Linking, link};
use crate::real::{Release, each_release};

/// Anna's account, linked by her consent, with a token that is out of date at once; her entry names the
/// provider's token endpoint.
fn linked(release: Release) -> (Linking, String) {
    let linking = Linking::new(release);
    linking.provider.tokens_live(1);
    let url = linking.provider.url();
    let entry = linking.entry("linked_account", "Anna", "anna", "first");
    linking.house.declare(&[format!("{entry}    integration: {{token_url: '{url}/token'}}\n")]);
    linking.consent(&link(&linking.json(&["apply", "--yes"])));
    linking.apply();
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    (linking, account)
}

impl Linking {
    /// What `list` says of Anna's account, in codes and in words, and `plan` in the same words. While Home
    /// Assistant tries again, nothing is said: then this is repeated.
    #[track_caller]
    fn trouble(&self) -> (String, String) {
        for _ in 0..10 {
            let set_up = self.set_up("anna");
            let text = |name: &str| set_up[name].as_str().map(str::to_owned);
            let (Some(cause), Some(reason)) = (text("cause"), text("reason")) else { continue };
            let expected = format!("\n    anna: {reason}\n      # {}\n", text("help").unwrap());
            let shows = |verb: &str| self.appcred(&[verb]).run().stdout.contains(&expected);
            if shows("list") && shows("plan") {
                return (cause, reason);
            }
        }
        panic!("list and plan do not say why: {}", self.set_up("anna"));
    }

    /// How often the provider was asked about a client, and not for a token.
    fn questions(&self) -> usize {
        let log = self.provider.token_log();
        log.iter().filter(|asked| asked.grant == "authorization_code").count()
    }
}

each_release!(ha_account_whose_credential_is_lost_runs_again_once_that_is_created);
fn ha_account_whose_credential_is_lost_runs_again_once_that_is_created(release: Release) {
    let (linking, account) = linked(release);
    let id = linking.ha.credentials()[0]["id"].take();
    let delete =
        json!({"type": "application_credentials/delete", "application_credentials_id": id});
    linking.ha.call(delete).unwrap();
    assert_eq!(linking.ha.reload(&account), "setup_error");
    let planned = linking.appcred(&["plan"]).run().stdout;
    // Earlier releases do not say of what an account does not run.
    if release >= Release::Ha2026_11 {
        let said = "a linked account of the integration does not find its credential";
        assert!(planned.contains(said) && !planned.contains("redirect URI"), "{planned}");
    }
    let ran = linking.apply();
    assert!(ran.stdout.contains("linked: "), "{}", ran.stdout);
    assert_eq!(linking.ha.state_of(&account), "loaded");
}

const ACCEPTS: &str = "the provider accepts the client";

each_release!(ha_withdrawn_consent_is_distinguished_from_a_wrong_client);
fn ha_withdrawn_consent_is_distinguished_from_a_wrong_client(release: Release) {
    let (linking, account) = linked(release);
    assert_eq!(linking.set_up("anna"), json!({"state": "loaded"}));
    linking.provider.forget_consent();
    assert_eq!(linking.ha.reload(&account), "setup_error");
    let asked = linking.questions();

    let (cause, seen) = linking.trouble();
    assert_eq!(cause, "consent_lost");
    let says = "Home Assistant says setup_error: the provider refused the refresh; Home Assistant asks for consent again; ";
    assert_eq!(seen, format!("{says}{ACCEPTS}"));
    assert_eq!(linking.questions() - asked, 3, "each command asks once");

    linking.provider.client("anna", "another");
    let (cause, seen) = linking.trouble();
    assert_eq!(cause, "wrong_client");
    assert!(seen.contains("the provider rejects the client (invalid_client"), "{seen}");

    linking.provider.fail(Some(503));
    let (cause, seen) = linking.trouble();
    assert_eq!(cause, "client_unproven");
    assert!(seen.contains("whether the provider accepts the client is not known: it answers 503"));
}

each_release!(ha_account_that_home_assistant_tries_again_or_that_is_disabled_needs_no_provider);
fn ha_account_that_home_assistant_tries_again_or_that_is_disabled_needs_no_provider(
    release: Release,
) {
    let (linking, account) = linked(release);
    linking.provider.fail(Some(500));
    assert_eq!(linking.ha.reload(&account), "setup_retry");
    let asked = linking.questions();
    let (cause, seen) = linking.trouble();
    assert_eq!(cause, "tried_again");
    assert_eq!(seen, "Home Assistant says setup_retry: the provider failed");

    let disable: Value = json!({
        "type": "config_entries/disable", "entry_id": account, "disabled_by": "user"
    });
    linking.ha.call(disable).unwrap();
    let (cause, seen) = linking.trouble();
    assert_eq!((cause.as_str(), seen.as_str()), ("disabled", "it is disabled in Home Assistant"));
    assert_eq!(linking.questions(), asked, "the provider was asked");
}
