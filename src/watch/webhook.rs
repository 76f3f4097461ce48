//! Posting notices to webhooks: one queue for each, in their order, again and again until they are
//! accepted or too old to matter.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use secrecy::zeroize::Zeroizing;
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::http::{self, HeaderMap, Network};
use crate::model::{Secret, TargetName, WebhookMethod, fill_in};
use crate::target::Stop;

/// What is filled in with the id of a notice.
const ID: &str = "{id}";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// Notices that wait; what comes on top is lost, and said to be.
const QUEUE: usize = 64;
/// Pauses between attempts, in seconds; after the last one the notice is given up.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// Where notices are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The address, which may be a secret. `{id}` in it is filled in.
    pub address: Secret,
    /// The method of HTTP.
    pub method: WebhookMethod,
    /// What it is sent as well.
    pub headers: HeaderMap,
    /// What is posted instead of the notice: a text, or JSON. Its texts are filled in with fields of the notice.
    pub body: Option<Json>,
}

impl Webhook {
    /// What is posted of a notice: its type, and its bytes.
    pub(super) fn body_of<'n>(
        &self,
        notice: &str,
        field: impl Fn(&str) -> Option<&'n str> + Copy,
    ) -> Body {
        match &self.body {
            None => (JSON, notice.into()),
            Some(Json::String(text)) => (TEXT, filled(text, field).into()),
            Some(json) => (JSON, filled_json(json, field).to_string().into()),
        }
    }
}

/// What cannot be filled in was refused when it was read.
fn filled<'n>(text: &str, field: impl Fn(&str) -> Option<&'n str>) -> String {
    fill_in(text, field).unwrap_or_else(|_| text.to_owned())
}

fn filled_json<'n>(json: &Json, field: impl Fn(&str) -> Option<&'n str> + Copy) -> Json {
    match json {
        Json::String(text) => Json::String(filled(text, field)),
        Json::Array(items) => items.iter().map(|item| filled_json(item, field)).collect(),
        Json::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled_json(value, field))).collect()
        }
        other => other.clone(),
    }
}

/// One notice for one webhook.
#[derive(Debug)]
pub(super) struct Post {
    /// That of the notice.
    pub(super) id: String,
    pub(super) body: Body,
}

/// Posts in the background.
pub(super) struct WebhookSender {
    /// Of what target; none for the manifests of all.
    target: Option<TargetName>,
    stop: Stop,
    /// The queues of those that were posted to.
    queues: Vec<(Webhook, mpsc::Sender<Post>)>,
}

impl WebhookSender {
    pub(super) fn new(target: Option<TargetName>, stop: Stop) -> Self {
        Self { target, stop, queues: Vec::new() }
    }

    /// Takes a notice for each of these webhooks; those that are no longer named get what waits for them.
    pub(super) fn send(&mut self, webhooks: &[Webhook], post: impl Fn(&Webhook) -> Post) {
        self.queues.retain(|(known, _)| webhooks.contains(known));
        for (at, webhook) in webhooks.iter().enumerate() {
            if self.queue(at, webhook).try_send(post(webhook)).is_err() {
                let number = at + 1;
                tracing::warn!(
                    target = named(&self.target),
                    "the queue of webhook {number} is full: a notice is lost"
                );
            }
        }
    }

    fn queue(&mut self, at: usize, webhook: &Webhook) -> &mpsc::Sender<Post> {
        let known = self.queues.iter().position(|(known, _)| known == webhook);
        let queue = known.unwrap_or_else(|| {
            let (sender, posts) = mpsc::channel(QUEUE);
            let (copy, target) = (webhook.clone(), self.target.clone());
            let hook = WebhookQueue { webhook: copy, target, number: at + 1 };
            tokio::spawn(hook.post_all(posts, self.stop.clone()));
            self.queues.push((webhook.clone(), sender));
            self.queues.len() - 1
        });
        &self.queues[queue].1
    }
}

