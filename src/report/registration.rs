//! What is to know before somebody registers an application with a provider.

use std::collections::BTreeMap;

use crate::integrations::{self, ClientAuth, Facts};
use crate::model::{CALLBACK_PATH, Domain, MY_REDIRECT_URI, TargetName};

/// Where to register a client, and with which redirect URI: of each target, its own.
pub fn where_to_register(domain: &Domain, redirect_uris: &BTreeMap<TargetName, String>) -> String {
    let facts = integrations::facts(domain, None);
    let mut text = match facts.and_then(|facts| facts.console_url.as_deref()) {
        Some(console) => format!("Register an application at {console}"),
        None => {
            let name = integrations::name(domain).unwrap_or(domain.as_str());
            format!("Register an application for {name} with its provider")
        }
    };
    // Custom integrations have no page there.
    if integrations::known().contains(domain) {
        text.push_str(&format!(
            "\n(https://www.home-assistant.io/integrations/{domain}/ says how)"
        ));
    }
    text.push_str(&format!(", with exactly this redirect URI\n{}", to_register(redirect_uris)));
    text.push_str(&facts.map(notes).unwrap_or_default());
    for limit in integrations::limits(domain) {
        text.push_str(&format!(
            "Note: {}.
",
            limit.note()
        ));
    }
    text
}

/// The redirect URIs of the targets, a line each.
fn to_register(redirect_uris: &BTreeMap<TargetName, String>) -> String {
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (target, uri) in redirect_uris {
        of.entry(uri).or_default().push(target.as_str());
    }
    match of.len() {
        0 => format!(
            "  {MY_REDIRECT_URI}\n\
             (without the `my` integration in Home Assistant: its address and {CALLBACK_PATH})\n"
        ),
        1 => of.keys().map(|uri| format!("  {uri}\n")).collect(),
        _ => of.iter().map(|(uri, names)| format!("  {uri}  ({})\n", names.join(", "))).collect(),
    }
}

/// What else is to know before somebody registers an application, a line each.
fn notes(facts: &Facts) -> String {
    let asks = [&facts.asks_before_consent[..], &facts.asks_after_consent].concat();
    let steps = format!(
        "its set-up asks questions (steps {}): `integration: {{answers: ...}}` in the entry answers them",
        asks.join(", ")
    );
    let is_secretless = facts.client_auth == ClientAuth::None && !facts.ignores_client;
    let notes = [
        (facts.ignores_client, "the integration uses a client of its own in the place of this one"),
        (
            facts.brings_client,
            "the integration has a client of its own: an entry is needed only for another",
        ),
        (is_secretless, "the integration does not use the client secret"),
        (facts.needs_cloud, "its set-up needs Home Assistant's integration `cloud`"),
        (facts.one_account, "only one account can be linked"),
        (!asks.is_empty(), &steps),
    ];
    let notes = notes.iter().filter(|(holds, _)| *holds);
    notes.map(|(_, note)| format!("Note: {note}.\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{notes, to_register, where_to_register};
    use crate::integrations::facts;
    use crate::model::{Domain, TargetName};

    fn of(uris: &[(&str, &str)]) -> String {
        let named = |(name, uri): &(&str, &str)| (TargetName::new(*name), (*uri).to_owned());
        to_register(&uris.iter().map(named).collect())
    }

    #[test]
    fn what_the_provider_allows_is_said_before_anybody_registers() {
        let said = |domain| where_to_register(&Domain::new(domain), &BTreeMap::new());
        assert!(said("spotify").contains("\nNote: a client in Development Mode may have 5 users"));
        assert!(said("google").contains("6 months is deleted (as users report).\n"));
        assert!(!said("lyric").contains("Note:"));
    }

    #[test]
    fn what_is_to_be_registered_comes_from_the_targets() {
        assert_eq!(of(&[("a", "https://x"), ("b", "https://x")]), "  https://x\n");
        assert_eq!(
            of(&[("a", "https://x"), ("b", "https://y"), ("c", "https://y")]),
            "  https://x  (a)\n  https://y  (b, c)\n"
        );
        assert!(of(&[]).contains("without the `my` integration"));
    }

    #[test]
    fn what_an_integration_does_otherwise_is_said_before_anybody_registers() {
        let notes = |domain| notes(facts(&Domain::new(domain), None).unwrap());
        assert_eq!(notes("spotify"), "");
        assert_eq!(
            notes("gentex_homelink"),
            "Note: the integration uses a client of its own in the place of this one.\n"
        );
        assert_eq!(
            notes("smartthings"),
            "Note: its set-up needs Home Assistant's integration `cloud`.\n"
        );
        assert_eq!(
            notes("vicare"),
            "Note: the integration does not use the client secret.\nNote: only one account can be linked.\n"
        );
        let asks = notes("onedrive_for_business");
        assert!(asks.contains("(steps pick_tenant, reconfigure_folder, select_folder)"), "{asks}");
        assert!(notes("willow").contains("has a client of its own"));
    }
}
