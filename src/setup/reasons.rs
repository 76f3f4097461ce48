//! HA's reasons for the end of a set-up, as messages of appcred.

use std::collections::BTreeMap;

use crate::model::FlowAbort;

/// The ends that are successes although HA calls them aborts.
const SUCCESSES: &[&str] = &["reauth_successful", "reconfigure_successful"];

/// HA's word, and what it means. Of others, HA is asked for its own message.
const REASONS: &[(&str, &str)] = &[
    ("user_rejected_authorize", "consent was refused at the provider"),
    (
        "oauth_unauthorized",
        "the provider refused the client or the consent: if client id or secret is wrong, correct the entry; if the consent was used or has expired, consent again",
    ),
    (
        "oauth_failed",
        "the provider gave no token: it may be down, the redirect URI may not be registered there, or that consent was used or has expired; try again",
    ),
    ("oauth_timeout", "the provider did not answer Home Assistant in time; try again"),
    ("oauth_error", "the provider's answer has no token that Home Assistant can use"),
    ("authorize_url_timeout", "Home Assistant could not make the link in time; try again"),
    ("missing_credentials", "Home Assistant has no credential for it; apply first"),
    ("missing_configuration", "the integration takes no credential in this Home Assistant"),
    ("no_url_available", "Home Assistant has no URL configured: set it in its network settings"),
    (
        "oauth_implementation_unavailable",
        "Home Assistant Cloud cannot be reached, so it offers no account linking; try again later",
    ),
    ("cloud_not_enabled", NEEDS_CLOUD),
    ("already_configured", LINKED_ALREADY),
    ("already_configured_as_subentry", "this account is already part of another account"),
    ("already_in_progress", "another set-up of this account is in progress in Home Assistant"),
    ("single_instance_allowed", "the integration can be linked only once, and is already"),
    ("wrong_account", OTHER_ACCOUNT),
    ("account_mismatch", OTHER_ACCOUNT),
    ("reauth_account_mismatch", OTHER_ACCOUNT),
    ("reauth_invalid_user", OTHER_ACCOUNT),
    ("reauth_location_mismatch", OTHER_ACCOUNT),
    ("reauth_wrong_account", OTHER_ACCOUNT),
    ("reconfigure_account_mismatch", OTHER_ACCOUNT),
    ("reconfigure_wrong_account", OTHER_ACCOUNT),
    ("unique_id_mismatch", OTHER_ACCOUNT),
    ("code_expired", "the code expired before it was entered"),
    ("cannot_connect", "Home Assistant could not reach the provider; try again later"),
    ("connection_error", "Home Assistant could not reach the provider; try again later"),
    ("timeout_connect", "Home Assistant could not reach the provider in time; try again later"),
    ("invalid_auth", REJECTED_TOKEN),
    ("invalid_access_token", REJECTED_TOKEN),
    ("invalid_token", REJECTED_TOKEN),
    ("missing_scopes", "consent was given to less than the integration needs: agree to all of it"),
    ("access_not_configured", API_OFF),
    ("api_disabled", API_OFF),
    ("api_not_enabled", API_OFF),
    ("calendar_api_disabled", API_OFF),
    ("unknown", "Home Assistant gave no reason; its log may say why"),
];

/// Why a set-up cannot begin without HA's integration `cloud`.
const NEEDS_CLOUD: &str = "it needs Home Assistant's integration `cloud`: add `cloud:` or `default_config:` to configuration.yaml and restart";
const LINKED_ALREADY: &str = "this account is linked already";
const OTHER_ACCOUNT: &str = "consent was given for another account than the one that is linked";
const REJECTED_TOKEN: &str = "the provider rejected the token that it had issued";
const API_OFF: &str = "the provider's API is not enabled for this client; enable it there";

/// Whether a flow that ended for this reason has linked its account.
pub fn is_success(reason: &str) -> bool {
    SUCCESSES.contains(&reason)
}

/// Whether it is that the account is linked already.
pub fn is_linked_already(reason: &str) -> bool {
    meaning(reason) == Some(LINKED_ALREADY)
}

/// Whether we have a message for it.
pub fn is_known(reason: &str) -> bool {
    meaning(reason).is_some()
}

fn meaning(reason: &str) -> Option<&'static str> {
    REASONS.iter().find(|(word, _)| *word == reason).map(|(_, meaning)| *meaning)
}

/// Why a set-up failed, for people: our message, else HA's own, and HA's word.
pub fn message(abort: &FlowAbort, of_ha: Option<&str>) -> String {
    let FlowAbort { reason, placeholders } = abort;
    let provider = match placeholders.get("error") {
        Some(error) if error != "access_denied" => format!(", the provider said {error}"),
        _ => String::new(),
    };
    let of_ha = || of_ha.map(|text| filled_in(text, placeholders));
    match meaning(reason).map(str::to_owned).or_else(of_ha) {
        Some(meaning) => format!("{meaning} ({reason}{provider})"),
        None => format!("Home Assistant ended it: {reason}{provider}"),
    }
}

/// HA's message on one line, without the full stop at its end.
fn filled_in(text: &str, placeholders: &BTreeMap<String, String>) -> String {
    let text = placeholders
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{REASONS, is_known, is_success, message};
    use crate::model::FlowAbort;

    fn abort(reason: &str, placeholders: &[(&str, &str)]) -> FlowAbort {
        let placeholders =
            placeholders.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        FlowAbort { reason: reason.to_owned(), placeholders: placeholders.collect() }
    }

    #[test]
    fn every_reason_is_there_once_and_its_message_keeps_the_word_of_ha() {
        let words: BTreeSet<_> = REASONS.iter().map(|(word, _)| word).collect();
        assert_eq!(words.len(), REASONS.len());
        assert!(words.into_iter().all(|word| is_known(word)) && !is_known("moon_phase"));
        let refused = abort("user_rejected_authorize", &[("error", "access_denied")]);
        let expected = "consent was refused at the provider (user_rejected_authorize)";
        assert_eq!(message(&refused, Some("Rejected.")), expected);
        let strange = abort("moon_phase", &[("error", "server_error")]);
        let expected = "Home Assistant ended it: moon_phase, the provider said server_error";
        assert_eq!(message(&strange, None), expected);
        assert!(is_success("reauth_successful") && !is_success("already_configured"));
    }

    #[test]
    fn a_message_of_ha_is_filled_in_and_is_one_line() {
        let strange = abort("moon_phase", &[("planet", "Jupiter"), ("other", "x")]);
        let of_ha = Some("The moon of {planet} is full.\n\nWait for {days}.");
        let expected = "The moon of Jupiter is full. Wait for {days} (moon_phase)";
        assert_eq!(message(&strange, of_ha), expected);
    }
}
