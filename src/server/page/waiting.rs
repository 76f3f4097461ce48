//! What only a person can do: consent, type in a code, answer in a manifest.

use maud::{Markup, html};
use url::form_urlencoded;

use crate::model::{HiddenLink, web_page};
use crate::report::set_up::{FormField, WaitsFor};
use crate::report::status::{StatusReport, TargetState, WaitingSetUp};
use crate::status::named;

use super::id_part;

/// More would hide the rest of the page.
const MOST_WAITING: usize = 50;

pub(super) fn waiting(report: &StatusReport<'_>) -> Markup {
    let all: Vec<_> = report
        .targets
        .iter()
        .flat_map(|target| target.entries.iter().map(move |entry| (target, entry)))
        .flat_map(|(target, entry)| entry.waiting().map(move |waiting| (target, waiting)))
        .collect();
    if all.is_empty() {
        return html! {};
    }
    let more = all.len().saturating_sub(MOST_WAITING);
    html! {
        section #waiting aria-labelledby="waiting-title" {
            h2 #waiting-title { "Waiting for you" }
            ul .cards {
                @for (target, waiting) in all.into_iter().take(MOST_WAITING) {
                    (card(target, waiting))
                }
            }
            @if more > 0 {
                p .soft { "… and " (more) " more, shown as these are done." }
            }
        }
    }
}

fn card(target: &TargetState<'_>, waiting: WaitingSetUp<'_>) -> Markup {
    let WaitingSetUp { entry, account, reason, what } = waiting;
    let mut id = format!("waits-{}-{}", id_part(target.name.as_str()), id_part(entry.key.as_str()));
    if let Some(account) = account {
        id += &format!("-{}", id_part(account.as_str()));
    }
    html! {
        li .card id=(id) {
            h3 { (named(entry.name, account)) }
            (whose(target, waiting))
            @if let Some(account) = account {
                p { "Log in at the provider as " strong { (account) } "." }
            }
            @if let Some(reason) = reason {
                p .bad { (reason) }
            }
            @match what {
                WaitsFor::Consent { link, hidden, redirect_uri } => {
                    (consent(&id, target, waiting, *link, *hidden))
                    @if let Some(uri) = redirect_uri {
                        details {
                            summary id={ (id) "-redirect" } { "If the provider refuses" }
                            p {
                                "It must know this redirect URI: " code { (uri) } " "
                                button .copy type="button" { "Copy" span .unseen { " the redirect URI" } }
                            }
                        }
                    }
                }
                WaitsFor::DeviceCode { url, code } => (device_code(&id, url, code.unwrap_or_default())),
                WaitsFor::Answers { step, fields, errors } => {
                    (answers(step, fields, errors, &entry.declared_at.to_string()))
                }
                WaitsFor::Choice { step, options } => {
                    p {
                        "Home Assistant asks which way to go: " (options.join(", ")) ". Answer at "
                        code { (entry.declared_at) } " under "
                        code { "integration: {answers: {" (step) ": {next_step_id: …}}}" } "."
                    }
                }
                WaitsFor::HomeAssistant => p { "Home Assistant is working on it." },
            }
        }
    }
}

/// What distinguishes one card from another: several may be of one integration, one name or one house.
fn whose(
    target: &TargetState<'_>,
    WaitingSetUp { entry, account, .. }: WaitingSetUp<'_>,
) -> Markup {
    html! {
        dl .facts .whose {
            div { dt { "Integration" } dd { (entry.domain) } }
            @if let Some(account) = account { div { dt { "Account" } dd { (account) } } }
            div { dt { "Entry" } dd { code { (entry.key) } } }
            div { dt { "Target" } dd { (target.name) " " span .soft { (target.address) } } }
        }
    }
}

fn consent(
    id: &str,
    target: &TargetState<'_>,
    waiting: WaitingSetUp<'_>,
    link: Option<&str>,
    why: Option<HiddenLink>,
) -> Markup {
    let WaitingSetUp { entry, account, .. } = waiting;
    match link.and_then(provider) {
        Some(provider) => html! {
            p {
                a .button id={ (id) "-button" } href=(begin(target, waiting)) target="_blank" {
                    "Consent at " (provider)
                    span .unseen {
                        " for " (named(entry.name, account)) " at " (target.name) ", in a new tab"
                    }
                }
            }
        },
        None if why == Some(HiddenLink::HoldsSecret) => html! {
            p {
                "The link holds the client secret, so it is not shown here. Run "
                code { "appcred authorize " (waiting.id().argument()) } " on a machine with a browser."
            }
        },
        None => html! {
            p {
                "The link is not an https address, so it is not shown. Finish the set-up in Home Assistant."
            }
        },
    }
}

fn device_code(id: &str, url: &str, code: &str) -> Markup {
    html! {
        p { "Type in this code: " strong .code { (code) } }
        p {
            @match provider(url) {
                Some(provider) => {
                    a .button id={ (id) "-button" } href=(url) target="_blank" rel="noreferrer" {
                        "Open " (provider) span .unseen { ", in a new tab" }
                    }
                }
                None => { "at " code { (url) } }
            }
        }
    }
}

fn answers(step: &str, fields: &[FormField<'_>], errors: &[String], place: &str) -> Markup {
    let names: Vec<String> = fields.iter().map(|field| format!("{}: …", field.name)).collect();
    html! {
        p {
            "Home Assistant asks what the entry does not answer. Answer at " code { (place) }
            " under " code { "integration: {answers: {" (step) ": {" (names.join(", ")) "}}}" } "."
        }
        ul {
            @for error in errors { li .bad { "Not taken: " (error) } }
            @for field in fields {
                li {
                    code { (field.name) } " takes " (field.takes.words())
                    @for option in field.options { " " code { (option) } }
                    @if !field.required { ", may be left out" }
                }
            }
        }
    }
}

/// Leads over us to the provider, so that the answer is known to come from the same browser.
fn begin(target: &TargetState<'_>, waiting: WaitingSetUp<'_>) -> String {
    let entry = waiting.entry;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("target", target.name.as_str()).append_pair("key", entry.key.as_str());
    if let Some(account) = waiting.account {
        query.append_pair("account", account.as_str());
    }
    format!("consent?{}", query.finish())
}

/// The host of a web page that a click may open.
fn provider(link: &str) -> Option<String> {
    web_page(link)?.host_str().map(str::to_owned)
}
