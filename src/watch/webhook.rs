//! Posting notices to webhooks: one queue for each, in their order, again and again until they are
//! accepted or too old to matter.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::http::{self, Network};
use crate::model::{Secret, TargetName};
use crate::target::Stop;

/// Notices that wait; what comes on top is lost, and said to be.
const QUEUE: usize = 64;
/// Pauses between attempts, in seconds; after the last one the notice is given up.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// Posts in the background.
pub(super) struct WebhookSender {
    /// Of what target; none for the manifests of all.
    target: Option<TargetName>,
    stop: Stop,
    /// The queues of those that were posted to.
    queues: Vec<(Secret, mpsc::Sender<Vec<u8>>)>,
}

impl WebhookSender {
    pub(super) fn new(target: Option<TargetName>, stop: Stop) -> Self {
        Self { target, stop, queues: Vec::new() }
    }

    /// Takes a notice for each of these webhooks; those that are no longer named get what waits for them.
    pub(super) fn send(&mut self, webhooks: &[Secret], body: &[u8]) {
        self.queues.retain(|(address, _)| webhooks.contains(address));
        for (at, webhook) in webhooks.iter().enumerate() {
            if self.queue(at, webhook).try_send(body.to_owned()).is_err() {
                let number = at + 1;
                tracing::warn!(
                    target = named(&self.target),
                    "the queue of webhook {number} is full: a notice is lost"
                );
            }
        }
    }

    fn queue(&mut self, at: usize, webhook: &Secret) -> &mpsc::Sender<Vec<u8>> {
        let known = self.queues.iter().position(|(address, _)| address == webhook);
        let queue = known.unwrap_or_else(|| {
            let (sender, bodies) = mpsc::channel(QUEUE);
            let hook =
                Webhook { address: webhook.clone(), target: self.target.clone(), number: at + 1 };
            tokio::spawn(hook.post_all(bodies, self.stop.clone()));
            self.queues.push((webhook.clone(), sender));
            self.queues.len() - 1
        });
        &self.queues[queue].1
    }
}

/// One webhook of a target. Its address may be a secret, so messages name its number in the list.
struct Webhook {
    address: Secret,
    target: Option<TargetName>,
    number: usize,
}

impl Webhook {
    async fn post_all(self, mut bodies: mpsc::Receiver<Vec<u8>>, stop: Stop) {
        let (target, number) = (named(&self.target), self.number);
        let client = match client(self.address.expose()) {
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
                body = bodies.recv() => match body {
                    Some(body) => {
                        let is_accepted = self.post(&client, &body, &stop).await;
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
    async fn post(&self, client: &reqwest::Client, body: &[u8], stop: &Stop) -> bool {
        let (address, target, number) = (&self.address, named(&self.target), self.number);
        let mut pauses = PAUSES.iter();
        loop {
            let request = client
                .post(address.expose())
                .header(CONTENT_TYPE, "application/json")
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

fn client(address: &str) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(address).map_err(|_| "its address is not a URL".to_owned())?;
    Network::default().client(&url)?.build().map_err(http::innermost)
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

    use super::may_succeed_later;

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
