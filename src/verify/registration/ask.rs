//! Questions to authorize endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION, USER_AGENT};
use reqwest::{Client, Url};
use tokio::time::timeout;

use super::judge::{Judgement, judge};
use super::{Answer, AuthorizeQuestion, Registration, Request, rules};
use crate::codes::RegistrationCode;
use crate::http;
use crate::verify::hosts::Hosts;

/// Providers show some of their errors only to browsers.
const BROWSER: &str = concat!(
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 appcred/",
    env!("CARGO_PKG_VERSION")
);
/// As much of a page as is read.
const LONGEST_PAGE: usize = 300 * 1024;
const OPEN_QUESTIONS: usize = 32;

/// Asks all questions, each distinct one once; none is waited for longer than `within`.
pub(in crate::verify) async fn ask(
    questions: &[&AuthorizeQuestion],
    within: Duration,
) -> Vec<Registration> {
    let hosts = Hosts::default();
    let distinct: BTreeSet<&AuthorizeQuestion> = questions.iter().copied().collect();
    let asked: Vec<BoxFuture<'_, (&AuthorizeQuestion, Registration)>> = distinct
        .into_iter()
        .map(|question| {
            let said = ask_one(&hosts, question, within);
            async move { (question, said.await) }.boxed()
        })
        .collect();
    let said: BTreeMap<&AuthorizeQuestion, Registration> =
        stream::iter(asked).buffer_unordered(OPEN_QUESTIONS).collect().await;
    questions.iter().map(|question| said[question].clone()).collect()
}

async fn ask_one(hosts: &Hosts, question: &AuthorizeQuestion, within: Duration) -> Registration {
    let request = match question.request() {
        Ok(request) => request,
        Err(why) => return Registration::new(RegistrationCode::NotAsked, why),
    };
    let url = request.url.clone();
    let answered = timeout(within, ask_provider(hosts, question, request)).await;
    let said = answered.unwrap_or_else(|_| {
        let why = format!("no answer within {} seconds", within.as_secs_f32());
        hosts.give_up(&url, &why);
        Registration::unreachable(why)
    });
    match said.code {
        RegistrationCode::NotRegistered if question.redirect_uri.is_assumed => {
            Registration::unclear(format!(
                "it says \"{}\" of the usual redirect URI, and no target says whether it uses that",
                said.why
            ))
        }
        _ => said,
    }
}

async fn ask_provider(
    hosts: &Hosts,
    question: &AuthorizeQuestion,
    mut request: Request,
) -> Registration {
    let (provider, rules) = (question.provider(), rules::built_in());
    loop {
        let client = match hosts.client(&request.url) {
            Ok(client) => client,
            Err(why) => return Registration::unreachable(why),
        };
        let answer = match get(&client, &request.url).await {
            Ok(answer) => answer,
            Err(why) => {
                hosts.give_up(&request.url, &why);
                return Registration::unreachable(why);
            }
        };
        match judge(&request, &answer, provider, rules) {
            Judgement::Is(registration) => return registration,
            Judgement::Follow(url) => request = Request { url, is_error_page: true, ..request },
        }
    }
}

async fn get(client: &Client, url: &Url) -> Result<Answer, String> {
    let request = client
        .get(url.clone())
        .header(USER_AGENT, BROWSER)
        .header(ACCEPT, "text/html,application/json")
        // Providers that write in many languages are read in one.
        .header(ACCEPT_LANGUAGE, "en");
    let answer = request.send().await.map_err(http::innermost)?;
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| url.join(location).ok());
    let status = answer.status().as_u16();
    let body = http::read_beginning(answer, LONGEST_PAGE).await.map_err(|why| why.to_string())?;
    Ok(Answer { status, location, body: String::from_utf8_lossy(&body).into_owned() })
}