/// What is posted: its type, and its bytes.
type Body = (&'static str, Vec<u8>);

/// One webhook of a target. Its address may be a secret, so messages name its number in the list.
struct WebhookQueue {
    webhook: Webhook,
    target: Option<TargetName>,
    number: usize,
}

impl WebhookQueue {
    async fn post_all(self, mut posts: mpsc::Receiver<Post>, stop: Stop) {
        let (target, number) = (named(&self.target), self.number);
        let client = match client(&self.webhook) {
            Ok(client) => client,
            Err(why) => {
                return tracing::error!(
                    target,
                    "no notice can be posted to webhook {number}: {why}"
                );
            }
        };
        let mut has_failed = false;
        loop {
            tokio::select! {
                post = posts.recv() => match post {
                    Some(post) => {
                        let is_accepted = self.post(&client, &post, &stop).await;
                        if is_accepted && has_failed {
                            tracing::info!(target, "webhook {number} accepts notices again");
                        }
                        has_failed = !is_accepted;
                    }
                    None => return,
                },
                () = stop.cancelled() => return,
            }
        }
    }

    /// Whether the notice was accepted.
    async fn post(&self, client: &reqwest::Client, post: &Post, stop: &Stop) -> bool {
        let (target, number) = (named(&self.target), self.number);
        let mut pauses = PAUSES.iter();
        let Post { id, body: (content_type, body) } = post;
        let address = Secret::new(&Zeroizing::new(self.webhook.address.expose().replace(ID, id)));
        let method = match self.webhook.method {
            WebhookMethod::Post => Method::POST,
            WebhookMethod::Put => Method::PUT,
        };
        loop {
            let request = client
                .request(method.clone(), address.expose())
                .header(CONTENT_TYPE, *content_type)
                .body(body.to_owned());
            // Reqwest would print the address.
            let (why, may_retry) = match request.send().await {
                Ok(answer) if answer.status().is_success() => return true,
                Ok(answer) => {
                    (format!("it answered {}", answer.status()), may_succeed_later(answer.status()))
                }
                Err(error) => (http::innermost(error), true),
            };
            let Some(pause) = pauses.next().filter(|_| may_retry) else {
                tracing::warn!(target, "webhook {number} did not accept a notice: {why}");
                return false;
            };
            tracing::debug!(
                target,
                "webhook {number} did not accept a notice yet ({why}); trying again in {pause} s"
            );
            tokio::select! {
                () = sleep(Duration::from_secs(*pause)) => {}
                () = stop.cancelled() => return false,
            }
        }
    }
}

fn named(target: &Option<TargetName>) -> Option<&str> {
    target.as_ref().map(TargetName::as_str)
}

fn client(webhook: &Webhook) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(webhook.address.expose());
    let url = url.map_err(|_| "its address is not a URL".to_owned())?;
    let network = Network { headers: webhook.headers.clone(), ..Network::default() };
    network.client(&url)?.build().map_err(http::innermost)
}

/// Whether the same request may be accepted later: redirects and most client errors (4xx) are for good.
fn may_succeed_later(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    passing.contains(&status) || !(status.is_client_error() || status.is_redirection())
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use serde_json::json;

    use super::{Webhook, may_succeed_later};
    use crate::model::Secret;

    #[test]
    fn a_body_is_filled_in_as_what_it_is() {
        let field = |name: &str| match name {
            "message" => Some("\"quoted\"\n{target}"),
            "target" => Some("home"),
            _ => None,
        };
        let body = |body| {
            let (address, method, headers) =
                (Secret::new("https://hook"), <_>::default(), <_>::default());
            let webhook = Webhook { address, method, headers, body };
            let (content_type, bytes) = webhook.body_of("{\"kind\": 1}", field);
            (content_type, String::from_utf8(bytes).unwrap())
        };
        assert_eq!(body(None), ("application/json", "{\"kind\": 1}".to_owned()));
        let text = body(Some(json!("{target}: {message}")));
        assert_eq!(text, ("text/plain; charset=utf-8", "home: \"quoted\"\n{target}".to_owned()));
        let (content_type, filled) = body(Some(json!({"a": ["{message}", 5], "{target}": true})));
        assert_eq!(content_type, "application/json");
        let read: serde_json::Value = serde_json::from_str(&filled).unwrap();
        assert_eq!(read, json!({"a": ["\"quoted\"\n{target}", 5], "{target}": true}));
    }

    #[test]
    fn client_errors_but_three_are_for_good() {
        let later: Vec<u16> = (300..600)
            .filter(|code| may_succeed_later(StatusCode::from_u16(*code).unwrap()))
            .filter(|code| (400..500).contains(code))
            .collect();
        assert_eq!(later, [408, 425, 429]);
        assert!(may_succeed_later(StatusCode::BAD_GATEWAY));
    }
}
