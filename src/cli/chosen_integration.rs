//! Which integration a new entry is for.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use dialoguer::FuzzySelect;

use crate::integrations;
use crate::manifest::Loaded;
use crate::model::Domain;
use crate::suggest;

use super::questions;

/// How many integrations are shown at once: a list that is longer than the terminal scrolls away.
const ROWS: usize = 12;

/// The domain of the one integration that is called so; else what was given.
pub(super) fn domain_called(text: &str, loaded: &Loaded) -> String {
    let is_domain = known(loaded).contains(&Domain::new(text.trim()));
    match integrations::called(text)[..] {
        [only] if !is_domain => only.to_string(),
        _ => text.to_owned(),
    }
}

/// The domain and, where it says more, the name of an integration.
fn with_name(domain: &Domain) -> String {
    match integrations::name(domain) {
        Some(name) => format!("{domain} ({name})"),
        None => domain.to_string(),
    }
}

/// The integrations that need no target to be known.
fn known(loaded: &Loaded) -> BTreeSet<Domain> {
    integrations::known().union(&loaded.project.policy.custom_integrations).cloned().collect()
}

/// The integration that was given, or that a person chooses.
///
/// # Errors
/// Where there is none, or no such one.
pub(super) fn chosen(
    given: Option<&str>,
    is_asking: bool,
    loaded: &Loaded,
) -> anyhow::Result<Domain> {
    let known = known(loaded);
    let domain = match given {
        Some(domain) => Domain::new(domain.trim()),
        None if is_asking => {
            let names: Vec<_> = known.iter().map(with_name).collect();
            let select = FuzzySelect::new().with_prompt("Integration").items(&names);
            let chosen = questions::ask_keys(|| select.max_length(ROWS).interact())?;
            known.iter().nth(chosen).cloned().context("nothing was chosen")?
        }
        None => bail!("--domain is needed where there is no terminal to ask on"),
    };
    if !known.contains(&domain) {
        let called: Vec<_> =
            integrations::called(domain.as_str()).into_iter().map(with_name).collect();
        if !called.is_empty() {
            bail!("more than one integration has this name: choose one of {}", called.join(", "));
        }
        let domains = known.iter().map(Domain::as_str);
        let mut unknown = suggest::unknown("integration", domain.as_str(), domains);
        if let Some(meant) = integrations::meant(domain.as_str())
            && !unknown.ends_with('?')
        {
            unknown = format!("{unknown}: did you mean {}?", with_name(meant));
        }
        if !unknown.ends_with('?') {
            unknown.push('.');
        }
        bail!(
            "{unknown} Only integrations that use application credentials have entries: list a custom one under `custom_integrations` in appcred.yaml"
        );
    }
    Ok(domain)
}
