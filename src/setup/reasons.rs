//! HA's reasons for the end of a set-up, as messages of appcred.

/// The ends that are successes although HA calls them aborts.
const SUCCESSES: &[&str] = &["reauth_successful", "reconfigure_successful"];

/// HA's word, and what it means. The first ones are of HA itself, the others of many integrations.
const REASONS: &[(&str, &str)] = &[
    ("user_rejected_authorize", "consent was refused at the provider"),
    (
        "oauth_unauthorized",
        "the provider refused the client: client id or secret is wrong; correct the entry and apply",
    ),
    (
        "oauth_failed",
        "the provider gave no token: it may be down, or the redirect URI is not registered there; try again later",
    ),
    ("oauth_timeout", "the provider did not answer Home Assistant in time; try again"),
    ("oauth_error", "the provider's answer has no token that Home Assistant can use"),
    ("authorize_url_timeout", "Home Assistant could not make the link in time; try again"),
    ("missing_credentials", "Home Assistant has no credential for it; apply first"),
    ("missing_configuration", "the integration takes no credential in this Home Assistant"),
    ("no_url_available", "Home Assistant has no URL configured: set it in its network settings"),
    (
        "oauth_implementation_unavailable",
        "Home Assistant cannot offer the credential: the integration could not be loaded",
    ),
    ("already_configured", "this account is linked already"),
    ("already_configured_account", "this account is linked already"),
    ("already_in_progress", "another set-up of this account is in progress in Home Assistant"),
    ("single_instance_allowed", "the integration can be linked only once, and is already"),
    ("wrong_account", "consent was given for another account than the one that is linked"),
    (
        "reauth_account_mismatch",
        "consent was given for another account than the one that is linked",
    ),
    ("unique_id_mismatch", "consent was given for another account than the one that is linked"),
    ("access_denied", "consent was refused at the provider"),
    ("expired_token", "the code expired before it was entered"),
    ("code_expired", "the code expired before it was entered"),
    ("exchange_finished_entry_exists", "this account is linked already"),
    ("cannot_connect", "Home Assistant could not reach the provider; try again later"),
    ("connection_error", "Home Assistant could not reach the provider; try again later"),
    ("timeout_connect", "Home Assistant could not reach the provider in time; try again later"),
    ("invalid_access_token", "the provider rejected the token that it had issued"),
    ("access_not_configured", "the provider's API is not enabled for this client; enable it there"),
    ("missing_requirement", "Home Assistant could not install what the integration needs"),
    ("not_implemented", "the integration cannot be set up this way"),
    ("unknown", "Home Assistant gave no reason; its log may say why"),
];

/// Whether a flow that ended for this reason has linked its account.
pub fn is_success(reason: &str) -> bool {
    SUCCESSES.contains(&reason)
}

/// Why a set-up failed, for people: in our words where HA's are known, and HA's own.
pub fn message(reason: &str, error: Option<&str>) -> String {
    let provider = match error {
        Some(error) if error != "access_denied" => format!(", the provider said {error}"),
        _ => String::new(),
    };
    match REASONS.iter().find(|(word, _)| *word == reason) {
        Some((_, meaning)) => format!("{meaning} ({reason}{provider})"),
        None => format!("Home Assistant ended it: {reason}{provider}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{REASONS, is_success, message};

    #[test]
    fn every_reason_is_there_once_and_its_message_keeps_the_word_of_ha() {
        let words: BTreeSet<_> = REASONS.iter().map(|(word, _)| word).collect();
        assert_eq!(words.len(), REASONS.len());
        let refused = message("user_rejected_authorize", Some("access_denied"));
        assert_eq!(refused, "consent was refused at the provider (user_rejected_authorize)");
        let strange = message("moon_phase", Some("server_error"));
        assert_eq!(strange, "Home Assistant ended it: moon_phase, the provider said server_error");
        assert!(is_success("reauth_successful") && !is_success("already_configured"));
    }
}
